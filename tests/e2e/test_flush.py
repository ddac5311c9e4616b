"""STREAM-07: every event leaves when it comes. Nothing gathers them, and nothing compresses them."""

from __future__ import annotations

import json
import statistics
import threading
import time

import pytest
from conftest import Pair
from harness import openai_wire as wire
from harness.calm import calmly
from harness.notes import note
from harness.upstream import Request, Sleep, Step, Wait, chunk, stream_head
from harness.wire import Connection, request_bytes

pytestmark = pytest.mark.alone

WORDS = [f"word{number} " for number in range(40)]

SURFACES = {
    "chat": "/v1/chat/completions",
    # Translated, event by event.
    "messages": "/v1/messages",
}


def ask(pair: Pair, path: str) -> bytes:
    body = {"model": "m", "stream": True, "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}
    fields = {"authorization": f"Bearer {pair.gateway.key}", "content-type": "application/json"}
    fields |= {"accept-encoding": "gzip, deflate, br, zstd"}
    return request_bytes("POST", path, fields, json.dumps(body).encode())


@pytest.mark.parametrize("surface", SURFACES)
def test_no_event_waits_for_the_next(pair: Pair, surface: str) -> None:
    """The provider sends a word only once the caller has read the one before it: whatever gathers would stand still."""
    read = [threading.Event() for _ in WORDS]
    head, *events = wire.events(WORDS)

    def script(_: Request) -> list[Step]:
        steps: list[Step] = [stream_head(), chunk(head)]
        for number, event in enumerate(events[: len(WORDS)]):
            # The very first content waits for the one behind it, on purpose: until then another provider could answer.
            steps += [Wait(read[number - 1])] if number > 1 else []
            steps.append(chunk(event))
        return [*steps, Wait(read[-1]), *map(chunk, events[len(WORDS) :]), b"0\r\n\r\n"]

    pair.script(script)
    with Connection(pair.gateway.url) as connection:
        connection.send(ask(pair, SURFACES[surface]))
        reply = connection.head()
        assert reply is not None and reply.status == 200
        assert reply.header("content-encoding") is None and reply.header("x-accel-buffering") == "no"
        assert (reply.header("content-type") or "").startswith("text/event-stream")
        for number, word in enumerate(WORDS):
            assert connection.read_until(word.encode()) is not None, number
            read[number].set()
        assert connection.read_until(b"0\r\n\r\n") is not None


@pytest.mark.parametrize("surface", SURFACES)
def test_what_an_event_waits(pair: Pair, surface: str) -> None:
    """From the provider's write to the caller's read; both are in this process and read one clock."""
    sent: list[float] = []
    head, *events = wire.events(WORDS)

    def script(_: Request):
        yield stream_head()
        yield chunk(head)
        for event in events[: len(WORDS)]:
            yield Sleep(0.005)
            sent.append(time.monotonic())
            yield chunk(event)
        yield from map(chunk, events[len(WORDS) :])
        yield b"0\r\n\r\n"

    pair.script(script)

    def waits(url: str) -> list[float]:
        """What each event waits, in milliseconds."""
        sent.clear()
        found = []
        with Connection(url) as connection:
            connection.send(ask(pair, SURFACES[surface]))
            for number, word in enumerate(WORDS):
                assert connection.read_until(word.encode()) is not None
                found += [(time.monotonic() - sent[number]) * 1e3] if number > 1 else []
        return found

    def measure() -> tuple[list[float], list[float]]:
        """Percentiles without the gateway and with it, by turns."""
        both: tuple[list[float], list[float]] = ([], [])
        for _ in range(5):
            both[0].extend(waits(pair.upstream.url))
            both[1].extend(waits(pair.gateway.url))
        return statistics.quantiles(both[0], n=100), statistics.quantiles(both[1], n=100)

    # 2 ms are the aim for the far end; on a machine that is shared it is the middle that shows gathering.
    good = lambda cuts: cuts[1][49] - cuts[0][49] < 2.0  # noqa: E731
    direct, through = calmly(measure, good)
    note(
        f"STREAM-07 {surface}: an event waits {through[49]:.2f} ms (p50), {through[98]:.2f} ms (p99); "
        f"without a gateway {direct[49]:.2f} ms, {direct[98]:.2f} ms"
    )
    assert good((direct, through)), (direct[49], through[49])
