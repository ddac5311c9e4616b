"""Bodies that are too big, compressed or too deep: refused early, and the process lives."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path

import pytest
from conftest import Pair
from harness import openai_wire as wire
from harness.gateway import Gateway
from harness.wire import Connection, call, request_bytes

MIB = 1 << 20


def memory_kib(served: Gateway) -> int:
    """The most memory that the process has ever held."""
    assert served.process is not None
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


ZEROS = bytes(100 * MIB)
COMPRESSED = {
    "gzip": lambda: gzip.compress(ZEROS),
    "deflate": lambda: zlib.compress(ZEROS),
    "br": lambda: b"\x0b\x02\x80",
    "zstd": lambda: bytes.fromhex("28b52ffd") + bytes(16),
    "gzip, gzip": lambda: gzip.compress(gzip.compress(ZEROS)),
    "x-gzip": lambda: gzip.compress(b"{}"),
}


@pytest.mark.parametrize("coding", COMPRESSED)
def test_compressed_bodies_are_refused(pair: Pair, coding: str) -> None:
    """DOS-01."""
    pair.script(wire.answer)
    before = memory_kib(pair.gateway)
    reply = pair.gateway.chat(COMPRESSED[coding](), headers={"content-encoding": coding})
    assert reply.status in (413, 415), reply.status
    assert {"message", "type", "param", "code"} == set(reply.error)
    assert memory_kib(pair.gateway) - before < 64 * 1024
    assert not pair.upstream.journal


def test_identity_is_no_compression(pair: Pair) -> None:
    pair.script(wire.answer)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
    assert pair.gateway.chat(body, headers={"content-encoding": "identity"}).status == 200


DEEP = 200_000
BOMBS = {
    "arrays": b"[" * DEEP,
    "closed arrays": b"[" * DEEP + b"]" * DEEP,
    "objects": b'{"a":' * DEEP,
    "arrays in a message": b'{"model":"m","messages":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "arrays in an unknown field": b'{"model":"m","x":' + b"[" * DEEP + b"]" * DEEP + b',"messages":[]}',
    "tool schema": b'{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":'
    + b'{"properties":{"a":' * 20_000
    + b"{}"
    + b"}}" * 20_000
    + b"}}]}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_depth_bombs(pair: Pair, name: str) -> None:
    """DOS-03."""
    pair.script(wire.answer)
    assert pair.gateway.process is not None
    pid = pair.gateway.process.pid
    for _ in range(5):
        reply = pair.gateway.chat(BOMBS[name])
        assert reply.status == 400, reply.status
    assert pair.gateway.alive and pair.gateway.process.pid == pid
    assert not pair.upstream.journal


def test_wide_bodies_do_no_harm(pair: Pair) -> None:
    pair.script(wire.answer)
    keys = b"{" + b",".join(b'"k%d":%d' % (n, n) for n in range(300_000)) + b"}"
    elements = b'{"model":"m","messages":[' + b",".join([b"1"] * 1_000_000) + b"]}"
    for body in (keys, elements):
        assert pair.gateway.chat(body).status in (200, 400, 413)
    assert pair.gateway.alive


NOT_CHAT = {
    "empty": b"",
    "no JSON": b"hello",
    "half JSON": b'{"model":"m","messages":[',
    "array": b"[]",
    "string": b'"x"',
    "null": b"null",
    "trailing": b'{"model":"m","messages":[{"role":"user","content":"hi"}]} x',
    "no messages": b'{"model":"m"}',
    "messages of a wrong type": b'{"model":"m","messages":"hi"}',
    "model of a wrong type": b'{"model":1,"messages":[{"role":"user","content":"hi"}]}',
    "stream of a wrong type": b'{"model":"m","stream":"yes","messages":[{"role":"user","content":"hi"}]}',
    "two models": b'{"model":"m","model":"n","messages":[{"role":"user","content":"hi"}]}',
    "two models, one escaped": b'{"model":"m","mod\\u0065l":"n","messages":[{"role":"user","content":"hi"}]}',
    "two streams": b'{"model":"m","stream":true,"stream":false,"messages":[{"role":"user","content":"hi"}]}',
    "not UTF-8": b'{"model":"m","messages":[{"role":"user","content":"\xff\xfe"}]}',
    "lone surrogate in the model": b'{"model":"\\ud800","messages":[{"role":"user","content":"hi"}]}',
    "NaN": b'{"model":"m","temperature":NaN,"messages":[{"role":"user","content":"hi"}]}',
    "negative max_tokens": b'{"model":"m","max_tokens":-1,"messages":[{"role":"user","content":"hi"}]}',
}


@pytest.mark.parametrize("name", NOT_CHAT)
def test_bodies_that_are_no_chat_request(pair: Pair, name: str) -> None:
    pair.script(wire.answer)
    reply = pair.gateway.chat(NOT_CHAT[name])
    assert reply.status == 400, (reply.status, reply.body[:200])
    assert {"message", "type", "param", "code"} == set(reply.error)
    assert not pair.upstream.journal


def test_a_body_over_the_limit_is_refused_before_it_is_read(pair: Pair) -> None:
    pair.script(wire.answer)
    headers = {"authorization": f"Bearer {pair.gateway.key}", "content-type": "application/json"}
    with Connection(pair.gateway.url, 10) as connection:
        head = request_bytes("POST", "/v1/chat/completions", headers).replace(b"length: 0", b"length: 1073741824")
        connection.send(head)
        reply = connection.reply()
    assert reply is not None and reply.status == 413 and reply.error["code"] == "request_too_large"
    assert not pair.upstream.journal


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/nowhere"])
def test_an_endless_body_without_a_key(pair: Pair, path: str) -> None:
    """DOS-07 on the data listener: who has no key gets no gigabyte in."""
    pair.script(wire.answer)
    before = memory_kib(pair.gateway)
    assert _flood(pair.gateway.url, path) in (400, 401, 404, 405, 413)
    assert memory_kib(pair.gateway) - before < 32 * 1024


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/admin/v1/environments", "/login"])
def test_an_endless_body_on_the_admin_listener(pair: Pair, path: str) -> None:
    """DOS-07."""
    before = memory_kib(pair.gateway)
    assert _flood(pair.gateway.admin_url, path) in (400, 401, 403, 404, 405, 413)
    assert memory_kib(pair.gateway) - before < 32 * 1024
    assert call(pair.gateway.admin_url, "/healthz").status == 200


def _flood(url: str, path: str) -> int:
    """Sends a chunked body until the other side has had enough, and returns its status; 413 for a mere hang-up."""
    piece = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    with Connection(url, 10) as connection:
        connection.socket.sendall(f"POST {path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        sent = 0
        try:
            while sent < 256 * MIB:
                connection.socket.sendall(piece)
                sent += len(piece)
        except OSError:
            pass
        assert sent < 64 * MIB, f"{sent >> 20} MiB were taken"
        try:
            reply = connection.reply()
        except OSError:
            return 413
    return reply.status if reply else 413
