"""HTTP framing, smuggling and paths: an ambiguous request is refused and the bytes after it are never a request."""

from __future__ import annotations

import pytest
from conftest import Pair
from harness import openai_wire as wire
from harness.wire import Connection, call, request_bytes

BODY = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
N = len(BODY)


def attack(pair: Pair, lines: list[str], body: bytes, first: str = "POST /v1/chat/completions HTTP/1.1") -> bytes:
    """A request with the key and these further header lines, as they are."""
    fixed = ["host: localhost", f"authorization: Bearer {pair.gateway.key}", "content-type: application/json"]
    return "\r\n".join([first, *fixed, *lines, "", ""]).encode("latin-1") + body


CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (N, BODY)
SMUGGLED = b"GET /v1/models?smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n"

# HTTP-01
FRAMING: dict[str, tuple[list[str], bytes]] = {
    "CL.TE": ([f"content-length: {N}", "transfer-encoding: chunked"], CHUNKED + SMUGGLED),
    "TE.CL": (["transfer-encoding: chunked", f"content-length: {N}"], CHUNKED + SMUGGLED),
    "TE.TE": (["transfer-encoding: chunked", "transfer-encoding: identity"], CHUNKED + SMUGGLED),
    "TE.TE in one line": (["transfer-encoding: chunked, identity"], CHUNKED + SMUGGLED),
    "TE twice chunked": (["transfer-encoding: chunked, chunked"], CHUNKED + SMUGGLED),
    "TE xchunked": (["transfer-encoding: xchunked"], CHUNKED + SMUGGLED),
    "TE gzip": (["transfer-encoding: gzip"], CHUNKED + SMUGGLED),
    "TE with a vertical tab": (["transfer-encoding: \x0bchunked"], CHUNKED + SMUGGLED),
    "one content length twice": ([f"content-length: {N}", f"content-length: {N}"], BODY + SMUGGLED),
    "CL with a leading zero": ([f"content-length: 0{N}"], BODY + SMUGGLED),
    "two content lengths": ([f"content-length: {N}", "content-length: 3"], BODY + SMUGGLED),
    "content length list": ([f"content-length: {N}, 3"], BODY + SMUGGLED),
    "CL with a plus": ([f"content-length: +{N}"], BODY + SMUGGLED),
    "CL in hex": ([f"content-length: 0x{N:x}"], BODY + SMUGGLED),
    "CL negative": (["content-length: -1"], BODY + SMUGGLED),
    "CL with a letter": ([f"content-length: {N}a"], BODY + SMUGGLED),
    "CL empty": (["content-length: "], BODY + SMUGGLED),
    "CL too big for 64 bits": (["content-length: 99999999999999999999"], BODY + SMUGGLED),
    "obs-fold": (["x-a: b", " c: d", f"content-length: {N}"], BODY + SMUGGLED),
    "space before the colon": ([f"content-length : {N}"], BODY + SMUGGLED),
    "space before the TE colon": (["transfer-encoding : chunked"], CHUNKED + SMUGGLED),
    "header without a colon": (["nonsense", f"content-length: {N}"], BODY + SMUGGLED),
    "header with a NUL": (["x-a: b\x00c", f"content-length: {N}"], BODY + SMUGGLED),
    "header name with a space": (["x a: b", f"content-length: {N}"], BODY + SMUGGLED),
    "bare CR in a value": (["x-a: b\rc: d", f"content-length: {N}"], BODY + SMUGGLED),
    "chunk size negative": (["transfer-encoding: chunked"], b"-1\r\n" + BODY + SMUGGLED),
    "chunk size with 0x": (["transfer-encoding: chunked"], b"0x%x\r\n%s\r\n0\r\n\r\n" % (N, BODY) + SMUGGLED),
    "chunk size overflow": (["transfer-encoding: chunked"], b"fffffffffffffffff\r\n" + BODY + SMUGGLED),
    "chunk without its line end": (["transfer-encoding: chunked"], b"%x\r\n%sxx0\r\n\r\n" % (N, BODY) + SMUGGLED),
    "chunk size not hex": (["transfer-encoding: chunked"], b"zz\r\n" + BODY + SMUGGLED),
    "chunk extension flood": (["transfer-encoding: chunked"], b"1;" + b"a" * 200_000 + b"\r\n{\r\n"),
}


