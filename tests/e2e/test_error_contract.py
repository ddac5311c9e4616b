"""OBS-02: every error has the same four keys, agrees with its status, is JSON, and carries an id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Pair
from harness import openai_wire as wire
from harness.upstream import Close, Hang, Step
from harness.wire import Reply, call

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    502: "server_error",
    503: "server_error",
    504: "server_error",
}


def check_contract(reply: Reply, status: int, code: str | None = None) -> dict[str, Any]:
    assert reply.status == status, (reply.status, reply.body[:300])
    assert (reply.header("content-type") or "").startswith("application/json")
    assert reply.header("x-request-id"), "every response has an id"
    assert set(reply.json) == {"error"}
    error = reply.error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == TYPES[status], error
    assert isinstance(error["message"], str) and error["message"]
    assert reply.header("x-crossway-error-code") == error["code"], "the header repeats the code"
    if code:
        assert error["code"] == code, error
    return error


LOCAL: dict[str, tuple[dict[str, Any], int, str]] = {
    "no JSON": ({"body": b"{"}, 400, "invalid_request"),
    "no messages": ({"body": {"model": "m"}}, 400, "invalid_request"),
    "unknown model": ({"body": CHAT | {"model": "nobody"}}, 400, "unknown_model"),
    "wrong key": ({"body": CHAT, "key": "sk-cw-x"}, 401, "invalid_api_key"),
    "no key": ({"body": CHAT, "key": None}, 401, "invalid_api_key"),
    "other environment": ({"body": CHAT, "headers": {"x-crossway-env": "y"}}, 403, "environment_mismatch"),
    "compressed": ({"body": b"x", "headers": {"content-encoding": "gzip"}}, 415, ""),
    "unknown provider": ({"body": CHAT, "headers": {"x-llm-provider": "nobody"}}, 400, ""),
}


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", LOCAL)
def test_refused_here(pair: Pair, name: str, stream: bool) -> None:
    pair.script(wire.answer)
    given, status, code = LOCAL[name]
    body = given["body"]
    if stream and isinstance(body, dict):
        body = body | {"stream": True}
    reply = call(
        pair.gateway.url,
        "/v1/chat/completions",
        body,
        **({"key": pair.gateway.key} | {k: v for k, v in given.items() if k != "body"}),
    )
    error = check_contract(reply, status, code)
    if name == "unknown model":
        assert error["param"] == "model"
    if name == "no messages":
        assert error["param"] == "messages"
    assert not pair.upstream.journal


UPSTREAM: dict[str, tuple[list[Step], int, str]] = {
    "400": (wire.error(400, "no"), 400, ""),
    "401": (wire.error(401, "no"), 502, "upstream_auth_error"),
    "404": (wire.error(404, "no"), 404, ""),
    "429": (wire.error(429, "no", None, {"retry-after": "1"}), 429, "rate_limited"),
    "500": (wire.error(500, "no"), 502, "upstream_error"),
    "closed": ([Close()], 502, "upstream_error"),
    "silence": ([Hang()], 504, "upstream_timeout"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", UPSTREAM)
def test_failed_upstream(pair: Pair, silent: Pair, name: str, stream: bool) -> None:
    steps, status, code = UPSTREAM[name]
    if steps and isinstance(steps[0], Hang):
        pair = silent
    pair.script(wire.answer)
    pair.gateway.wait(lambda: pair.gateway.ask().status == 200, "a healthy target", 15)
    pair.script(lambda _: steps)
    reply = pair.gateway.ask(stream=stream)
    check_contract(reply, status, code)
    if status == 429:
        assert reply.header("retry-after"), "every 429 says when"
    assert pair.gateway.record(reply.header("x-request-id") or "")


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing", "/v1/chat", "/v1/chat/completions/x"])
def test_unknown_paths(pair: Pair, path: str) -> None:
    for method in ("GET", "POST"):
        reply = call(pair.gateway.url, path, None if method == "GET" else b"{}", key=pair.gateway.key, method=method)
        check_contract(reply, 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_wrong_methods(pair: Pair, method: str) -> None:
    reply = call(pair.gateway.url, "/v1/chat/completions", None, key=pair.gateway.key, method=method)
    assert reply.status in (404, 405)
    check_contract(reply, reply.status)


def test_ids_are_our_own(pair: Pair) -> None:
    """What a client sends as an id is not what is recorded, and no id comes twice."""
    pair.script(wire.answer)
    replies = [pair.gateway.chat(CHAT, headers={"x-request-id": "mine"}) for _ in range(5)]
    ids = {reply.header("x-request-id") for reply in replies}
    assert len(ids) == 5 and "mine" not in ids
    for reply in replies:
        assert json.loads(reply.body)["crossway"]["request_id"] == reply.header("x-request-id")
