"""SHUT-03: two nodes are restarted one after the other under load, and nobody notices: `drain_delay`."""

from __future__ import annotations

import shutil
import signal
import threading
import time

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.cli import run
from harness.gateway import Gateway, simple
from harness.notes import note
from harness.upstream import Request, Step, reply_json
from harness.wire import call

pytestmark = pytest.mark.alone

BODY = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def script(_: Request) -> list[Step]:
    return [*reply_json(wire.completion("hello"))]


class Balancer:
    """Shares out requests among the nodes that say that they are ready, and looks every 100 ms, as balancers do."""

    def __init__(self, nodes: list[Gateway]) -> None:
        self.nodes, self.ready, self.stop = nodes, list(nodes), threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self.stop.is_set():
            self.ready = [node for node in self.nodes if node.admin_url and node._ready() == 200] or self.ready
            time.sleep(0.1)


def test_a_rolling_restart(gateway: MakeGateway, upstream: MakeUpstream, tmp_path) -> None:
    # Thirty looks of the balancer, so that it notices on a busy machine, too.
    config = {"drain_delay": "3s"} | simple(upstream(script).base_url)
    one = gateway(config)
    key, backup = one.key, tmp_path / "backup.tar"
    assert run(one, "backup", backup, "--include-master-key", config=True).code == 0
    two = gateway(config, start=False)
    shutil.rmtree(two.folder / "data", ignore_errors=True)
    restored = run(two, "restore", backup, config=True)
    assert restored.code == 0, restored.all
    two._key = key
    two.start()

    balancer = Balancer([one, two])
    stop, statuses, failed = threading.Event(), [], []

    def load(number: int) -> None:
        while not stop.is_set():
            ready = balancer.ready
            node = ready[(number + len(statuses)) % len(ready)]
            try:
                statuses.append(call(node.url, "/v1/chat/completions", BODY, key=key).status)
            # What ends without an answer fails an assertion.
            except (OSError, AssertionError) as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=load, args=(n,), daemon=True) for n in range(6)]
    for thread in threads:
        thread.start()
    began = time.monotonic()

    def more(node: Gateway) -> None:
        """Waits for answers."""
        before = len(statuses)
        node.wait(lambda: len(statuses) >= before + 100 or failed, "answers", 60)

    for node, other in ((one, two), (two, one)):
        more(node)
        node.signal(signal.SIGTERM)
        more(other)
        assert node.process is not None and node.process.wait(20) == 0
        node.start()
        node.wait(lambda node=node: node in balancer.ready, "the balancer to see it")
    more(two)
    stop.set()
    for thread in threads:
        thread.join(20)
    balancer.stop.set()
    note(f"SHUT-03: {len(statuses)} requests in {time.monotonic() - began:.1f} s over two restarts, {len(failed)} failed")
    assert failed == [] and set(statuses) == {200}, (failed[:3], set(statuses))


def test_the_delay_keeps_the_door_open(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """The process ends when the delay is over, and not before."""
    served = gateway({"drain_delay": "1500ms"} | simple(upstream(script).base_url))
    began = time.monotonic()
    served.signal(signal.SIGTERM)
    assert served.process is not None and served.process.wait(20) == 0
    assert time.monotonic() - began >= 1.4


def test_a_second_signal_does_not_wait(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Readiness is over at once, and new connections are served for as long as the delay is."""
    served = gateway({"drain_delay": "1h"} | simple(upstream(script).base_url))
    served.signal(signal.SIGTERM)
    served.wait(lambda: served._ready() == 503, "/readyz to say 503")
    assert call(served.url, "/v1/chat/completions", BODY, key=served.key).status == 200
    served.signal(signal.SIGTERM)
    assert served.process is not None and served.process.wait(20) == 0
