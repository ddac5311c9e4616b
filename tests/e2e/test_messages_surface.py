"""The official Anthropic SDK against the Anthropic surface: its bases, both kinds of keys, its helpers and errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic
from anthropic.types import Message
from conftest import MakeGateway, MakeUpstream
from harness import anthropic_wire as wire
from harness.gateway import PROVIDER_KEY, Gateway, model, provider
from harness.upstream import Close, Hang, Request, Step, Taken, Upstream, chunk, reply_json, stream, stream_head
from harness.wire import call

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
ASK: dict[str, Any] = {"model": "fine", "max_tokens": 64, "messages": MESSAGES}
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ECHO = f"invalid x-api-key {PROVIDER_KEY}"

# model -> what the upstream answers
FAILURES = {
    "bad": lambda: wire.error(400, "invalid_request_error", "max_tokens: too large"),
    "long": lambda: wire.error(400, "invalid_request_error", "prompt is too long: 333 tokens > 200 maximum"),
    "gone": lambda: wire.error(404, "not_found_error", "model: no such model"),
    "busy": lambda: wire.error(429, "rate_limit_error", "slow down please", {"retry-after": "2"}),
    "full": lambda: wire.error(529, "overloaded_error", "Overloaded"),
    "broken": lambda: wire.error(500, "api_error", "it broke"),
    "locked": lambda: wire.error(401, "authentication_error", ECHO),
    "silent": lambda: [Hang()],
}


def script(request: Request) -> list[Step]:
    body = request.json or {}
    name = body.get("model")
    if name in FAILURES:
        return FAILURES[name]()
    begun = wire.events()[:4]
    if name == "aborts":
        return [stream_head(), *map(chunk, begun), Taken(), Close()]
    if name == "fails":
        failure = wire.event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
        return [stream_head(), *map(chunk, begun), Taken(), chunk(failure), b"0\r\n\r\n"]
    if name == "thinks":
        return told(body, wire.THINKING, wire.TEXT)
    if body.get("tools"):
        return told(body, wire.TEXT, wire.TOOL, stop="tool_use")
    return wire.answer(request)


def told(body: dict[str, Any], *blocks: wire.Block, stop: str = "end_turn") -> list[Step]:
    """These blocks, as the request wants them."""
    return (
        stream(wire.events(*blocks, stop=stop)) if body.get("stream") else reply_json(wire.message(*blocks, stop=stop))
    )


NAMES = [*FAILURES, "aborts", "fails", "thinks", "fine"]


@pytest.fixture(scope="module")
def up(shared_upstream: MakeUpstream) -> Upstream:
    """The provider."""
    return shared_upstream(script)


@pytest.fixture(scope="module")
def served(shared_gateway: MakeGateway, up: Upstream) -> Gateway:
    """A gateway with one model per failure, each with a provider of its own, and one that nobody can ask."""
    # Who is never to answer is not waited for; the others may take as long as a busy machine lets them.
    hasty = {"silent": {"first_token_timeout_ms": 600, "timeout_ms": 3000}}
    providers = {name: provider(up.url, kind="anthropic", **hasty.get(name, {})) for name in NAMES}
    return shared_gateway({"providers": providers, "models": [model(name, name, name) for name in NAMES]})


@pytest.fixture
def client(served: Gateway) -> Iterator[Anthropic]:
    """The SDK with the key of the test; it tries once."""
    with sdk(served, api_key=served.key) as made:
        yield made


def sdk(served: Gateway, base: str = "", **credential: str) -> Anthropic:
    return Anthropic(base_url=served.url + base, max_retries=0, timeout=20, **credential)


# S13: where the surface is served, and how a key may come.
@pytest.mark.parametrize("credential", ["api_key", "auth_token"])
@pytest.mark.parametrize("base", ["", "/v1", "/api/anthropic", "/api/anthropic/v1"])
def test_every_base_and_both_kinds_of_keys(served: Gateway, up: Upstream, base: str, credential: str) -> None:
    up.journal.clear()
    with sdk(served, base, **{credential: served.key}) as client:
        reply = client.messages.create(**ASK)
        with client.messages.stream(**ASK) as begun:
            streamed = begun.get_final_message()
        assert client.messages.count_tokens(model="fine", messages=MESSAGES).input_tokens == 17
        assert {"fine", "bad"} <= {one.id for one in client.models.list(limit=100)}
        assert client.models.retrieve("fine").id == "fine"
    assert [block.text for block in reply.content] == [block.text for block in streamed.content] == [wire.TEXT["text"]]
    paths = [line.request.path for line in up.journal]
    assert paths == ["/v1/messages", "/v1/messages", "/v1/messages/count_tokens"]
    for line in up.journal:
        assert line.request.header("x-api-key") == PROVIDER_KEY
        assert line.request.header("anthropic-version") == client.default_headers["anthropic-version"]
        assert served.key not in str(line.request.headers), "the caller's key stays here"


def test_the_request_id_is_readable(client: Anthropic) -> None:
    reply = client.messages.with_raw_response.create(**ASK)
    assert reply.headers["x-request-id"] == reply.parse()._request_id
    assert (reply.parse()._request_id or "").startswith("req_")
    with client.messages.stream(**ASK) as begun:
        assert (begun.request_id or "").startswith("req_")
        begun.until_done()


def test_the_meta_block_goes_with_the_reply(client: Anthropic) -> None:
    meta = client.messages.create(**ASK).crossway  # type: ignore[attr-defined]
    assert meta["routed_to"] == meta["provider"] == "fine" and meta["request_id"].startswith("req_")
    with client.messages.stream(**ASK) as begun:
        begins = next(event.message for event in begun if event.type == "message_start")
        ends = [event for event in begun if event.type == "message_delta"][-1]
    assert begins.crossway["routed_to"] == "fine"
    # Five, two written and one read from the cache are input at one dollar a million, three output at two.
    assert ends.crossway["cost"] == pytest.approx((5 + 2 + 1 + 2 * 3) / 1e6, rel=0.5)


def test_the_record_has_the_tokens(served: Gateway, client: Anthropic) -> None:
    with client.messages.stream(**ASK) as begun:
        begun.until_done()
    record = served.record(begun.request_id or "")
    assert record["usage"]["origin"] == "reported" and record["usage"]["output_tokens"] == 3
    assert record["usage"]["input_tokens"] == 5 + 2 + 1 and record["usage"]["cached_input_tokens"] == 1


# The helpers of the SDK.
def test_the_streaming_helper(client: Anthropic) -> None:
    with client.messages.stream(**ASK) as begun:
        words = list(begun.text_stream)
        final = begun.get_final_message()
    assert words == ["Hello", " ", "there friend"]
    assert final.stop_reason == "end_turn" and final.usage.output_tokens == 3 and final.usage.input_tokens == 5


@pytest.mark.parametrize("stream_it", [False, True], ids=["buffered", "streamed"])
def test_tool_use(client: Anthropic, up: Upstream, stream_it: bool) -> None:
    asked = ASK | {"tools": [WEATHER], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
    reply = final(client, asked, stream_it)
    used = reply.content[1]
    assert used.type == "tool_use" and (used.id, used.name) == ("toolu_1", "get_weather")
    assert used.input == wire.TOOL["input"] and reply.stop_reason == "tool_use"
    assert up.last.request.json["tools"] == [WEATHER]
    result = {"type": "tool_result", "tool_use_id": used.id, "content": [{"type": "text", "text": "rain"}]}
    turns = [*MESSAGES, {"role": "assistant", "content": reply.content}, {"role": "user", "content": [result]}]
    final(client, asked | {"messages": turns}, stream_it)
    sent = up.last.request.json["messages"]
    assert sent[1]["content"][1]["input"] == wire.TOOL["input"] and sent[2]["content"] == [result]


@pytest.mark.parametrize("stream_it", [False, True], ids=["buffered", "streamed"])
def test_thinking(client: Anthropic, up: Upstream, stream_it: bool) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    reply = final(client, ASK | {"model": "thinks", "max_tokens": 2048, "thinking": thinking}, stream_it)
    thought, text = reply.content
    assert (thought.type, thought.thinking, thought.signature) == ("thinking", "They greet.", "c2lnbmF0dXJl")
    assert text.type == "text" and text.text == wire.TEXT["text"]
    assert up.last.request.json["thinking"] == thinking


def final(client: Anthropic, asked: dict[str, Any], stream_it: bool) -> Message:
    if not stream_it:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as begun:
        return begun.get_final_message()


def test_count_tokens_without_a_counting_provider(gateway: MakeGateway, up: Upstream) -> None:
    """Where nobody counts, the count is an estimate and the reply says so."""
    served = gateway({"providers": {"up": provider(up.base_url)}, "models": [model("m")]})
    with sdk(served, api_key=served.key) as client:
        raw = client.messages.with_raw_response.count_tokens(model="m", messages=MESSAGES)
    assert raw.parse().input_tokens > 0 and raw.headers["x-crossway-estimated"] == "true"


def test_models_in_the_shape_of_the_newest_sdk(client: Anthropic) -> None:
    first = client.models.list(limit=3)
    assert len(first.data) == 3 and first.has_more and first.last_id == first.data[-1].id
    every = list(client.models.list(limit=3))
    assert len({one.id for one in every}) == len(every) >= len(NAMES), "pages follow one another"
    one = client.models.retrieve("fine")
    # Its types demand these.
    assert one.type == "model" and one.display_name and one.created_at.year >= 1970 and one.lifecycle == "active"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")


# Section E: what the SDK raises.
Case = tuple[dict[str, Any], int, str, str, type[anthropic.APIStatusError]]
CASES: dict[str, Case] = {
    "400": ({"model": "bad"}, 400, "invalid_request_error", "invalid_request", anthropic.BadRequestError),
    "400 unknown model": ({"model": "no"}, 400, "invalid_request_error", "unknown_model", anthropic.BadRequestError),
    "400 too long": (
        {"model": "long"},
        400,
        "invalid_request_error",
        "context_length_exceeded",
        anthropic.BadRequestError,
    ),
    "404": ({"model": "gone"}, 404, "not_found_error", "not_found", anthropic.NotFoundError),
    "413": (
        {"system": "x" * (33 << 20)},
        413,
        "request_too_large",
        "request_too_large",
        anthropic.RequestTooLargeError,
    ),
    "429": ({"model": "busy"}, 429, "rate_limit_error", "rate_limited", anthropic.RateLimitError),
    "529": ({"model": "full"}, 529, "overloaded_error", "upstream_error", anthropic.OverloadedError),
    "502": ({"model": "broken"}, 502, "api_error", "upstream_error", anthropic.InternalServerError),
    "502 auth": ({"model": "locked"}, 502, "api_error", "upstream_auth_error", anthropic.InternalServerError),
    "504": ({"model": "silent"}, 504, "timeout_error", "upstream_timeout", anthropic.GatewayTimeoutError),
}


def raised(client: Anthropic, stream_it: bool, **asked: Any) -> anthropic.APIStatusError:
    with pytest.raises(anthropic.APIStatusError) as info:
        client.messages.create(**(ASK | asked), stream=stream_it)
    return info.value


@pytest.mark.parametrize("stream_it", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", CASES)
def test_errors(client: Anthropic, name: str, stream_it: bool) -> None:
    asked, status, kind, code, expected = CASES[name]
    error = raised(client, stream_it, **asked)
    assert type(error) is expected and error.status_code == status
    assert error.type == kind and error.response.headers["x-crossway-error-code"] == code
    assert (error.request_id or "").startswith("req_")
    assert isinstance(error.body, dict) and error.body["type"] == "error"
    assert error.body["request_id"] == error.request_id == error.response.headers["x-request-id"]
    assert PROVIDER_KEY not in str(error)


def test_what_the_provider_says_survives(client: Anthropic) -> None:
    assert raised(client, False, model="bad").api_message == "max_tokens: too large"
    busy = raised(client, False, model="busy")
    assert busy.api_message == "slow down please" and busy.response.headers["retry-after"] == "2"


@pytest.mark.parametrize("credential", ["api_key", "auth_token"])
def test_a_wrong_key(served: Gateway, credential: str) -> None:
    with sdk(served, **{credential: "sk-cw-wrong"}) as client:
        for ask in (
            lambda: client.messages.create(**ASK),
            lambda: client.messages.count_tokens(model="fine", messages=MESSAGES),
            lambda: client.models.list(),
        ):
            with pytest.raises(anthropic.AuthenticationError) as info:
                ask()
            assert info.value.type == "authentication_error" and info.value.request_id


def test_another_environment(client: Anthropic) -> None:
    with pytest.raises(anthropic.PermissionDeniedError) as info:
        client.messages.create(**ASK, extra_headers={"X-Crossway-Env": "another"})
    assert info.value.type == "permission_error"


@pytest.mark.parametrize("missing", ["max_tokens", "messages"])
def test_a_required_field_that_is_missing(served: Gateway, missing: str) -> None:
    body = {name: value for name, value in ASK.items() if name != missing}
    reply = call(served.url, "/v1/messages", body, headers={"x-api-key": served.key})
    assert reply.status == 400 and reply.error["type"] == "invalid_request_error"
    assert missing in reply.error["message"]


@pytest.mark.parametrize("path", ["/api/anthropic/v1/nothing", "/api/anthropic/v1/chat/completions"])
def test_an_unknown_path_is_refused_in_the_surfaces_own_shape(served: Gateway, path: str) -> None:
    reply = call(served.url, path, ASK, headers={"x-api-key": served.key})
    assert reply.status == 404 and reply.json["type"] == "error" and reply.error["type"] == "not_found_error"


# Failures after the first content: an error event, and no end marker.
@pytest.mark.parametrize(("name", "kind"), [("aborts", "api_error"), ("fails", "overloaded_error")])
def test_a_stream_that_breaks(client: Anthropic, name: str, kind: str) -> None:
    text, ended = "", False
    with pytest.raises(anthropic.APIStatusError) as info:
        for event in client.messages.create(**(ASK | {"model": name}), stream=True):
            ended = ended or event.type == "message_stop"
            if event.type == "content_block_delta" and event.delta.type == "text_delta":
                text += event.delta.text
    assert text == "Hello" and not ended
    assert isinstance(info.value.body, dict) and info.value.body["error"]["type"] == kind
    assert info.value.type == kind and info.value.body["request_id"] == info.value.request_id
