"""Two chaos mocks behind a fallback: the callers get right answers, and the mocks have nothing to complain about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from conftest import MakeGateway
from harness import chaos
from harness.gateway import Gateway, model, provider
from llmock.pytest_plugin import LLMock
from openai import OpenAI

pytestmark = pytest.mark.long

FIRST, SECOND = "the first one answers in these words", "the second one answers in other words"
MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
KINDS = {"openai": "openai-compatible", "anthropic": "anthropic"}


# How long a mock is waited for that falls silent. One that answers is given all the time that a busy machine may need.
HASTY = {"first_token_timeout_ms": 500, "idle_timeout_ms": 500, "timeout_ms": 8000}


@dataclass
class Two:
    """The gateway and the mocks: `m` is the first one's, and falls back to the second's."""

    served: Gateway
    first: LLMock
    second: LLMock


@dataclass
class Mocks:
    """Two mocks that speak one dialect, and a configuration with both."""

    first: LLMock
    second: LLMock
    config: dict[str, Any]


@pytest.fixture(scope="module", params=KINDS)
def mocks(request: pytest.FixtureRequest) -> Iterator[Mocks]:
    name = request.param
    with chaos.mock(FIRST) as first, chaos.mock(SECOND) as second:
        base = {mock: mock.base_url(name) + ("/v1" if name == "anthropic" else "") for mock in (first, second)}
        own = {"kind": KINDS[name]}
        config = {
            "providers": {"one": provider(base[first], **own), "two": provider(base[second], **own)},
            "models": [model("m", "one"), model("n", "two"), model("lonely", "one")],
            "fallbacks": [{"model": "m", "fallbacks": ["n"]}],
        }
        yield Mocks(first, second, config)


@pytest.fixture
def two(mocks: Mocks, gateway: MakeGateway) -> Two:
    """Healthy mocks with empty journals, and a gateway that knows nothing bad of them."""
    chaos.ready(mocks.first, FIRST)
    chaos.ready(mocks.second, SECOND)
    return Two(gateway(mocks.config), mocks.first, mocks.second)


@pytest.fixture
def hasty(mocks: Mocks, gateway: MakeGateway) -> Two:
    """The same with a gateway that does not wait long for the first mock."""
    chaos.ready(mocks.first, FIRST)
    chaos.ready(mocks.second, SECOND)
    providers = mocks.config["providers"] | {"one": mocks.config["providers"]["one"] | HASTY}
    return Two(gateway(mocks.config | {"providers": providers}), mocks.first, mocks.second)


def by_openai(served: Gateway, stream: bool, name: str = "m", text: str = "hi") -> str:
    asked: dict[str, Any] = {"model": name, "messages": [{"role": "user", "content": text}]}
    with OpenAI(base_url=served.base_url, api_key=served.key, max_retries=0, timeout=20) as client:
        if not stream:
            reply = client.chat.completions.create(**asked).choices[0]
            assert reply.finish_reason == "stop"
            return reply.message.content or ""
        pieces = [p for chunk in client.chat.completions.create(**asked, stream=True) for p in chunk.choices]
    assert pieces[-1].finish_reason == "stop"
    return "".join(piece.delta.content or "" for piece in pieces)


def by_anthropic(served: Gateway, stream: bool, name: str = "m", text: str = "hi") -> str:
    asked: dict[str, Any] = {"model": name, "max_tokens": 64, "messages": [{"role": "user", "content": text}]}
    with Anthropic(base_url=served.url, api_key=served.key, max_retries=0, timeout=20) as client:
        if not stream:
            reply = client.messages.create(**asked)
        else:
            with client.messages.stream(**asked) as begun:
                reply = begun.get_final_message()
    assert reply.stop_reason == "end_turn"
    return "".join(block.text for block in reply.content if block.type == "text")


ASK = {"openai": by_openai, "anthropic": by_anthropic}
both = pytest.mark.parametrize("surface", ASK)
either = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


@both
@either
def test_a_healthy_day(two: Two, surface: str, stream: bool) -> None:
    assert ASK[surface](two.served, stream) == FIRST
    assert len(two.first.requests) == 1 and not two.second.requests
    chaos.check(two.first, two.second)


@either
@both
@pytest.mark.parametrize("status", [500, 503, 529])
def test_an_outage(two: Two, status: int, surface: str, stream: bool) -> None:
    two.first.outage(status=status)
    assert ASK[surface](two.served, stream) == SECOND
    assert len(two.second.requests) == 1
    chaos.check(two.first, two.second)


@both
def test_a_limit(two: Two, surface: str) -> None:
    """Who asks for patience is not asked again for the same request."""
    two.first.rate_limit(times=None, retry_after=30)
    assert ASK[surface](two.served, False) == SECOND
    assert len(two.first.requests) == 1
    chaos.check(two.first)


def test_a_limit_with_nobody_else_to_ask(two: Two) -> None:
    """The caller is told how long to wait; the gateway does not try in the meantime."""
    two.first.rate_limit(times=None, retry_after=30)
    with Anthropic(base_url=two.served.url, api_key=two.served.key, max_retries=0) as client:
        with pytest.raises(anthropic.RateLimitError) as told:
            client.messages.create(model="lonely", max_tokens=64, messages=MESSAGES)
    assert told.value.response.headers["retry-after"] == "30"
    with OpenAI(base_url=two.served.base_url, api_key=two.served.key, max_retries=0) as client:
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="lonely", messages=[{"role": "user", "content": "another"}])
    chaos.check(two.first)


# A fault of a stream before its first content: nobody has seen anything yet.
EARLY = {
    "truncated": lambda mock: mock.truncate(after_chunks=1, times=None),
    "disconnected": lambda mock: mock.disconnect(after_chunks=1, times=None),
    "stalled": lambda mock: mock.stall(after_chunks=1, seconds=5, times=None),
    "slow": lambda mock: mock.slow_first_token(5, times=None),
}


@both
@pytest.mark.parametrize("fault", EARLY)
def test_a_stream_that_breaks_before_its_first_word(hasty: Two, fault: str, surface: str) -> None:
    EARLY[fault](hasty.first)
    assert ASK[surface](hasty.served, True) == SECOND
    chaos.check(hasty.first, hasty.second)


LATE = {
    "truncated": lambda mock: mock.truncate(after_chunks=5),
    "disconnected": lambda mock: mock.disconnect(after_chunks=5),
    "corrupted": lambda mock: mock.corrupt(after_chunks=5),
}


@both
@pytest.mark.parametrize("fault", LATE)
def test_a_stream_that_breaks_after_its_first_word(two: Two, fault: str, surface: str) -> None:
    LATE[fault](two.first)
    check_broken(two, surface)


@both
def test_a_stream_that_stalls_after_its_first_word(hasty: Two, surface: str) -> None:
    hasty.first.stall(after_chunks=5, seconds=5)
    check_broken(hasty, surface)


def check_broken(two: Two, surface: str) -> None:
    """It is told, and nothing of another answer is put behind it. When the break comes along with the first word, no
    word has been sent yet, and the second one answers."""
    try:
        assert ASK[surface](two.served, True) == SECOND
    except (openai.APIError, anthropic.APIError, json.JSONDecodeError):
        assert not two.second.requests
    assert len(two.first.requests) == 1


@either
@both
@pytest.mark.parametrize("status", [400, 404, 422])
def test_the_callers_fault_is_asked_once(two: Two, status: int, surface: str, stream: bool) -> None:
    two.first.fail(status, times=None, message="the request is wrong")
    with pytest.raises((openai.APIStatusError, anthropic.APIStatusError)) as told:
        ASK[surface](two.served, stream)
    assert told.value.status_code == status and "the request is wrong" in told.value.message
    assert len(two.first.requests) == 1 and not two.second.requests
    chaos.check(two.first)


def test_both_are_down(two: Two) -> None:
    """Attempts have an end, and they do not come at once."""
    two.first.outage()
    two.second.outage()
    for surface in ASK:
        with pytest.raises((openai.InternalServerError, anthropic.InternalServerError)):
            ASK[surface](two.served, False, text=f"by {surface}")
    chaos.check(two.first, two.second)


def test_an_outage_under_load(two: Two) -> None:
    """Forty callers at once, half of them streaming: everyone is answered, and nobody storms."""
    two.first.outage()
    ways = [
        (surface, stream, f"caller {number}") for number in range(10) for surface in ASK for stream in (False, True)
    ]
    with ThreadPoolExecutor(10) as pool:
        texts = list(pool.map(lambda way: ASK[way[0]](two.served, way[1], text=way[2]), ways))
    assert texts == [SECOND] * len(ways)
    assert len(two.second.requests) == len(ways) and len(two.first.requests) <= len(ways)
    chaos.check(two.first, two.second)
