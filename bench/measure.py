"""What the bench reads from the kernel and from the mock: CPU time, memory, times of readiness, counters."""
import http.client
import json
import os
import select
import socket
import time

TICK = os.sysconf("SC_CLK_TCK")
MOCK = ("127.0.0.1", 9000)           # on the generator's CPU, the upstream of every peer
FAR_MOCK = ("127.0.0.1", 9001)       # on the gateway's CPU, only for direct comparisons


def tree(pid):
    """pid and all its living descendants."""
    children = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        stat = _stat(int(name))
        if stat:
            children.setdefault(int(stat[1]), []).append(int(name))
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def _stat(pid):
    """/proc/PID/stat from the state on, or None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None


def cpu_seconds(pid):
    """(fine, ticks): user+system seconds of the process tree, by two clocks.

    fine   the POSIX CPU clock of each process (clock_getcpuclockid): the scheduler's own sum in nanoseconds over all
           threads, also those that ended, plus what reaped children used (in ticks)
    ticks  utime + stime of /proc/PID/stat, 10 ms each
    """
    fine = ticks = 0.0
    for p in tree(pid):
        stat = _stat(p)
        if not stat:
            continue
        own, reaped = (int(stat[11]) + int(stat[12])) / TICK, (int(stat[13]) + int(stat[14])) / TICK
        ticks += own + reaped
        try:
            fine += time.clock_gettime((~p << 3) | 2) + reaped
        except OSError:
            fine += own + reaped
    return fine, ticks


def memory(pid):
    """Resident and proportional set size of the process tree in MiB, and its number of threads."""
    sums = dict(Rss=0, Pss=0)
    threads = 0
    for p in tree(pid):
        try:
            threads += len(os.listdir(f"/proc/{p}/task"))
            with open(f"/proc/{p}/smaps_rollup") as f:
                for line in f:
                    name, _, rest = line.partition(":")
                    if name in sums:
                        sums[name] += int(rest.split()[0])
        except OSError:
            pass
    return dict(rss=round(sums["Rss"] / 1024, 2), pss=round(sums["Pss"] / 1024, 2), threads=threads)


def machine():
    """Busy, stolen and all ticks of the machine's CPUs since it started."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return dict(busy=sum(v) - v[3] - v[4], steal=v[7], all=sum(v))


def call(addr, method, path, body=None, headers=None, timeout=10):
    """One request on a connection of its own: (status, body)."""
    host, port = addr if isinstance(addr, tuple) else (addr.split(":")[0], int(addr.split(":")[1]))
    c = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        c.request(method, path, body, {"connection": "close", **(headers or {})})
        r = c.getresponse()
        return r.status, r.read()
    finally:
        c.close()


def mock_set(addr=MOCK, **settings):
    call(addr, "POST", "/__mock/set?" + "&".join(f"{k}={v}" for k, v in settings.items()))


def mock_get(path):
    return json.loads(call(MOCK, "GET", f"/__mock/{path}", timeout=60)[1])


def until(what, seconds, step=0.001):
    """Calls `what` every `step` seconds until it is true; the time when it was, or None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if what():
                return time.monotonic()
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(step)
    return None


def read_line(pipe, seconds):
    """The next line of an unbuffered pipe, or "" when none came in time."""
    line, end = b"", time.monotonic() + seconds
    while not line.endswith(b"\n"):
        if not select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
            return ""
        got = os.read(pipe.fileno(), 1)
        if not got:
            break
        line += got
    return line.decode()


def loopback_up():
    """Brings `lo` up in this network namespace (SIOCSIFFLAGS with IFF_UP | IFF_RUNNING)."""
    import fcntl
    import struct
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
