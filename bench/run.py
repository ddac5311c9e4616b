#!/usr/bin/env python3
"""The gateway bench: one command, everything on this machine's loopback.  See README.md."""
import argparse
import json
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import report
from measure import FAR_MOCK, MOCK, loopback_up, memory, mock_get, mock_set, until
from peers import GATEWAY_CPU, HERE, LOAD_CPU, Peer, make, nginx
from workloads import ALL, PLAIN, Session, check

INSIDE = "CROSSWAY_BENCH_NAMESPACE"


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    a.add_argument("--name", default="bench", help="of the report: results/<date>-<name>.md")
    a.add_argument("--crossway", default=os.path.join(HERE, "..", "target", "release", "crossway"), help="its binary")
    a.add_argument("--plain", action="store_true", help="Crossway's key without limits, budget and guardrail")
    a.add_argument("--peers", default="", help="names, comma separated (default: direct, nginx, crossway, the file's)")
    a.add_argument("--peer-file", default="", help="JSON list of further peers (peers.py says how)")
    a.add_argument("--workloads", default=",".join(ALL))
    a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--secs", type=float, default=3, help="of each throughput measurement")
    a.add_argument("--streams", type=int, default=2000, help="open streams in the memory test")
    a.add_argument("--fall", type=float, default=8, help="seconds to wait for memory to fall after the streams ended")
    a.add_argument("--limit", type=int, default=40, help="minutes after which the run ends, whatever it is doing")
    a.add_argument("--nice", type=int, default=0, help="scheduling weight against other sessions' work (root; -8 is a lot)")
    a.add_argument("--no-build", action="store_true")
    o = a.parse_args()
    o.crossway = os.path.abspath(o.crossway)
    unknown = [w for w in o.workloads.split(",") if w not in ALL]
    if unknown:
        a.error(f"no workload {', '.join(unknown)}")
    return o


def build(target):
    if not shutil.which("nginx"):
        raise SystemExit("nginx is missing (Debian: apt-get install nginx-light)")
    subprocess.run(["cargo", "build", "--release", "--quiet", "-j2", "--manifest-path",
                    os.path.join(HERE, "tools", "Cargo.toml"), "--target-dir", target], check=True)


def isolate():
    """Starts this program again inside a fresh network namespace, in which only its own loopback exists."""
    flags = ["-n"] if os.geteuid() == 0 else ["-r", "-n"]
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", *flags, sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--no-build"])


def text_of(*cmd):
    try:
        r = subprocess.run(cmd, capture_output=True, text=True, cwd=HERE, timeout=10)
        return (r.stdout or r.stderr).strip()
    except (OSError, subprocess.TimeoutExpired):
        return "?"


def about(o):
    """Everything that the figures depend on and that is not in the repository."""
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    with open("/proc/meminfo") as f:
        mem = int(f.readline().split()[1]) // 1024
    args = [re.sub(r"^.*/(?=[^/]+$)", "…/", a) if a.startswith("/") else a for a in sys.argv[1:] if a != "--no-build"]
    dirty = " + changes" if text_of("git", "status", "--porcelain", "--", "..") else ""
    crossway = text_of(o.crossway, "version").splitlines() if os.access(o.crossway, os.X_OK) else ["not measured"]
    return dict(kind="about", command=" ".join(["python3 bench/run.py", *args]), date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
                git=text_of("git", "rev-parse", "--short=12", "HEAD") + dirty, crossway=crossway[0] if crossway else "?",
                rustc=text_of("rustc", "--version"), nginx=text_of("nginx", "-v").replace("nginx version: ", ""),
                kernel=platform.release(), cpu=model.group(1) if model else platform.machine(), cores=os.cpu_count(),
                memory_mib=mem, python=platform.python_version(), load=os.getloadavg()[0], rounds=o.rounds, secs=o.secs,
                streams=o.streams)


