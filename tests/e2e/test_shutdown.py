"""SIGTERM with open streams: no new callers, no cut stream, no lost record."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.gateway import simple
from harness.upstream import LAST_CHUNK, Request, Step, Wait, chunk, reply_json, stream_head
from harness.wire import Connection, Reply, call, request_bytes

pytestmark = pytest.mark.alone

STREAMS = 8


def stream_of(gateway_url: str, key: str, started: threading.Barrier) -> Reply:
    """Opens a stream, waits for its first event, then reads it to the end."""
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with Connection(gateway_url) as connection:
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, body))
        reply = connection.head()
        assert reply is not None and reply.status == 200
        first = connection.chunk()
        assert first
        started.wait(20)
        reply.chunks.append(first)
        while piece := connection.chunk():
            reply.chunks.append(piece)
        reply.whole = piece == b""
        reply.body = b"".join(reply.chunks)
        return reply


def test_open_streams_finish(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Acceptance SHUT-01."""
    go_on = threading.Event()

    def script(_: Request) -> list[Step]:
        first, second, *rest = wire.events()
        return [stream_head(), chunk(first), chunk(second), Wait(go_on), *map(chunk, rest), LAST_CHUNK]

    slow = upstream(script)
    served = gateway(simple(slow.base_url))
    key, started = served.key, threading.Barrier(STREAMS + 1)
    with ThreadPoolExecutor(STREAMS) as pool:
        replies = [pool.submit(stream_of, served.url, key, started) for _ in range(STREAMS)]
        started.wait(20)
        served.signal(signal.SIGTERM)
        served.wait(lambda: served._ready() == 503, "/readyz to say 503")
        assert served.alive, "it waits for its streams"
        go_on.set()
        answers = [reply.result(20) for reply in replies]
    for answer in answers:
        assert answer.whole and answer.events[-1] == b"[DONE]"
        assert b" friend" in answer.body
    assert served.process is not None and served.process.wait(20) == 0

    served.start()
    for answer in answers:
        assert served.record(answer.header("x-request-id") or "")
    assert len(served.records()) == STREAMS


def test_a_buffered_request_finishes(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    go_on = threading.Event()
    slow = upstream(lambda _: [Wait(go_on), *reply_json(wire.completion())])
    served = gateway(simple(slow.base_url))
    served.key
    with ThreadPoolExecutor(1) as pool:
        reply = pool.submit(served.ask)
        slow.wait(lambda _: True)
        served.signal(signal.SIGTERM)
        served.wait(lambda: served._ready() == 503, "/readyz to say 503")
        go_on.set()
        assert reply.result(20).status == 200
    assert served.process is not None and served.process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_it_ends_at_once(gateway: MakeGateway, upstream: MakeUpstream, number: signal.Signals) -> None:
    served = gateway(simple(upstream(wire.answer).base_url))
    assert served.ask().status == 200
    with Connection(served.url) as idle:
        idle.send(request_bytes("GET", "/v1/models", {"authorization": f"Bearer {served.key}"}))
        assert idle.reply("GET") is not None
        served.signal(number)
        # The grace time is half a minute.
        assert served.process is not None and served.process.wait(15) == 0, "an idle connection holds nothing up"


def test_after_shutdown_nothing_listens(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    served = gateway(simple(upstream(wire.answer).base_url))
    assert served.stop() == 0
    with pytest.raises(OSError):
        call(served.url, "/v1/models", timeout=1)
