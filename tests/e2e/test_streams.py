"""Streams: every cut gives the same text, silence ends in time, garbage is told and not passed on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Pair
from harness import openai_wire as wire
from harness.splice import without_meta
from harness.upstream import (
    LAST_CHUNK,
    Close,
    Hang,
    Reset,
    Sleep,
    Step,
    Taken,
    chunk,
    head,
    reply,
    stream,
    stream_head,
)
from harness.wire import Connection, Reply, request_bytes

WORDS = ["Hello", " — 你好", " 🦀", " naïve", ' "quoted" \\ \n', " end"]


def text_of(answer: Reply) -> str:
    """The text that a client puts together."""
    out = ""
    for data in answer.events:
        if data != b"[DONE]":
            for choice in json.loads(data).get("choices", []):
                out += choice["delta"].get("content") or ""
    return out


def error_of(answer: Reply) -> dict[str, Any]:
    """The error of the last event of a stream that broke."""
    assert b"[DONE]" not in answer.body, "no end marker after an error"
    return json.loads(answer.events[-1])["error"]


def asked(pair: Pair, steps: list[Step]) -> Reply:
    """A streamed request that the upstream answers so."""
    pair.script(lambda _: steps)
    return pair.gateway.ask(stream=True)


def check_whole(answer: Reply, words: list[str] = WORDS) -> None:
    assert answer.status == 200 and answer.whole, answer.body[:300]
    assert text_of(answer) == "".join(words)
    assert answer.events[-1] == b"[DONE]" and answer.events.count(b"[DONE]") == 1


BODY = b"".join(wire.events(WORDS))


# STREAM-01
def test_every_cut_point(pair: Pair) -> None:
    """Two network chunks, cut at every byte of the stream."""
    expected = None
    for at in range(1, len(BODY)):
        answer = asked(pair, stream([BODY[:at], BODY[at:]]))
        check_whole(answer)
        plain = [without_meta(data)[0] for data in answer.events]
        expected = expected or plain
        assert plain == expected, f"cut at {at}"


def test_one_byte_at_a_time(pair: Pair) -> None:
    check_whole(asked(pair, stream([BODY[at : at + 1] for at in range(len(BODY))])))


@pytest.mark.parametrize("end", [b"\r\n", b"\r"], ids=["CRLF", "CR"])
def test_other_line_ends(pair: Pair, end: bytes) -> None:
    body = BODY.replace(b"\n", end)
    for size in (1, 2, 3, 7, 64, len(body)):
        check_whole(asked(pair, stream([body[at : at + size] for at in range(0, len(body), size)])))


FORMS = {
    "mixed line ends": BODY.replace(b"\n\n", b"\r\n\n", 2),
    "no space after data:": BODY.replace(b"data: ", b"data:"),
    "comments": BODY.replace(b"data: ", b": ping\n\ndata: "),
    "comment lines inside events": BODY.replace(b"data: ", b":x\ndata: "),
    "event, id and retry lines": BODY.replace(b"data: ", b"event: message\nid: 7\nretry: 10\ndata: "),
    "BOM": b"\xef\xbb\xbf" + BODY,
    "many blank lines": BODY.replace(b"\n\n", b"\n\n\n\n"),
    "data over two lines": BODY.replace(b'"choices": ', b'"choices":\ndata: '),
    "comment first": b": OPENROUTER PROCESSING\n\n" * 3 + BODY,
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_events(pair: Pair, form: str) -> None:
    body = FORMS[form]
    for size in (1, 5, len(body)):
        check_whole(asked(pair, stream([body[at : at + size] for at in range(0, len(body), size)])))


def test_a_line_of_a_mebibyte(pair: Pair) -> None:
    words = ["x" * (1 << 20), "你" * (1 << 18)]
    body = b"".join(wire.events(words))
    check_whole(asked(pair, stream([body[at : at + 16_384] for at in range(0, len(body), 16_384)])), words)


def test_without_chunked_coding(pair: Pair) -> None:
    """A stream whose end is the end of the connection."""
    fields = {"content-type": "text/event-stream", "connection": "close"}
    check_whole(asked(pair, [head(200, fields), BODY, Close()]))


# STREAM-03: the deadlines of the fixtures are a second; the next longer one is half a minute, or two
def timed(pair: Pair, steps: list[Step], stream_it: bool = True) -> Reply:
    pair.script(lambda _: steps)
    start = time.monotonic()
    answer = pair.gateway.ask(stream=stream_it)
    assert time.monotonic() - start < 15, "another deadline ended it"
    return answer


@pytest.mark.parametrize("headers_first", [False, True], ids=["not a byte", "headers, then silence"])
def test_silence_before_the_first_token(silent: Pair, headers_first: bool) -> None:
    answer = timed(silent, [stream_head(), Hang()] if headers_first else [Hang()])
    assert answer.status == 504 and answer.error["code"] == "upstream_timeout"


def test_silence_after_the_first_token(fading: Pair) -> None:
    first, second, *_ = map(chunk, wire.events())
    answer = timed(fading, [stream_head() + first + second, Hang()])
    assert answer.status == 200 and text_of_prefix(answer) == "Hello"
    assert error_of(answer)["code"] in ("upstream_timeout", "upstream_stream_aborted")
    fading.upstream.wait(lambda served: served.client_gone)


def pings() -> Iterator[Step]:
    """Comments that go on for longer than any test."""
    for _ in range(1_200):
        yield chunk(b": ping\n\n")
        yield Sleep(0.05)


def test_pings_are_no_content(silent: Pair, fading: Pair) -> None:
    answer = timed(silent, [stream_head(), *pings()])
    assert answer.status == 504 and answer.error["code"] == "upstream_timeout"
    first, second, *_ = map(chunk, wire.events())
    answer = timed(fading, [stream_head() + first + second, *pings()])
    assert error_of(answer)["code"] in ("upstream_timeout", "upstream_stream_aborted")


def test_a_buffered_answer_that_never_ends(silent: Pair) -> None:
    begun = head(200, {"content-type": "application/json", "content-length": "500"}) + b"{"
    answer = timed(silent, [begun, Hang()], False)
    assert answer.status == 504 and answer.error["code"] == "upstream_timeout"


def text_of_prefix(answer: Reply) -> str:
    """The text before the error event."""
    pieces = [json.loads(data) for data in answer.events[:-1]]
    return "".join(choice["delta"].get("content") or "" for piece in pieces for choice in piece["choices"])


# RETRY-03
@pytest.mark.parametrize("end", [Close, Reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("whole", range(2, 6))
def test_cut_after_content(pair: Pair, whole: int, end: type[Step]) -> None:
    events = wire.events(["Hello", " there", " my", " friend"])
    answer = asked(pair, [stream_head(), *map(chunk, events[:whole]), chunk(events[whole][:9]), Taken(), end()])
    assert answer.status == 200
    assert text_of_prefix(answer) == "".join(["Hello", " there", " my", " friend"][: whole - 1])
    assert error_of(answer)["code"] == "upstream_stream_aborted"
    assert set(error_of(answer)) == {"message", "type", "param", "code"}
    assert len(pair.upstream.journal) == 1, "it is never asked again"


def test_an_error_event_after_content_is_passed_on(pair: Pair) -> None:
    first, second, *_ = wire.events()
    failure = wire.event({"error": {"message": "the engine broke", "type": "server_error", "code": "502"}})
    answer = asked(pair, [stream_head(), *map(chunk, (first, second)), Taken(), chunk(failure), LAST_CHUNK])
    assert "the engine broke" in error_of(answer)["message"]
    assert len(pair.upstream.journal) == 1


# Provider garbage
def test_a_stream_without_an_end_marker(pair: Pair) -> None:
    """Finished by its finish reason, it is whole; without one it is cut."""
    events = wire.events()
    finished = asked(pair, stream(events[:-1]))
    assert finished.whole and text_of(finished) == "Hello there friend"
    cut = asked(pair, stream(events[:3]))
    assert error_of(cut)["code"] == "upstream_stream_aborted"


def test_a_stream_that_goes_on_after_its_end(pair: Pair) -> None:
    late = wire.event(wire.piece({"content": " and more"}))
    answer = asked(pair, [stream_head(), *map(chunk, wire.events()), chunk(late), chunk(b"garbage"), Hang()])
    assert text_of(answer) == "Hello there friend"
    assert answer.events[-1] == b"[DONE]" and answer.whole
    assert pair.gateway.ask(stream=True).status == 200


GARBAGE = {
    "half JSON": reply(200, b'{"id":"x","choices":[{"index":0,"mess'),
    "empty": reply(200, b""),
    "no JSON": reply(200, b"hello"),
    "array": reply(200, b"[]"),
    "null": reply(200, b"null"),
    "HTML": reply(200, b"<html>internal-host-7 says hello</html>", {"content-type": "text/html"}),
    "an error with 200": reply(200, b'{"error":{"message":"secretly failed","type":"x","code":"y"}}'),
    "no HTTP": [b"\x16\x03\x01\x02\x00garbage\r\n\r\n", Close()],
    "closed at once": [Close()],
    "reset at once": [Reset()],
    "shorter than promised": [
        head(200, {"content-type": "application/json", "content-length": "900"}),
        b'{"a":',
        Close(),
    ],
    "endless head": [b"HTTP/1.1 200 OK\r\n" + b"x-a: " + b"a" * 2_000_000, Close()],
    "two lengths": [head(200, {"content-length": "2", "Content-Length": "30"}) + b"{}", Close()],
}


@pytest.mark.parametrize("stream_it", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_becomes_a_clear_error(pair: Pair, name: str, stream_it: bool) -> None:
    """SSRF-07 too: nothing that an unexpected server says reaches the caller."""
    pair.script(lambda _: GARBAGE[name])
    answer = pair.gateway.ask(stream=stream_it)
    assert answer.status in (502, 503), (answer.status, answer.body[:200])
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert answer.header(
        "content-type",
    ).startswith("application/json")  # type: ignore[union-attr]
    for foreign in (b"internal-host-7", b"<html", b"hello"):
        assert foreign not in answer.body
    pair.script(wire.answer)
    assert pair.gateway.wait(lambda: pair.gateway.ask().status == 200, "recovery", 10)


@pytest.mark.parametrize("status", [200, 404, 500, 502])
def test_an_error_page_is_not_forwarded(pair: Pair, status: int) -> None:
    """SSRF-07."""
    page = b"<html><title>nginx</title>internal-host-7.corp 10.1.2.3 stack trace</html>"
    pair.script(lambda _: reply(status, page, {"content-type": "text/html", "x-internal": "host-7", "server": "nginx"}))
    answer = pair.gateway.ask()
    assert answer.status >= 400
    assert b"internal-host" not in answer.body and b"10.1.2.3" not in answer.body and b"<html" not in answer.body
    assert answer.header("x-internal") is None and answer.header("server") != "nginx"
    assert set(answer.error) == {"message", "type", "param", "code"}


def test_a_stream_of_garbage_events(pair: Pair) -> None:
    first, second, *_ = wire.events()
    half = b'data: {"half": \n\n'
    answer = asked(
        pair,
        [stream_head(), *map(chunk, (first, second)), Taken(), *map(chunk, (half, *wire.events()[2:])), LAST_CHUNK],
    )
    assert answer.status == 200 and b"\xef\xbf\xbd" not in answer.body
    # Told as an error or passed on as it is, but not swallowed.
    assert half in answer.body or error_of(answer)["code"] in ("upstream_stream_aborted", "upstream_error")


def test_a_client_that_leaves_ends_the_call(pair: Pair) -> None:
    """S2, and RETRY-07: no second attempt, the upstream is let go at once."""
    first, second, *_ = map(chunk, wire.events())
    pair.script(lambda _: [stream_head(), first, second, Hang()])
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    headers = {"authorization": f"Bearer {pair.gateway.key}", "content-type": "application/json"}
    with Connection(pair.gateway.url) as connection:
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, body))
        reply = connection.head()
        assert reply is not None and connection.chunk()
    # The upstream would be asked for two minutes yet.
    pair.upstream.wait(lambda served: served.client_gone, 20)
    assert len(pair.upstream.journal) == 1
    record = pair.gateway.record(reply.header("x-request-id") or "")
    assert record["outcome"] != "succeeded" and record["usage"]["origin"] == "estimated"
    assert record["usage"]["output_tokens"] >= 1, "what was delivered is paid for"
