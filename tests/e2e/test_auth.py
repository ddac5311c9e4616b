"""Keys: every way of sending one, nothing learnt from a wrong one, and revocation that reaches requests in flight."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import MakeGateway, MakeUpstream, Pair
from harness import openai_wire as wire
from harness.gateway import simple
from harness.upstream import Hang, Request, Step, chunk, stream_head
from harness.wire import Connection, Reply, call, request_bytes

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

WRONG = {
    "sql": "' OR '1'='1",
    "sql sleep": "x'; SELECT pg_sleep(5)--",
    "quotes": "'" * 4096,
    "short": "a",
    "prefix only": "sk-cw-",
    "shaped": "sk-cw-" + "0" * 64,
    "long": "sk-cw-" + "a" * 8000,
    "unicode": "sk-cw-käse".encode().decode("latin-1"),
    "percent": "sk-cw-%00%0a",
    "json": '{"$ne":null}',
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_key_is_told_apart_from_no_other(gateway: MakeGateway, upstream: MakeUpstream, name: str) -> None:
    """AUTH-01, AUTH-06: the same 401 whatever the key looks like, and nothing of the key in it."""
    up = upstream(wire.answer)
    served = gateway(simple(up.base_url))
    value = WRONG[name]
    plain = call(served.url, "/v1/chat/completions", BODY, key="sk-cw-" + "1" * 64)
    bearer = call(served.url, "/v1/chat/completions", BODY, key=value)
    header = call(served.url, "/v1/chat/completions", BODY, headers={"x-api-key": value})
    for reply in (plain, bearer, header):
        assert reply.status == 401 and reply.error["code"] == "invalid_api_key"
        assert reply.error["type"] == "authentication_error"
        assert "Incorrect API key provided" in reply.error["message"] or "API key" in reply.error["message"]
    assert bearer.error == plain.error, "one body for all"
    raw = value.encode("latin-1", "replace")
    prints = [getattr(hashlib, name)(raw).hexdigest() for name in ("sha256", "sha1", "md5")]
    for trace in [*prints, base64.b64encode(raw).decode(), *([value] if len(value) > 8 else [])]:
        for reply in (bearer, header):
            assert trace.encode("latin-1", "replace") not in reply.body
        assert trace not in served.log
    assert not up.journal


def test_no_key(pair: Pair) -> None:
    pair.script(wire.answer)
    for headers in ({}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Bearer "}):
        reply = call(pair.gateway.url, "/v1/chat/completions", BODY, headers=headers)
        assert reply.status == 401 and reply.error["code"] == "invalid_api_key", headers
    assert not pair.upstream.journal


def test_every_way_of_sending_the_key(pair: Pair) -> None:
    pair.script(wire.answer)
    key = pair.gateway.key
    for headers in (
        {"authorization": f"Bearer {key}"},
        {"authorization": f"bearer {key}"},
        {"Authorization": f"BEARER {key}"},
        {"x-api-key": key},
        {"X-API-Key": key},
    ):
        assert call(pair.gateway.url, "/v1/chat/completions", BODY, headers=headers).status == 200, headers


@pytest.mark.parametrize(
    "form",
    ["Basic {}", "Token {}", "Bearer{}", "Bearer {} x", "{}"],
)
def test_other_schemes_are_no_keys(pair: Pair, form: str) -> None:
    pair.script(wire.answer)
    headers = {"authorization": form.format(pair.gateway.key)}
    assert call(pair.gateway.url, "/v1/chat/completions", BODY, headers=headers).status == 401
    query = f"/v1/chat/completions?key={pair.gateway.key}&api_key={pair.gateway.key}"
    assert call(pair.gateway.url, query, BODY).status == 401, "a key in a URL ends up in logs"
    assert not pair.upstream.journal


def test_two_keys_must_agree(pair: Pair) -> None:
    pair.script(wire.answer)
    both = {"authorization": f"Bearer {pair.gateway.key}", "x-api-key": "sk-cw-" + "2" * 64}
    reply = call(pair.gateway.url, "/v1/chat/completions", BODY, headers=both)
    assert reply.status in (200, 400, 401)
    twice = "".join(f"authorization: Bearer {key}\r\n" for key in (pair.gateway.key, "sk-cw-" + "2" * 64))
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{twice}content-length: 2\r\n\r\n{{}}"
    with Connection(pair.gateway.url) as connection:
        connection.send(head.encode())
        answer = connection.reply()
    assert answer is not None and answer.status in (400, 401)


def test_the_environment_must_agree(pair: Pair) -> None:
    pair.script(wire.answer)
    for name in ("X-Crossway-Env", "X-Chalk-Env-Id"):
        fine = pair.gateway.chat(BODY, headers={name: "default"})
        assert fine.status == 200
        other = pair.gateway.chat(BODY, headers={name: "another"})
        assert other.status == 403 and other.error["code"] == "environment_mismatch"


def test_the_secret_is_nowhere(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """LEAK-01: K1: shown once, stored hashed."""
    served = gateway(simple(upstream(wire.answer).base_url))
    assert served.ask().status == 200
    assert served.stop() == 0
    secret = served.key.encode()
    for path in (served.folder / "data").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert secret not in content and secret.removeprefix(b"sk-cw-") not in content, path.name
    assert served.key not in served.log


def test_a_revoked_key_fails_its_next_request(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    served = gateway(simple(upstream(wire.answer).base_url))
    key = served.create_key("short-lived")
    assert served.chat(BODY, key=key).status == 200
    served.revoke_key("short-lived")
    # The database is looked at 25 times a second; the rest is for a machine that is busy.
    reply = served.wait(lambda: _refused(served.chat(BODY, key=key)), "the refusal", 5)
    assert reply.error["code"] == "revoked_api_key"
    assert served.ask().status == 200, "another key goes on"


def _refused(reply: Reply) -> Reply | None:
    return reply if reply.status == 401 else None


def test_revocation_reaches_requests_in_flight(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """AUTH-05: K3: a buffered request ends with 401, a streamed one with an error event and no end marker."""

    def stalled(request: Request) -> list[Step]:
        head, first, second = [stream_head(), *map(chunk, wire.events()[:2])]
        return [head, first, second, Hang()] if request.json.get("stream") else [Hang()]

    up = upstream(stalled)
    served = gateway(simple(up.base_url))
    key = served.create_key("in-flight")
    first_event = threading.Event()

    def stream() -> Reply:
        body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        with Connection(served.url) as connection:
            connection.send(request_bytes("POST", "/v1/chat/completions", headers, body))
            reply = connection.head()
            assert reply is not None
            while piece := connection.chunk():
                reply.chunks.append(piece)
                if b"Hello" in piece:
                    first_event.set()
            reply.whole, reply.body = piece == b"", b"".join(reply.chunks)
            return reply

    with ThreadPoolExecutor(2) as pool:
        streamed = pool.submit(stream)
        buffered = pool.submit(served.chat, BODY, key=key)
        assert first_event.wait(20)
        up.wait(lambda served: not served.request.json.get("stream"))
        served.revoke_key("in-flight")
        # The upstream would be waited for ten minutes, or two.
        whole, events = buffered.result(20), streamed.result(20)
    assert whole.status == 401 and whole.error["code"] == "revoked_api_key"
    assert b"[DONE]" not in events.body
    assert json.loads(events.events[-1])["error"]["code"] == "revoked_api_key"
    for line in up.journal:
        up.wait(lambda served, line=line: line.client_gone)
