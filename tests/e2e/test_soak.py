"""Memory over an hour, and that nothing is lost in it."""

from __future__ import annotations

import os
import time

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import soak
from harness.gateway import ADMIN_TOKEN
from harness.notes import note
from harness.wire import call

pytestmark = pytest.mark.alone

# Minutes; an hour is what the figure of MEM-01 is about, a few seconds show that the test works.
MINUTES = float(os.environ.get("CROSSWAY_SOAK_MINUTES", "0.1"))

# What of one core the test may use.
SHARE = float(os.environ.get("CROSSWAY_SOAK_SHARE", "0.12"))


def test_nothing_grows_and_nothing_is_lost(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """MEM-01, DUR-01: no error, one record for each request, no slope, no descriptor and no thread more."""
    up, down = upstream(soak.script), upstream(soak.script)
    served = gateway(soak.config(up.base_url, down.base_url))
    mix = soak.Soak(served, [up, down])
    samples = mix.run(MINUTES, SHARE if MINUTES >= 1 else 1.0, lambda line: print(line, flush=True))
    assert not mix.wrong, mix.wrong

    def counted() -> int:
        reply = call(served.admin_url, "/admin/v1/environments/default/requests/count", key=ADMIN_TOKEN)
        assert reply.status == 200, reply
        return int(reply.json["count"])

    served.wait(lambda: counted() >= mix.recorded, "all records")
    time.sleep(1.5)
    assert counted() == mix.recorded, mix.sent
    note(f"MEM-01: {dict(mix.sent)} in {MINUTES} min; samples (s, KiB, threads, descriptors):")
    every = max(1, len(samples) // 26)
    note(" ".join(f"({s.at:.0f},{s.kib},{s.threads},{s.descriptors})" for s in samples[::every]))
    if MINUTES < 30:
        return
    warm = [s for s in samples if s.at >= MINUTES * 60 / 6]
    per_hour = soak.slope([(s.at / 3600, s.kib / 1024) for s in warm])
    note(f"MEM-01: slope {per_hour:.3f} MiB an hour over the last {(warm[-1].at - warm[0].at) / 60:.0f} min, {len(warm)} samples")
    assert per_hour < 1.0, samples
    assert max(s.threads for s in warm) - min(s.threads for s in warm) <= 1, samples
    assert max(s.descriptors for s in warm) - min(s.descriptors for s in warm) <= 8, samples
