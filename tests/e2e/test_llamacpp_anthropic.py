"""A real model behind both of llama.cpp's interfaces, asked through both surfaces by the official SDKs."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import Anthropic
from conftest import MakeGateway
from harness.gateway import Gateway, model, provider
from openai import OpenAI

TEXT = "Write one short sentence about the sea."
MESSAGES: list[Any] = [{"role": "user", "content": TEXT}]
SAME: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 24}
# The Anthropic SDK has no names for these; the server knows them on both of its interfaces.
SETTLED: dict[str, Any] = {"temperature": 0, "seed": 1}

# What a reply amounts to: its text, why it ended, how many tokens it took.
Answer = tuple[str, str | None, int]


@pytest.fixture(scope="module")
def served(shared_gateway: MakeGateway, llama: str) -> Gateway:
    """A gateway that knows the server by both of its interfaces."""
    providers = {
        "messages": provider(llama + "/v1", kind="anthropic"),
        "chat": provider(llama + "/v1", kind="llamacpp"),
    }
    names = [model("by-messages", "messages", "smollm2"), model("by-chat", "chat", "smollm2")]
    return shared_gateway({"providers": providers, "models": names})


def messages(base_url: str, key: str, name: str, stream: bool) -> Answer:
    with Anthropic(base_url=base_url, api_key=key, max_retries=0, timeout=60) as client:
        asked = SAME | {"model": name, "extra_body": SETTLED}
        if not stream:
            reply = client.messages.create(**asked)
        else:
            with client.messages.stream(**asked) as begun:
                pieces = list(begun.text_stream)
                reply = begun.get_final_message()
            assert len(pieces) > 5, "it arrives piece by piece"
            assert "".join(pieces) == reply.content[0].text  # type: ignore[union-attr]
    assert [block.type for block in reply.content] == ["text"]
    return reply.content[0].text, reply.stop_reason, reply.usage.output_tokens  # type: ignore[union-attr]


def completions(base_url: str, key: str, name: str, stream: bool) -> Answer:
    with OpenAI(base_url=base_url + "/v1", api_key=key, max_retries=0, timeout=60) as client:
        asked = SAME | SETTLED | {"model": name}
        if not stream:
            reply = client.chat.completions.create(**asked)
            choice = reply.choices[0]
            return choice.message.content or "", choice.finish_reason, reply.usage.completion_tokens  # type: ignore[union-attr]
        text, finish, used = "", None, 0
        options = {"stream": True, "stream_options": {"include_usage": True}}
        for chunk in client.chat.completions.create(**asked, **options):
            used = chunk.usage.completion_tokens if chunk.usage else used
            for part in chunk.choices:
                text += part.delta.content or ""
                finish = part.finish_reason or finish
    return text, finish, used


@pytest.fixture(scope="module")
def direct(llama: str) -> Answer:
    """What the server says when it is asked without a gateway."""
    return completions(llama, "none", "smollm2", False)


FINISH = {"length": "max_tokens", "stop": "end_turn"}


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", ["by-messages", "by-chat"])
def test_through_the_anthropic_surface(served: Gateway, direct: Answer, name: str, stream: bool) -> None:
    text, finish, used = messages(served.url, served.key, name, stream)
    assert text == direct[0] != ""
    assert finish == FINISH[direct[1] or ""] and used == direct[2] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("name", ["by-messages", "by-chat"])
def test_through_the_openai_surface(served: Gateway, direct: Answer, name: str, stream: bool) -> None:
    assert completions(served.url, served.key, name, stream) == direct


def test_tokens_are_counted_by_the_server(served: Gateway, llama: str) -> None:
    asked: dict[str, Any] = {"messages": MESSAGES}
    with Anthropic(base_url=llama, api_key="none") as client:
        counted = client.messages.count_tokens(model="smollm2", **asked).input_tokens
    with Anthropic(base_url=served.url, api_key=served.key, max_retries=0) as client:
        raw = client.messages.with_raw_response.count_tokens(model="by-messages", **asked)
        assert raw.parse().input_tokens == counted > 0 and "x-crossway-estimated" not in raw.headers
        estimated = client.messages.with_raw_response.count_tokens(model="by-chat", **asked)
        assert estimated.headers["x-crossway-estimated"] == "true"


@pytest.mark.parametrize("name", ["by-messages", "by-chat"])
def test_the_record_has_the_tokens_of_the_answer(served: Gateway, name: str) -> None:
    with Anthropic(base_url=served.url, api_key=served.key, max_retries=0) as client:
        reply = client.messages.create(model=name, **SAME)
    recorded = served.record(reply._request_id or "")["usage"]
    assert recorded["origin"] == "reported" and recorded["output_tokens"] == reply.usage.output_tokens > 0
    cached = (reply.usage.cache_read_input_tokens or 0) + (reply.usage.cache_creation_input_tokens or 0)
    assert recorded["input_tokens"] == reply.usage.input_tokens + cached > 0
