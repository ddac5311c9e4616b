"""The official SDKs raise the classes that their users catch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from conftest import MakeGateway, MakeUpstream
from harness import node
from harness import openai_wire as wire
from harness.gateway import PROVIDER_KEY, Gateway, model, provider
from harness.upstream import Close, Request, Step, chunk, stream_head
from openai import OpenAI

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
ECHO = f"Incorrect API key provided: {PROVIDER_KEY}"

# model -> what the upstream answers
FAILURES = {
    "bad": lambda: wire.error(400, "the upstream refuses", "invalid_value"),
    "gone": lambda: wire.error(404, "no such model here", "model_not_found"),
    "busy": lambda: wire.error(429, "slow down please", "rate_limit_exceeded", {"retry-after": "2"}),
    "broken": lambda: wire.error(500, "it broke"),
    "locked": lambda: wire.error(401, ECHO, "invalid_api_key"),
}


def script(request: Request) -> list[Step]:
    name = request.json["model"]
    if name in FAILURES:
        return FAILURES[name]()
    if name == "aborts":
        first, second, *_ = wire.events()
        return [stream_head(), chunk(first), chunk(second), Close()]
    return wire.answer(request)


@pytest.fixture(scope="module")
def served(shared_gateway: MakeGateway, shared_upstream: MakeUpstream) -> Iterator[Gateway]:
    """A gateway with one model per failure, each with a provider of its own."""
    upstream = shared_upstream(script)
    names = [*FAILURES, "aborts", "fine"]
    providers = {name: provider(upstream.base_url) for name in names}
    yield shared_gateway({"providers": providers, "models": [model(name, name, name) for name in names]})


CASES: dict[str, tuple[dict[str, Any], str | None, int, str, type[openai.APIStatusError]]] = {
    "400": ({"model": "bad"}, None, 400, "", openai.BadRequestError),
    "400 unknown model": ({"model": "nobody"}, None, 400, "unknown_model", openai.BadRequestError),
    "401": ({"model": "fine"}, "sk-cw-wrong", 401, "invalid_api_key", openai.AuthenticationError),
    "404": ({"model": "gone"}, None, 404, "", openai.NotFoundError),
    "413": ({"model": "fine", "user": "x" * (40 << 20)}, None, 413, "request_too_large", openai.APIStatusError),
    "429": ({"model": "busy"}, None, 429, "", openai.RateLimitError),
    "502": ({"model": "broken"}, None, 502, "upstream_error", openai.InternalServerError),
    "502 auth": ({"model": "locked"}, None, 502, "upstream_auth_error", openai.InternalServerError),
}


def raised(served: Gateway, body: dict[str, Any], key: str | None, stream: bool) -> openai.APIStatusError:
    with OpenAI(base_url=served.base_url, api_key=key or served.key, max_retries=0, timeout=30) as client:
        with pytest.raises(openai.APIStatusError) as info:
            client.chat.completions.create(messages=MESSAGES, stream=stream, **body)
    return info.value


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", CASES)
def test_python(served: Gateway, name: str, stream: bool) -> None:
    body, key, status, code, kind = CASES[name]
    error = raised(served, body, key, stream)
    assert type(error) is kind and error.status_code == status
    assert not code or error.code == code
    assert isinstance(error.body, dict) and {"message", "type", "param", "code"} <= set(error.body)
    assert error.response.headers["x-request-id"]
    assert PROVIDER_KEY not in str(error)


def test_python_403(served: Gateway) -> None:
    with OpenAI(base_url=served.base_url, api_key=served.key, max_retries=0) as client:
        with pytest.raises(openai.PermissionDeniedError) as info:
            client.chat.completions.create(model="fine", messages=MESSAGES, extra_headers={"X-Crossway-Env": "another"})
    assert info.value.code == "environment_mismatch"


def test_the_message_of_the_upstream_survives(served: Gateway) -> None:
    assert "the upstream refuses" in raised(served, {"model": "bad"}, None, False).message
    assert "slow down please" in raised(served, {"model": "busy"}, None, False).message
    busy = raised(served, {"model": "busy"}, None, False)
    assert busy.response.headers["retry-after"] == "2"


def test_python_stream_that_breaks(served: Gateway) -> None:
    text = ""
    with OpenAI(base_url=served.base_url, api_key=served.key, max_retries=0) as client:
        with pytest.raises(openai.APIError) as info:
            for piece in client.chat.completions.create(model="aborts", messages=MESSAGES, stream=True):
                text += piece.choices[0].delta.content or ""
    assert text == "Hello"
    assert info.value.code == "upstream_stream_aborted"


NODE_CLASSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    413: "APIError",
    429: "RateLimitError",
    502: "InternalServerError",
}


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_node(served: Gateway, stream: bool) -> None:
    # The body of the 413 would not fit into an argument; the Python half has it.
    mine = {name: case for name, case in CASES.items() if case[1] is None and case[2] != 413}
    bodies = [{"body": case[0] | {"messages": MESSAGES, "stream": stream}} for case in mine.values()]
    bodies.append(
        {"body": {"model": "fine", "messages": MESSAGES, "stream": stream}, "headers": {"X-Crossway-Env": "x"}}
    )
    found = node.run("errors", {"baseURL": served.base_url, "apiKey": served.key, "cases": bodies})
    for (name, case), error in zip(mine.items(), found):
        assert (error["name"], error["status"]) == (NODE_CLASSES[case[2]], case[2]), (name, error)
        assert not case[3] or error["code"] == case[3], (name, error)
    assert (found[-1]["name"], found[-1]["status"]) == ("PermissionDeniedError", 403)


def test_node_wrong_key(served: Gateway) -> None:
    cases = [{"body": {"model": "fine", "messages": MESSAGES}}]
    (error,) = node.run("errors", {"baseURL": served.base_url, "apiKey": "sk-cw-wrong", "cases": cases})
    assert (error["name"], error["status"], error["code"]) == ("AuthenticationError", 401, "invalid_api_key")


def test_node_stream_that_breaks(served: Gateway) -> None:
    cases = [{"body": {"model": "aborts", "messages": MESSAGES, "stream": True}}]
    (error,) = node.run("errors", {"baseURL": served.base_url, "apiKey": served.key, "cases": cases})
    assert error["text"] == "Hello" and error["code"] == "upstream_stream_aborted"
