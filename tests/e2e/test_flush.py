"""STREAM-07: every event leaves when it comes. Nothing gathers them, and nothing compresses them."""

from __future__ import annotations

import json
import statistics
import threading
import time

import pytest
from conftest import Pair
from harness import openai_wire as wire
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
    waits = []
    for _ in range(5):
        sent.clear()
        with Connection(pair.gateway.url) as connection:
            connection.send(ask(pair, SURFACES[surface]))
            for number, word in enumerate(WORDS):
                assert connection.read_until(word.encode()) is not None
                waits += [time.monotonic() - sent[number]] if number > 1 else []
    cuts = statistics.quantiles(waits, n=100)
    note(f"STREAM-07 {surface}: an event waits {cuts[49] * 1e3:.2f} ms (p50), {cuts[98] * 1e3:.2f} ms (p99)")
    # 2 ms are the aim for the far end; on a machine that is shared it is the middle that shows gathering.
    assert cuts[49] < 0.002