def short(r):
    keys = ("ready_ms", "answer_ms", "pss", "rss", "rps", "cpu_us", "floor_us", "lat_p50", "lat_p99", "added_p50", "added_p99", "before", "open", "later", "ended", "fallen",
            "missing", "twice", "swapped", "bad", "err")
    return " ".join(f"{k}={r[k]:.6g}" for k in keys if r.get(k) is not None)


def one_peer(s, peer, rnd, out):
    """One round of one peer: start, readiness, idle memory, the workloads, stop."""
    def row(workload, **figures):
        out.write(json.dumps(dict(kind="row", round=rnd, peer=peer.name, workload=workload, load=os.getloadavg()[0], **figures)) + "\n")
        print(f"{rnd} {peer.name:10} {workload:10} {figures.get('fail') or short(figures)}", flush=True)

    mock_set(**PLAIN)
    try:
        if peer.cmd is not None or hasattr(peer, "binary"):
            with open(s.body(peer, 200, False), "rb") as f:
                times = peer.start(f.read())
            time.sleep(3)
            row("start", **times, **memory(peer.process.pid))
            peer.settle()
        for name in s.o.workloads.split(","):
            if name == "streams" and peer.process is None:
                continue
            try:
                check(s, peer, name)
                row(name, note=peer.note, **ALL[name](s, peer))
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
                row(name, fail=str(e)[:300])
                if peer.process and peer.process.poll() is not None:
                    break
        if peer.process and peer.process.poll() is None:
            row("after", **memory(peer.process.pid))
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
        row("start", fail=str(e)[:300])
    finally:
        peer.stop()


def main():
    o = options()
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(HERE, "target")
    if os.environ.get(INSIDE) != "1":
        if not o.no_build:
            build(target)
        isolate()
    loopback_up()
    signal.alarm(o.limit * 60)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < 2 * o.streams + 200:
        print(f"! only {hard} open files allowed: {o.streams} streams need {2 * o.streams + 200}")
    if o.nice:
        with open("/proc/self/autogroup", "w") as f:
            f.write(str(o.nice))
    stamp = time.strftime("%Y-%m-%d", time.gmtime())
    work = os.path.join(HERE, "work", f"{stamp}-{o.name}-{os.getpid()}")
    os.makedirs(work)
    os.sched_setaffinity(0, LOAD_CPU)
    tools = os.path.join(target, "release")
    peers = make([p for p in o.peers.split(",") if p], work, o.crossway, o.plain, o.peer_file)
    session = Session(work, tools, o)
    session.near, session.direct = (Peer("direct", work, addr="%s:%d" % addr) for addr in (MOCK, FAR_MOCK))
    session.floor = nginx("floor", work, 9103)
    mocks = [subprocess.Popen([os.path.join(tools, "mock"), "%s:%d" % addr], stdin=subprocess.DEVNULL,
                              preexec_fn=lambda cpu=cpu: os.sched_setaffinity(0, cpu))
             for addr, cpu in ((MOCK, LOAD_CPU), (FAR_MOCK, GATEWAY_CPU))]

    def ended(signum, _frame):
        raise SystemExit(f"ended by signal {signum}")

    for sig in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(sig, ended)
    rows = os.path.join(work, "rows.jsonl")
    try:
        if not until(lambda: mock_get("stats"), 5, 0.02):
            raise SystemExit("the mock did not start")
        with open(rows, "w", buffering=1) as out:
            out.write(json.dumps(about(o)) + "\n")
            with open(session.body(session.floor, 200, False), "rb") as f:
                session.floor.start(f.read())
            for rnd in range(o.rounds):
                for peer in peers:
                    one_peer(session, peer, rnd, out)
    finally:
        for peer in [*peers, session.floor]:
            peer.stop()
        for mock in mocks:
            mock.kill()
            mock.wait()
    print("report:", os.path.relpath(report.write([rows], os.path.join(HERE, "results", f"{stamp}-{o.name}.md"))))


if __name__ == "__main__":
    main()
