"""HTTP/2 by prior knowledge on the data listener: the same answers as over HTTP/1.1, many at once."""

from __future__ import annotations

import json
import signal
import threading

import httpx
from conftest import MakeGateway, MakeUpstream, Pair
from harness import openai_wire as wire
from harness.gateway import simple
from harness.http2 import Http2
from harness.upstream import LAST_CHUNK, Hang, Request, Step, Wait, chunk, reply_json, stream_head
from harness.wire import sse_data
from hyperframe.frame import DataFrame, GoAwayFrame, HeadersFrame, RstStreamFrame

MESSAGES = [{"role": "user", "content": "Hello"}]
BODY = json.dumps({"model": "m", "messages": MESSAGES}).encode()
STREAM = json.dumps({"model": "m", "stream": True, "messages": MESSAGES}).encode()


def script(request: Request) -> list[Step]:
    if request.json.get("stream"):
        return [stream_head(), *map(chunk, wire.events()), LAST_CHUNK]
    said = request.json["messages"][-1]["content"]
    return [*reply_json(wire.completion(said))]


def test_a_client_of_http2(pair: Pair) -> None:
    """HTTP-04: buffered, streamed and refused, with an ordinary client."""
    pair.script(script)
    with httpx.Client(http1=False, http2=True, base_url=pair.gateway.url) as client:
        client.headers["authorization"] = f"Bearer {pair.gateway.key}"
        reply = client.post("/v1/chat/completions", json=json.loads(BODY))
        assert (reply.status_code, reply.http_version) == (200, "HTTP/2")
        assert reply.json()["choices"][0]["message"]["content"] == "Hello"
        assert int(reply.headers["content-length"]) == len(reply.content) and reply.headers["date"]
        with client.stream("POST", "/v1/chat/completions", json=json.loads(STREAM)) as streamed:
            assert streamed.headers["content-type"].startswith("text/event-stream")
            assert "connection" not in streamed.headers and "transfer-encoding" not in streamed.headers
            assert sse_data(streamed.read())[-1] == b"[DONE]"
        record = pair.gateway.record(streamed.headers["x-request-id"])
        assert record["status"] == 200, record
        for path, body, status in [
            ("/v1/chat/completions", {"model": "nobody"}, 400),
            ("/v1/nothing", {}, 404),
            ("/v1/models", {}, 405),
        ]:
            refused = client.post(path, json=body)
            assert refused.status_code == status and refused.json()["error"]["message"], refused.text
        client.headers["authorization"] = "Bearer sk-cw-wrong"
        refused = client.post("/v1/messages", json={})
        assert refused.status_code == 401 and refused.json()["type"] == "error"


def test_a_hundred_streams_at_once(pair: Pair) -> None:
    """All of them wait at the provider together, on one connection; each gets its own answer."""
    release = threading.Event()
    pair.script(lambda request: [Wait(release), *script(request)])
    with Http2(pair.gateway.url, pair.gateway.key) as client:
        streams = list(range(1, 201, 2))
        for stream in streams:
            words = [{"role": "user", "content": f"word {stream}"}]
            client.ask(stream, json.dumps({"model": "m", "messages": words}).encode())
        pair.gateway.wait(lambda: len(pair.upstream.journal) >= 100, "all of them at the provider")
        assert len(pair.upstream.journal) == 100
        release.set()
        answers = client.answers(*streams)
    for stream in streams:
        assert answers[stream].status == 200
        assert json.loads(answers[stream].body)["choices"][0]["message"]["content"] == f"word {stream}"


def test_a_large_body(pair: Pair) -> None:
    """Larger than every window, and larger than what is allowed."""
    pair.script(script)
    with httpx.Client(http1=False, http2=True, base_url=pair.gateway.url, timeout=30) as client:
        client.headers["authorization"] = f"Bearer {pair.gateway.key}"
        large = {"model": "m", "messages": [{"role": "user", "content": "x" * (5 << 20)}]}
        reply = client.post("/v1/chat/completions", json=large)
        assert reply.status_code == 200, reply.text[:300]
        assert len(reply.json()["choices"][0]["message"]["content"]) == 5 << 20
    with Http2(pair.gateway.url, pair.gateway.key) as client:
        client.send(client.head(1, client.fields(more=[("content-length", str(1 << 40))])))
        answer = client.answers(1)[1]
        assert answer.status == 413 and b"request_too_large" in answer.body
        client.ask(3, BODY)
        assert client.answers(3)[3].status == 200, "the connection goes on"