@pytest.mark.parametrize("name", FRAMING)
def test_ambiguous_framing_is_refused(pair: Pair, name: str) -> None:
    pair.script(wire.answer)
    lines, body = FRAMING[name]
    with Connection(pair.gateway.url) as connection:
        connection.send(attack(pair, lines, body))
        reply = connection.reply()
        assert reply is None or reply.status in (400, 413, 431, 501), reply.status
        assert connection.closed_within(20), "the connection is closed"
        assert b"HTTP/1.1 " not in connection.buffer, "a second response: the bytes after the request were parsed"
    assert not pair.upstream.journal
    assert pair.gateway.alive


RAW = {
    "TE on HTTP/1.0": ("POST /v1/chat/completions HTTP/1.0", ["transfer-encoding: chunked"], CHUNKED + SMUGGLED),
    "HTTP/1.2": ("POST /v1/chat/completions HTTP/1.2", [f"content-length: {N}"], BODY + SMUGGLED),
    "HTTP/3.0": ("POST /v1/chat/completions HTTP/3.0", [f"content-length: {N}"], BODY + SMUGGLED),
    "no version": ("POST /v1/chat/completions", [f"content-length: {N}"], BODY + SMUGGLED),
    "two spaces": ("POST  /v1/chat/completions HTTP/1.1", [f"content-length: {N}"], BODY + SMUGGLED),
    "space in the path": ("POST /v1/chat completions HTTP/1.1", [f"content-length: {N}"], BODY + SMUGGLED),
    "control in the path": ("POST /v1/chat\x01/completions HTTP/1.1", [f"content-length: {N}"], BODY + SMUGGLED),
}


@pytest.mark.parametrize("name", RAW)
def test_a_bad_request_line_is_refused(pair: Pair, name: str) -> None:
    pair.script(wire.answer)
    first, lines, body = RAW[name]
    with Connection(pair.gateway.url) as connection:
        connection.send(attack(pair, lines, body, first))
        reply = connection.reply()
        assert reply is None or 400 <= reply.status < 600, reply.status
        assert connection.closed_within(20)
        assert b"HTTP/1.1 " not in connection.buffer
    assert not pair.upstream.journal


def test_bare_line_feeds_are_no_second_request(pair: Pair) -> None:
    """RFC 9112, 2.2: a recipient may take a lone LF for a line end; it must not see two requests where there is one."""
    pair.script(wire.answer)
    with Connection(pair.gateway.url) as connection:
        lines = [f"x-a: b\n\nPOST /v1/chat/completions HTTP/1.1\nhost: x\ncontent-length: {N}", f"content-length: {N}"]
        connection.send(attack(pair, [f"content-length: {N}"], BODY).replace(b"\r\n", b"\n"))
        reply = connection.reply()
        assert reply is None or reply.status in (200, 400), reply.status
    assert len(pair.upstream.journal) <= 1
    pair.script(wire.answer)
    with Connection(pair.gateway.url) as connection:
        connection.send(attack(pair, lines, BODY))
        reply = connection.reply()
        assert reply is None or reply.status in (200, 400), reply.status
    assert len(pair.upstream.journal) <= 1


# HTTP-03
@pytest.mark.parametrize(
    "data",
    [
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com\r\n\r\n",
        b"TRACE /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        b"GET /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade, http2-settings\r\n"
        b"upgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n"
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    ],
    ids=["CONNECT", "TRACE", "websocket", "h2c"],
)
def test_no_tunnel(pair: Pair, data: bytes) -> None:
    pair.script(wire.answer)
    with Connection(pair.gateway.url) as connection:
        connection.send(data)
        reply = connection.reply("GET")
        assert reply is None or 400 <= reply.status < 500, reply.status
    assert not pair.upstream.journal


