"""HTTP-04: what a peer may not send over HTTP/2, and how it is told. The cases are those of h2spec (generic, http2, hpack).

`stream` is what ends one stream and leaves the connection, `goaway` what ends the connection. h2spec itself passes but
for one case: what is no preface is answered in HTTP/1.1, on a listener that serves both.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from conftest import Pair
from harness import openai_wire as wire
from harness.http2 import Fields, Http2
from harness.upstream import reply_json
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).encode()

DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8

Case = Callable[[Http2], None]


def raw(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame of any kind and size."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def sends(*frames: bytes) -> Case:
    """These bytes, on a connection without a stream."""
    return lambda client: client.raw(b"".join(frames))


def opened(*frames: bytes) -> Case:
    """These bytes, once stream 1 waits for its body."""

    def case(client: Http2) -> None:
        client.send(client.head(1))
        client.raw(b"".join(frames))

    return case


def begun(*frames: bytes) -> Case:
    """These bytes, in the midst of the header block of stream 1."""

    def case(client: Http2) -> None:
        client.send(client.head(1, flags=()))
        client.raw(b"".join(frames))

    return case


def answered(*frames: bytes) -> Case:
    """These bytes, once stream 1 is over."""

    def case(client: Http2) -> None:
        client.ask(1, BODY)
        assert client.answers(1)[1].status == 200
        client.raw(b"".join(frames))

    return case


def fields(change: Callable[[Http2], Fields], end: bool = True) -> Case:
    """A request with these fields."""
    flags = ("END_HEADERS", "END_STREAM") if end else ("END_HEADERS",)
    return lambda client: client.send(client.head(1, change(client), flags))


def without(name: str) -> Case:
    return fields(lambda client: [field for field in client.fields() if field[0] != name])


def with_more(*more: tuple[str, str]) -> Case:
    return fields(lambda client: client.fields(more=list(more)))


def first(*more: tuple[str, str]) -> Case:
    return fields(lambda client: [*more, *client.fields()])


def setting(name: int, value: int) -> bytes:
    return raw(SETTINGS, 0, 0, name.to_bytes(2, "big") + value.to_bytes(4, "big"))


def block(tail: bytes) -> Case:
    """A request whose header block ends with these bytes."""

    def case(client: Http2) -> None:
        client.raw(raw(HEADERS, END_HEADERS | END_STREAM, 1, client.block(client.fields()) + tail))

    return case


def sized(length: int) -> Case:
    """A body that is not as long as was said."""

    def case(client: Http2) -> None:
        client.send(client.head(1, client.fields(more=[("content-length", str(length))])))
        client.send(DataFrame(1, data=BODY[:20]), DataFrame(1, data=BODY[20:], flags=["END_STREAM"]))

    return case


def twice(second: int) -> Case:
    """A second request with a number that may not follow."""

    def case(client: Http2) -> None:
        client.send(client.head(5), client.head(second))

    return case


def overflow(client: Http2) -> None:
    client.send(client.head(1), WindowUpdateFrame(1, window_increment=2**31 - 1))
    client.send(WindowUpdateFrame(1, window_increment=2**31 - 1))


def after_reset(kind: bytes) -> Case:
    def case(client: Http2) -> None:
        client.send(client.head(1), RstStreamFrame(1, error_code=8))
        client.raw(kind)

    return case


EXTRA = b"\x82\x86\x84"
OVER = ("goaway STREAM_CLOSED", "reset STREAM_CLOSED", "goaway PROTOCOL_ERROR")
PROTOCOL, SIZE, FLOW, COMPRESSION = (
    "PROTOCOL_ERROR",
    "FRAME_SIZE_ERROR",
    "FLOW_CONTROL_ERROR",
    "COMPRESSION_ERROR",
)

CONNECTION: dict[str, tuple[Case, str]] = {
    # RFC 9113, section 4: frames and header blocks
    "DATA larger than allowed": (opened(raw(DATA, 0, 1, bytes(16_385))), SIZE),
    "HEADERS larger than allowed": (sends(raw(HEADERS, 0, 1, bytes(16_385))), SIZE),
    "no header block": (sends(raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x80")), COMPRESSION),
    "PRIORITY within a block": (begun(raw(PRIORITY, 0, 1, bytes(5))), PROTOCOL),
    "HEADERS of another stream within a block": (begun(raw(HEADERS, END_HEADERS, 3, EXTRA)), PROTOCOL),
    # section 5: streams
    "DATA before a stream": (sends(raw(DATA, END_STREAM, 1, b"x")), PROTOCOL),
    "RST_STREAM before a stream": (sends(raw(RST, 0, 1, bytes(4))), PROTOCOL),
    "WINDOW_UPDATE before a stream": (sends(raw(WINDOW, 0, 1, b"\0\0\0\x01")), PROTOCOL),
    "CONTINUATION before a stream": (sends(raw(CONTINUATION, END_HEADERS, 1, EXTRA)), PROTOCOL),
    "an even stream": (lambda client: client.send(client.head(2)), PROTOCOL),
    "a stream below the last": (twice(3), PROTOCOL),
    # section 6: each frame
    "DATA on no stream": (opened(raw(DATA, 0, 0, b"x")), PROTOCOL),
    "DATA padded beyond its end": (opened(raw(DATA, PADDED | END_STREAM, 1, b"\x06Test")), PROTOCOL),
    "HEADERS on no stream": (sends(raw(HEADERS, END_HEADERS, 0, EXTRA)), PROTOCOL),
    "HEADERS padded beyond their end": (sends(raw(HEADERS, PADDED | END_HEADERS, 1, b"\x09" + EXTRA)), PROTOCOL),
    "PRIORITY on no stream": (sends(raw(PRIORITY, 0, 0, bytes(5))), PROTOCOL),
    "RST_STREAM on no stream": (sends(raw(RST, 0, 0, bytes(4))), PROTOCOL),
    "RST_STREAM of another size": (opened(raw(RST, 0, 1, bytes(3))), SIZE),
    "SETTINGS acknowledged with a payload": (sends(raw(SETTINGS, ACK, 0, bytes(6))), SIZE),
    "SETTINGS on a stream": (sends(raw(SETTINGS, 0, 1, bytes(6))), PROTOCOL),
    "SETTINGS of another size": (sends(raw(SETTINGS, 0, 0, bytes(3))), SIZE),
    "ENABLE_PUSH of 2": (sends(setting(2, 2)), PROTOCOL),
    "INITIAL_WINDOW_SIZE too large": (sends(setting(4, 2**31)), FLOW),
    "MAX_FRAME_SIZE too small": (sends(setting(5, 2**14 - 1)), PROTOCOL),
    "MAX_FRAME_SIZE too large": (sends(setting(5, 2**24)), PROTOCOL),
    "PUSH_PROMISE": (opened(raw(PUSH, END_HEADERS, 1, b"\0\0\0\x02" + EXTRA)), PROTOCOL),
    "PING on a stream": (sends(raw(PING, 0, 1, bytes(8))), PROTOCOL),
    "PING of another size": (sends(raw(PING, 0, 0, bytes(6))), SIZE),
    "GOAWAY on a stream": (sends(raw(GOAWAY, 0, 1, bytes(8))), PROTOCOL),
    "WINDOW_UPDATE of 0": (sends(raw(WINDOW, 0, 0, bytes(4))), PROTOCOL),
    "WINDOW_UPDATE of another size": (sends(raw(WINDOW, 0, 0, bytes(3))), SIZE),
    "WINDOW_UPDATE beyond 2^31-1": (sends(raw(WINDOW, 0, 0, b"\x7f\xff\xff\xff") * 2), FLOW),
    "CONTINUATION after a whole block": (opened(raw(CONTINUATION, END_HEADERS, 1, EXTRA)), PROTOCOL),
    "CONTINUATION on no stream": (begun(raw(CONTINUATION, END_HEADERS, 0, EXTRA)), PROTOCOL),
    "CONTINUATION of another stream": (begun(raw(CONTINUATION, END_HEADERS, 3, EXTRA)), PROTOCOL),
    # Errors of a stream that are found before its number is, and may be the connection's (section 5.4.2)
    "WINDOW_UPDATE of 0 on a stream": (opened(raw(WINDOW, 0, 1, bytes(4))), PROTOCOL),
    "an upper-case name": (with_more(("X-TEST", "ok")), PROTOCOL),
    "an unknown pseudo-header": (first((":test", "ok")), PROTOCOL),
    # RFC 7541
    "an index of 0": (block(b"\x80"), COMPRESSION),
    "an index beyond the tables": (block(b"\xc6"), COMPRESSION),
    "a literal with an index beyond the tables": (block(b"\x7f\x09\x05value"), COMPRESSION),
    "a table size at the end of a block": (block(b"\x3f\xe1\x0f"), COMPRESSION),
    "a table size beyond what is allowed": (
        lambda client: client.raw(raw(HEADERS, END_HEADERS | END_STREAM, 1, b"\x3f\xe1\x3f" + EXTRA)),
        COMPRESSION,
    ),
    "Huffman padding of more than 7 bits": (block(b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"), COMPRESSION),
    "Huffman padding of zeros": (block(b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"), COMPRESSION),
    "Huffman with its end": (block(b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\x49\x51\xff\xff\xff\xfa\x7f"), COMPRESSION),
}

STREAMS: dict[str, tuple[Case, str]] = {
    "WINDOW_UPDATE beyond 2^31-1": (overflow, FLOW),
    # section 8: requests
    "a pseudo-header of replies": (first((":status", "200")), PROTOCOL),
    "a pseudo-header after a field": (first(("x-test", "ok")), PROTOCOL),
    "connection": (with_more(("connection", "keep-alive")), PROTOCOL),
    "transfer-encoding": (with_more(("transfer-encoding", "chunked")), PROTOCOL),
    "te": (with_more(("te", "trailers, deflate")), PROTOCOL),
    "no :method": (without(":method"), PROTOCOL),
    "no :scheme": (without(":scheme"), PROTOCOL),
    "no :path": (without(":path"), PROTOCOL),
    "an empty :path": (fields(lambda client: client.fields(path="")), PROTOCOL),
    "two :method": (first((":method", "POST")), PROTOCOL),
    "two :scheme": (first((":scheme", "http")), PROTOCOL),
    "two :path": (first((":path", "/")), PROTOCOL),
    "a body shorter than said": (sized(1_000), PROTOCOL),
    "a body longer than said": (sized(1), PROTOCOL),
    "HEADERS again, and no end": (opened(raw(HEADERS, END_HEADERS, 1, EXTRA)), PROTOCOL),
}


@pytest.fixture
def client(pair: Pair) -> Http2:
    pair.script(lambda _: [*reply_json(wire.completion("Hello"))])
    client = Http2(pair.gateway.url, pair.gateway.key)
    client.send(PingFrame(0, opaque_data=b"12345678"))
    while not isinstance(frame := client.frame(), PingFrame):
        assert frame is not None
    assert frame.opaque_data == b"12345678" and "ACK" in frame.flags
    return client


@pytest.mark.parametrize("name", CONNECTION)
def test_what_ends_the_connection(client: Http2, name: str) -> None:
    case, code = CONNECTION[name]
    with client:
        case(client)
        # The h2 crate names what it cannot read by the general code, which is allowed where a closer one exists.
        assert client.verdict() in (f"goaway {code}", f"goaway {PROTOCOL}")
        assert client.verdict() == "closed"


@pytest.mark.parametrize("name", STREAMS)
def test_what_ends_a_stream(client: Http2, pair: Pair, name: str) -> None:
    case, code = STREAMS[name]
    with client:
        case(client)
        assert client.verdict() == f"reset {code}"
        # The header tables of both sides are as they were, and so is the connection.
        client.ask(7, BODY)
        assert client.answers(7)[7].status == 200
    assert len(pair.upstream.journal) == 1


@pytest.mark.parametrize(
    "case",
    [answered(raw(DATA, END_STREAM, 1, b"x")), answered(raw(HEADERS, END_HEADERS | END_STREAM, 1, EXTRA))],
    ids=["DATA", "HEADERS"],
)
def test_a_stream_that_is_over_stays_so(client: Http2, case: Case) -> None:
    with client:
        case(client)
        assert client.verdict() in OVER


@pytest.mark.parametrize(
    "frame",
    [raw(DATA, END_STREAM, 1, b"x"), raw(HEADERS, END_HEADERS | END_STREAM, 1, EXTRA)],
    ids=["DATA", "HEADERS"],
)
def test_a_stream_that_its_peer_ended_stays_so(client: Http2, pair: Pair, frame: bytes) -> None:
    with client:
        client.ask(1, BODY)
        client.raw(frame)
        assert client.verdict() in OVER
    with Http2(pair.gateway.url, pair.gateway.key) as other:
        after_reset(frame)(other)
        assert other.verdict() in OVER


def test_what_is_allowed(client: Http2) -> None:
    """Unknown frames and settings, priorities, padding, blocks in pieces and tables that change."""
    with client:
        client.raw(raw(0x16, 0, 0, bytes(8)) + setting(0xFF, 7) + raw(PRIORITY, 0, 1, b"\0\0\0\x03\x10"))
        client.send(SettingsFrame(0, settings={SettingsFrame.HEADER_TABLE_SIZE: 0}))
        block = client.block(client.fields())
        client.send(HeadersFrame(1, data=block[:5]), ContinuationFrame(1, data=block[5:9]))
        client.send(ContinuationFrame(1, data=block[9:], flags=["END_HEADERS"]))
        client.send(DataFrame(1, data=BODY[:9], pad_length=200, flags=["PADDED"]))
        client.send(DataFrame(1, data=b""), DataFrame(1, data=BODY[9:], flags=["END_STREAM"]))
        assert client.answers(1)[1].status == 200


def test_small_windows(pair: Pair) -> None:
    """A byte at a time, as the peer makes room."""
    pair.script(lambda _: [*reply_json(wire.completion("Hello"))])
    settings = {SettingsFrame.INITIAL_WINDOW_SIZE: 1}
    with Http2(pair.gateway.url, pair.gateway.key, settings) as client:
        client.ask(1, BODY)
        got = []
        while not got or "END_STREAM" not in got[-1].flags:
            frame = client.frame()
            assert frame is not None and not isinstance(frame, (GoAwayFrame, RstStreamFrame)), frame
            if isinstance(frame, DataFrame):
                got.append(frame)
                client.send(WindowUpdateFrame(1, window_increment=1))
        assert all(len(frame.data) <= 1 for frame in got)
        assert json.loads(b"".join(frame.data for frame in got))["choices"]