def test_one_stream_is_cancelled(pair: Pair) -> None:
    """Its provider is told, long before anything is late; the others go on."""
    release = threading.Event()
    events = [*map(chunk, wire.events())]

    def two(request: Request) -> list[Step]:
        if request.json["messages"][-1]["content"] == "leave":
            return [stream_head(), *events[:2], Hang()]
        return [stream_head(), *events[:2], Wait(release), *events[2:], LAST_CHUNK]

    pair.script(two)
    with Http2(pair.gateway.url, pair.gateway.key) as client:
        client.ask(1, STREAM.replace(b"Hello", b"leave"))
        client.ask(3, STREAM)
        begun: set[int] = set()
        while begun != {1, 3}:
            frame = client.frame()
            assert frame is not None
            begun |= {frame.stream_id} if isinstance(frame, HeadersFrame) else set()
            if isinstance(frame, HeadersFrame):
                client.decoder.decode(frame.data)
        client.send(RstStreamFrame(1, error_code=8))
        pair.upstream.wait(lambda served: b'"leave"' in served.request.body and served.client_gone)
        release.set()
        body = b""
        while not body.endswith(b"data: [DONE]\n\n"):
            frame = client.frame()
            assert frame is not None and not isinstance(frame, (RstStreamFrame, GoAwayFrame)), frame
            body += frame.data if isinstance(frame, DataFrame) and frame.stream_id == 3 else b""
        client.ask(5, BODY.replace(b"Hello", b"more"))
        release.set()


def test_trailers_are_passed_over(pair: Pair) -> None:
    pair.script(script)
    with Http2(pair.gateway.url, pair.gateway.key) as client:
        client.send(client.head(1), DataFrame(1, data=BODY))
        client.send(client.head(1, [("x-checksum", "1")], ("END_HEADERS", "END_STREAM")))
        assert client.answers(1)[1].status == 200


def test_two_hosts(pair: Pair) -> None:
    pair.script(script)
    with Http2(pair.gateway.url, pair.gateway.key) as client:
        client.ask(1, BODY, client.fields(more=[("host", "elsewhere.example")]))
        client.ask(3, BODY, client.fields(more=[("host", client.authority)]))
        answers = client.answers(1, 3)
        assert (answers[1].status, answers[3].status) == (400, 200)
        client.ask(5, BODY, client.fields(more=[(f"x-{at}", "y") for at in range(100)]))
        client.ask(7, BODY, client.fields(more=[("x", "y" * 50_000)]))
        assert [answer.status for answer in client.answers(5, 7).values()] == [431, 431]


def test_a_shutdown_finishes_streams(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """GOAWAY, no stream more, and those that run come to their end."""
    release = threading.Event()
    events = [*map(chunk, wire.events())]
    up = upstream(lambda _: [stream_head(), *events[:2], Wait(release), *events[2:], LAST_CHUNK])
    served = gateway(simple(up.base_url))
    with Http2(served.url, served.key) as client:
        client.ask(1, STREAM)
        client.ask(3, STREAM)
        up.wait(lambda _: len(up.journal) == 2)
        seen: dict[int, bytes] = {1: b"", 3: b""}
        while not all(seen.values()):
            frame = client.frame()
            assert frame is not None
            if isinstance(frame, DataFrame):
                seen[frame.stream_id] += frame.data
        served.signal(signal.SIGTERM)
        told = False
        while not told:
            frame = client.frame()
            assert frame is not None
            if isinstance(frame, DataFrame):
                seen[frame.stream_id] += frame.data
            told = isinstance(frame, GoAwayFrame) and frame.error_code == 0
        release.set()
        while (frame := client.frame()) is not None:
            assert not isinstance(frame, RstStreamFrame) or frame.error_code == 0, frame
            if isinstance(frame, DataFrame):
                seen[frame.stream_id] += frame.data
        assert client.closed
    for body in seen.values():
        assert sse_data(body)[-1] == b"[DONE]"
    assert served.process is not None and served.process.wait(10) == 0