# HTTP-08
def test_hop_by_hop_and_internal_headers_stay_here(pair: Pair) -> None:
    pair.script(wire.answer)
    abuse = {
        "connection": "close, authorization, x-secret",
        "x-secret": "1",
        "keep-alive": "timeout=5",
        "te": "trailers",
        "proxy-authorization": "Basic eDp5",
        "x-crossway-model": "other",
        "x-crossway-cost-usd": "0",
        "x-crossway-provider": "other",
        "x-api-key": "sk-someone",
        "cookie": "session=1",
        "x-forwarded-for": "10.0.0.1",
        "openai-organization": "org-client",
    }
    headers = abuse | {"authorization": f"Bearer {pair.gateway.key}", "content-type": "application/json"}
    with Connection(pair.gateway.url) as connection:
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, BODY))
        reply = connection.reply()
    assert reply is not None and reply.status in (200, 400, 401), reply.body
    if reply.status == 200:
        sent = pair.upstream.last.request
        names = {name.lower() for name, _ in sent.headers}
        assert not names & {"x-secret", "keep-alive", "te", "proxy-authorization", "x-api-key", "cookie"}
        # Crossway marks its own hop, so that it never calls itself.
        assert not [name for name in names if name.startswith("x-crossway-") and name != "x-crossway-hop"]
        assert pair.gateway.key not in str(sent.headers)
        assert reply.header("x-crossway-model") != "other"


def test_too_many_and_too_long_headers(pair: Pair) -> None:
    pair.script(wire.answer)
    for lines in (["x-long: " + "a" * 100_000], [f"x-{n}: 1" for n in range(500)]):
        with Connection(pair.gateway.url) as connection:
            connection.send(attack(pair, [*lines, f"content-length: {N}"], BODY + SMUGGLED))
            reply = connection.reply()
            assert reply is None or reply.status in (400, 431), reply.status
            assert connection.closed_within(20)
    assert not pair.upstream.journal


def test_a_slow_head_is_not_waited_for_forever(pair: Pair) -> None:
    """HTTP-06: An open connection with half a head costs nobody else anything."""
    pair.script(wire.answer)
    half = [Connection(pair.gateway.url) for _ in range(50)]
    for connection in half:
        connection.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localho")
    assert pair.gateway.ask().status == 200
    for connection in half:
        connection.close()


# INJ-07
CHAT_PATHS = [
    "/v1//chat/completions",
    "//v1/chat/completions",
    "/v1/%63hat/completions",
    "/v1/chat/completions;params",
    "/v1/chat/completions/",
    "/v1/chat/completions.",
    "/v1/chat%2fcompletions",
    "/v1/../v1/chat/completions",
    "/v1/./chat/completions",
    "/V1/Chat/Completions",
    "/v1/chat/completions%00",
    "/v1/chat/completions%20",
    "/v1\\chat\\completions",
    "http://localhost/v1/chat/completions",
    "http://admin.internal/v1/chat/completions",
]


@pytest.mark.parametrize("path", CHAT_PATHS)
def test_path_tricks_reach_the_same_route_or_none(pair: Pair, path: str) -> None:
    pair.script(wire.answer)
    without = call(pair.gateway.url, path, BODY)
    assert without.status in (400, 401, 404, 405), without.status
    assert not pair.upstream.journal, "nothing is served without a key"
    with_key = call(pair.gateway.url, path, BODY, key=pair.gateway.key)
    assert with_key.status in (200, 400, 404, 405), with_key.status


ADMIN_PATHS = [
    "/admin/v1/environments/default/requests",
    "/v1/../admin/v1/environments/default/requests",
    "/v1/%2e%2e/admin/v1/environments/default/requests",
    "//admin/v1/environments/default/requests",
    "/ADMIN/v1/environments/default/requests",
    "/v1/router/../../admin/v1/environments/default/requests",
    "/readyz",
    "/metrics",
    "/v1/..;/metrics",
    "http://localhost/metrics",
]


@pytest.mark.parametrize("path", ADMIN_PATHS)
def test_the_admin_side_is_not_on_the_data_listener(pair: Pair, path: str) -> None:
    for key in (None, pair.gateway.key, "admin-token-of-the-tests"):
        reply = call(pair.gateway.url, path, key=key)
        assert reply.status in (400, 401, 404), (path, reply.status)
        assert b"next_cursor" not in reply.body and b"# TYPE" not in reply.body


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/../v1/chat/completions", "/v1/router/chat/completions"])
def test_the_data_side_is_not_on_the_admin_listener(pair: Pair, path: str) -> None:
    pair.script(wire.answer)
    reply = call(pair.gateway.admin_url, path, BODY, key=pair.gateway.key)
    assert reply.status in (400, 401, 404, 405), reply.status
    assert not pair.upstream.journal
