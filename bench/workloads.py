"""The workloads. Each takes a Session and a peer and returns a dict of figures (times in microseconds, memory in MiB)."""
import json
import os
import subprocess
import time
from statistics import median

from measure import FAR_MOCK, MOCK, call, cpu_seconds, machine, memory, mock_get, mock_set, read_line, until
from peers import FLOOR, LOAD_CPU

CHUNKS = 100
SLICES = 4
PLAIN = dict(delay_ms=0, gap_us=0, chunks=CHUNKS, allow=0)
WORDS = ("the gateway forwards a request to one of several providers, counts what it used, and keeps each key within "
         "its budget; a door opens for those who hold a key to it. ").split()


class Session:
    """Files and tools of one run."""

    def __init__(self, work, tools, options):
        self.work, self.tools, self.o = work, tools, options

    def body(self, peer, size, stream, translated=False):
        """Writes the request body into a file and returns its path. The `user` value is where ids go."""
        text = " ".join(WORDS[(i * 7 + i // 11) % len(WORDS)] for i in range(size // 5))[:size]
        model = peer.translated or peer.model if translated else peer.model
        b = dict(model=model, max_tokens=256, user="bench-id-00000000",
                 messages=[dict(role="system", content="You are a terse assistant."), dict(role="user", content=text)])
        if stream:
            b.update(stream=True, stream_options=dict(include_usage=True))
        path = os.path.join(self.work, f"{peer.name}-{size}-{model}-{'s' if stream else 'b'}.json")
        with open(path, "w") as f:
            json.dump(b, f, separators=(",", ":"))
        return path

    def load_cmd(self, peer, stream=False, size=200, direct=None, translated=False, **options):
        addr, path = (direct.addr, direct.path) if direct else (peer.addr, peer.url(stream))
        cmd = [os.path.join(self.tools, "load"), "--addr", addr, "--path", path, "--body", self.body(peer, size, stream, translated)]
        for name, value in peer.headers.items():
            cmd += ["-H", f"{name}: {value}"]
        if stream:
            cmd.append("--stream")
        for name, value in options.items():
            cmd += [f"--{name}", str(value)]
        return cmd

    def load(self, peer, **options):
        done = subprocess.run(self.load_cmd(peer, **options), capture_output=True, text=True, timeout=120,
                              preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CPU))
        if done.returncode:
            raise RuntimeError(f"load: {done.stderr[-400:]}")
        return json.loads(done.stdout.splitlines()[-1])


def throughput(s, peer, mock, secs, **options):
    """Load against the peer with the CPU time that it takes, per request that the mock served.

    Floor and peer take turns in slices of less than a second or so: their ratio is of the same moments of the machine.
    """
    mock_set(**{**PLAIN, **mock})
    sides = [peer] if peer.process is None or peer.name == FLOOR else [s.floor, peer]
    for side in sides:
        s.load(side, secs=min(0.7, secs), **{**options, "conns": min(8, options.get("conns", 8))})
    got = {side: [] for side in sides}
    time.sleep(0.1)
    for _ in range(SLICES):
        for side in sides:
            got[side].append(_slice(s, side, secs / SLICES, options))
    out = _sum(got[peer])
    if len(sides) > 1:
        floor = _sum(got[s.floor])
        out.update(floor_us=floor["cpu_us"], floor_rps=floor["rps"], floor_ttfb_p50=floor.get("ttfb_p50"), floor_bad=floor["bad"] + floor["err"],
                   ratios=[round(_us(a) / _us(b), 3) for a, b in zip(got[peer], got[s.floor]) if _us(b)])
    return out


def _us(r):
    return r["fine"] * 1e6 / max(1, r["served"])


def _slice(s, peer, secs, options):
    pid = peer.process.pid if peer.process else None
    before, m0, t0 = mock_get("stats"), machine(), time.monotonic()
    cpu0 = cpu_seconds(pid) if pid else (0, 0)
    r = s.load(peer, secs=secs, **options)
    wall = time.monotonic() - t0
    time.sleep(0.05)
    cpu1 = cpu_seconds(pid) if pid else (0, 0)
    after, m1 = mock_get("stats"), machine()
    r.update(served=after["requests"] - before["requests"], upstream_conns=after["conns"] - before["conns"], took=wall,
             fine=cpu1[0] - cpu0[0], ticks=cpu1[1] - cpu0[1], pid=pid, **{k: m1[k] - m0[k] for k in m0})
    return r


def _sum(slices):
    """Counts and CPU time added up, percentiles as medians over the slices."""
    total = {k: sum(r[k] for r in slices) for k in ("n", "ok", "bad", "err", "served", "upstream_conns", "took", "wall",
                                                    "fine", "ticks", "busy", "steal", "all")}
    out = {k: total[k] for k in ("n", "ok", "bad", "err", "served", "upstream_conns")}
    out.update(rps=round(total["ok"] / total["wall"], 1), machine_busy=round(total["busy"] / max(1, total["all"]), 3),
               steal=round(total["steal"] / max(1, total["all"]), 4),
               first_bad=next((r["first_bad"] for r in slices if r["first_bad"]), ""))
    for kind in ("lat", "ttfb", "gap"):
        for p in ("p50", "p90", "p99", "max"):
            values = [r[kind][p] for r in slices if r[kind]]
            if values:
                out[f"{kind}_{p}"] = median(values)
    if slices[0]["pid"]:
        served = max(1, total["served"])
        out.update(cpu_us=round(total["fine"] * 1e6 / served, 2), util=round(total["fine"] / total["took"], 3),
                   cpu_ticks_us=round(total["ticks"] * 1e6 / served, 2))
    return out


def small(s, peer):
    return throughput(s, peer, {}, s.o.secs, conns=32)


def translated(s, peer):
    """As small, but the upstream speaks Anthropic's dialect; the floor forwards the same dialect."""
    return throughput(s, peer, {}, s.o.secs, conns=32, translated=True)


def large(s, peer):
    return throughput(s, peer, {}, s.o.secs, conns=16, size=100_000)


def stream(s, peer):
    return throughput(s, peer, {}, s.o.secs, conns=16, stream=True, events=CHUNKS + 2)


def translated_stream(s, peer):
    """As stream, but the upstream speaks Anthropic's dialect."""
    return throughput(s, peer, {}, s.o.secs, conns=16, stream=True, events=CHUNKS + 2, translated=True)


def paced(s, peer):
    return throughput(s, peer, dict(gap_us=2000), 2 * s.o.secs, conns=128, rate=25, stream=True, events=CHUNKS + 2)


def _added(s, peer, field, slices=4, **options):
    """Direct and through the peer in turn, slice by slice, so that all see the same machine.

    `direct` is a second mock on the gateway's CPU: as with a gateway in between, the answer comes from another CPU.
    `near` is the mock that shares the generator's CPU, where no CPU has to be woken: the lower bound.
    """
    got = dict(near=[], direct=[], peer=[])
    direct = dict(near=s.near, direct=s.direct)
    bad = n = 0
    for _ in range(slices):
        for side in got:
            if side == "peer" and peer.process is None:
                continue
            r = s.load(peer, conns=1, secs=s.o.secs / 6, direct=direct.get(side), **options)
            bad, n = bad + r["bad"] + r["err"], n + r["n"]
            if r[field]:
                got[side].append(r[field])
    out = dict(n=n, bad=bad, err=0)
    for side, values in got.items():
        for p in ("p50", "p99"):
            if values:
                out[f"{side}_{p}"] = median(v[p] for v in values)
    for p in ("p50", "p99"):
        if got["peer"] and got["direct"]:
            out[f"added_{p}"] = round(out[f"peer_{p}"] - out[f"direct_{p}"], 1)
            out[f"added_near_{p}"] = round(out[f"peer_{p}"] - out[f"near_{p}"], 1)
    return out


def latency(s, peer):
    mock_set(**PLAIN)
    return _added(s, peer, "lat")


def first_byte(s, peer):
    for addr in (MOCK, FAR_MOCK):
        mock_set(addr, **{**PLAIN, "chunks": 5})
    return _added(s, peer, "ttfb", stream=True)


def once(s, peer):
    """Every request reaches the upstream exactly once: the caller's log against the mock's journal."""
    return _exactly_once(s, peer, buffered=2_000, streamed=300)


def swap(s, peer):
    """As once, for longer, while the configuration changes all the time."""
    with peer.changes() as made:
        out = _exactly_once(s, peer, buffered=100_000, streamed=3_000)
    return {**out, "changes": made.done, "refused": len(made.refused), "first_refused": made.refused[:1]}


def _exactly_once(s, peer, buffered, streamed):
    mock_set(**PLAIN)
    since, sent, out = mock_get("journal?limit=0")["total"], {}, dict(bad=0, err=0)
    for prefix, stream, count in (("buffered", False, buffered), ("streamed", True, streamed)):
        log = os.path.join(s.work, f"{peer.name}-{prefix}.log")
        r = s.load(peer, conns=16, secs=60, count=count, ids=prefix, log=log, stream=stream)
        out["bad"] += r["bad"]
        out["err"] += r["err"]
        with open(log) as f:
            sent.update((line.split()[0], line.split()[2]) for line in f)
    seen = {}
    for e in mock_get(f"journal?since={since}")["entries"]:
        seen.setdefault(e["id"], []).append(f"chatcmpl-{e['n']}")
    # a gateway may give replies ids of its own; then only the requests' ids are compared
    own_ids = not all(reply.startswith("chatcmpl-") for reply in sent.values())
    out.update(n=len(sent), missing=sum(i not in seen for i in sent), twice=sum(len(v) > 1 for v in seen.values()),
               unknown=sum(i not in sent for i in seen),
               swapped=None if own_ids else sum(i in seen and reply not in seen[i] for i, reply in sent.items()))
    return out


def streams(s, peer):
    """Memory with many open streams, after 60 more chunks on each, and after their end."""
    n = s.o.streams
    mock_set(**{**PLAIN, "chunks": 120, "allow": 40})
    before = memory(peer.process.pid)
    load = subprocess.Popen(s.load_cmd(peer, stream=True, hold=n, secs=90, events=120), stdout=subprocess.PIPE, bufsize=0,
                            preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CPU))
    try:
        opened = read_line(load.stdout, 40)
        if '"open"' not in opened:
            raise RuntimeError(f"{n} streams did not open: mock has {mock_get('stats')['open_streams']}")
        _quiet(peer)
        out = dict(n=n, before=before["pss"], open=memory(peer.process.pid)["pss"])
        out["upstream_open"] = mock_get("stats")["open_streams"]
        mock_set(gap_us=20_000, allow=100)
        time.sleep(1.5)
        _quiet(peer)
        out["later"] = memory(peer.process.pid)["pss"]
        mock_set(gap_us=0, allow=0)
        r = json.loads(read_line(load.stdout, 60) or "{}")
        out.update(ok=r.get("ok", 0), bad=r.get("bad", 0), err=r.get("err", n), first_bad=r.get("first_bad", "no report"))
        time.sleep(2)
        out["ended"] = memory(peer.process.pid)["pss"]
        time.sleep(s.o.fall)
        out.update(fallen=memory(peer.process.pid)["pss"], fall_s=s.o.fall + 2)
        out["kib_per_stream"] = round((out["open"] - out["before"]) * 1024 / n, 1)
        return out
    finally:
        load.kill()
        load.wait()
        mock_set(**PLAIN)


def _quiet(peer):
    """Waits until the peer hardly uses its CPU any more (at most 30 s)."""
    last = [cpu_seconds(peer.process.pid)[0]]

    def calm():
        now = cpu_seconds(peer.process.pid)[0]
        used, last[0] = now - last[0], now
        return used < 0.01

    until(calm, 30, 0.3)


def check(s, peer, name):
    """One request of the workload's kind must be answered well before anything is measured."""
    stream = name in ("stream", "translated_stream", "paced", "first_byte", "streams")
    mock_set(**PLAIN)
    with open(s.body(peer, 100_000 if name == "large" else 200, stream, name.startswith("translated")), "rb") as f:
        status, reply = call(peer.addr, "POST", peer.url(stream), f.read(),
                             {"content-type": "application/json", **peer.headers})
    want = b"[DONE]" if stream else b'"usage"'
    if status != 200 or want not in reply:
        raise RuntimeError(f"{status} {reply[:300].decode(errors='replace')}")


ALL = {f.__name__: f for f in (small, translated, large, stream, translated_stream, paced, latency, first_byte, once, swap, streams)}
