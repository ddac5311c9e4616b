"""DEP-05: administrators who ask for much do not slow down those who ask for answers."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

import pytest
from conftest import MakeGateway, MakeUpstream
from harness.gateway import ADMIN_TOKEN, simple
from harness.notes import note
from test_exhaustion import latencies, script

pytestmark = pytest.mark.alone

ADMINS = 20

# Each of them, one after the other, over 90 days.
STORM = """
import json, sys, threading, time
sys.path.insert(0, sys.argv[1])
from harness.wire import call
url, token, since = sys.argv[2:5]
paths = [
    f"usage?group_by=model,day&from={since}", f"usage?group_by=key,status&from={since}", f"requests/histogram?from={since}",
    f"requests?limit=200&from={since}", f"requests/count?from={since}",
]
counts, slowest, stop = {}, [0.0], threading.Event()
def admin(number):
    at = number
    while not stop.is_set():
        at += 1
        began = time.monotonic()
        reply = call(url, "/admin/v1/environments/default/" + paths[at % len(paths)], key=token, timeout=35)
        slowest[0] = max(slowest[0], time.monotonic() - began)
        counts[reply.status] = counts.get(reply.status, 0) + 1
        # What the others' turns leave of one core of this process is its pace.
        time.sleep(0.02)
threads = [threading.Thread(target=admin, args=(n,)) for n in range(int(sys.argv[5]))]
[t.start() for t in threads]
print("begun", flush=True)
sys.stdin.read()
stop.set()
[t.join() for t in threads]
print(json.dumps([counts, slowest[0]]))
"""


def test_a_storm_of_analytics(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    served = gateway(simple(upstream(script).base_url))
    latencies(served, served.key, 3_000)
    alone, beside, answered = [], [], 0
    since = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 90 * 86_400))
    for _ in range(4):
        alone.append(latencies(served, served.key, 500))
        command = [sys.executable, "-c", STORM, sys.path[0], served.admin_url, ADMIN_TOKEN, since, str(ADMINS)]
        storm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert storm.stdout is not None and storm.stdout.readline() == b"begun\n"
        beside.append(latencies(served, served.key, 500))
        out, _ = storm.communicate(timeout=60)
        counts, slowest = json.loads(out)
        # 429 is the admin side's own limit; 503 that the database is busy with others.
        assert set(counts) <= {"200", "429", "503"} and counts.get("200", 0) > 0, counts
        assert slowest < 30
        answered += counts["200"]
    before, after = ([statistics.quantiles(block, n=100) for block in blocks] for blocks in (alone, beside))
    p50, p99 = ([statistics.median(cut[at] for cut in side) * 1e3 for side in (before, after)] for at in (49, 98))
    note(f"DEP-05: {ADMINS} administrators, {answered} answers: p50 {p50[0]:.2f} -> {p50[1]:.2f} ms, p99 {p99[0]:.2f} -> {p99[1]:.2f} ms")
    # They and their client share two cores with the data plane: what must not be is that it waits for them.
    assert p50[1] < 10 and p99[1] < 100, (before, after)
