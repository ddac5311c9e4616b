"""The official SDKs of both surfaces, in Python and Node, each over every dialect of providers.

An upstream answers with a handful of recordings per dialect: text, tool calls, several at once, reasoning, JSON, whole
and streamed. What the SDK puts together must be what the recording says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from anthropic import Anthropic
from harness import corpus, node
from harness.corpus import Exchange, Replay
from harness.gateway import Gateway, model, provider
from harness.notes import note
from harness.readers import DIALECTS, KINDS, READERS, read
from harness.reading import Reading
from harness.translated import differences
from harness.upstream import Upstream
from openai import OpenAI

MESSAGES: list[Any] = [{"role": "user", "content": "hi"}]
FEATURES = ["plain", "tool_call", "parallel_tools", "reasoning_output", "structured_output"]
SURFACES = {"openai": "openai_chat", "anthropic": "anthropic"}


@dataclass(frozen=True)
class Case:
    """A recording, what it shows, and the surface that asks for it."""

    exchange: Exchange
    feature: str
    surface: str

    @property
    def dialect(self) -> str:
        """The dialect of the recording."""
        return DIALECTS[self.exchange.endpoint]

    @property
    def reading(self) -> Reading:
        """What the recording says."""
        return read(self.dialect, self.exchange.response)

    @property
    def id(self) -> str:
        """The name of the test."""
        form = "streamed" if self.exchange.streamed else "buffered"
        return f"{self.surface}-{self.dialect}-{self.feature}-{form}"

    @property
    def body(self) -> dict[str, Any]:
        """A request of the surface that such a reply may follow."""
        return {"model": self.exchange.slug, "messages": MESSAGES} | BODIES[self.surface](self)


def openai_body(case: Case) -> dict[str, Any]:
    """What the OpenAI surface is asked besides."""
    more: dict[str, Any] = {}
    if names := sorted({name for name, _ in case.reading.calls}):
        more["tools"] = [{"type": "function", "function": {"name": name, "parameters": OBJECT}} for name in names]
    if case.feature == "reasoning_output":
        more["reasoning_effort"] = "low"
    if case.feature == "structured_output":
        more["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": OBJECT}}
    return more


def anthropic_body(case: Case) -> dict[str, Any]:
    """What the Anthropic surface is asked besides."""
    more: dict[str, Any] = {"max_tokens": 4096}
    if names := sorted({name for name, _ in case.reading.calls}):
        more["tools"] = [{"name": name, "input_schema": OBJECT} for name in names]
    if case.feature == "reasoning_output":
        more["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    if case.feature == "structured_output":
        more["output_config"] = {"format": {"type": "json_schema", "schema": OBJECT | {"additionalProperties": False}}}
    return more


OBJECT = {"type": "object", "properties": {}}
BODIES = {"openai": openai_body, "anthropic": anthropic_body}


def suits(exchange: Exchange, feature: str) -> bool:
    """Tells whether a recording shows a feature, whole and in the provider's own bytes."""
    reading = read(DIALECTS[exchange.endpoint], exchange.response)
    shown = {
        "plain": bool(reading.text),
        "tool_call": len(reading.calls) == 1,
        "parallel_tools": len(reading.calls) > 1,
        "reasoning_output": bool(reading.thinking),
        "structured_output": reading.text.lstrip().startswith("{"),
    }
    objects = all(isinstance(given, dict) for _, given in reading.calls)
    # The helpers refuse to parse what was cut.
    return shown[feature] and objects and reading.error is None and reading.finish in ("stop", "tool_calls")


def cases() -> list[Case]:
    """One recording for each dialect, feature and form that was recorded, asked through both surfaces."""
    chosen: dict[tuple[str, str, bool], Exchange] = {}
    for exchange in corpus.load(corpus.every_file(), DIALECTS):
        if exchange.status != 200 or exchange.fidelity != "verbatim" or len(exchange.response) > 100_000:
            continue
        if exchange.provider == "azure":
            # Its streams begin with a chunk that the SDK's helper cannot read.
            continue
        for feature in exchange.features.intersection(FEATURES):
            place = (DIALECTS[exchange.endpoint], feature, exchange.streamed)
            if place not in chosen and suits(exchange, feature):
                chosen[place] = exchange
    return [Case(exchange, place[1], surface) for place, exchange in sorted(chosen.items()) for surface in SURFACES]


CASES = cases()
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)

pytestmark = pytest.mark.skipif(not CASES, reason=f"no recorded exchanges in {corpus.FOLDER}")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of the upstream that answers with the recordings."""
    exchanges = {case.exchange.id: case.exchange for case in CASES}
    upstream = Upstream(Replay(list(exchanges.values())))
    providers = {kind: provider(upstream.url + path, kind=kind) for kind, path in KINDS.values()}
    models = [model(e.slug, KINDS[DIALECTS[e.endpoint]][0], e.id) for e in exchanges.values()]
    gateway = Gateway(tmp_path_factory.mktemp("dialects"), {"providers": providers, "models": models})
    assert gateway.key
    yield gateway.start()
    gateway.stop()
    upstream.close()


@pytest.fixture(scope="module")
def clients(served: Gateway) -> Iterator[dict[str, Any]]:
    """The official SDKs for Python; they try once."""
    common: dict[str, Any] = {"api_key": served.key, "max_retries": 0, "timeout": 20}
    with OpenAI(base_url=served.base_url, **common) as one, Anthropic(base_url=served.url, **common) as other:
        yield {"openai": one, "anthropic": other}


@pytest.fixture(scope="module")
def by_node(served: Gateway) -> dict[str, Any]:
    """What the SDKs for Node make of every case."""
    asked = [{"surface": case.surface, "body": case.body, "stream": case.exchange.streamed} for case in CASES]
    found = node.run("dialects", {"url": served.url, "apiKey": served.key, "cases": asked}, 120)
    dialects = {case.dialect for case in CASES}
    note(f"SDKs over dialects: {len(CASES)} cases over {len(dialects)} dialects, each in Python and in Node")
    return dict(zip((case.id for case in CASES), found))


def whole(client: Any, case: Case) -> Any:
    """The reply as the SDK for Python puts it together."""
    if case.surface == "openai":
        if not case.exchange.streamed:
            return client.chat.completions.create(**case.body)
        with client.chat.completions.stream(**case.body, stream_options={"include_usage": True}) as begun:
            return begun.get_final_completion()
    if not case.exchange.streamed:
        return client.messages.create(**case.body)
    with client.messages.stream(**case.body) as begun:
        return begun.get_final_message()


def check(case: Case, reply: dict[str, Any]) -> None:
    """Compares a reply with the recording."""
    have = READERS[SURFACES[case.surface]]([reply])
    wrong = differences(case.reading, have, case.surface)
    assert not wrong, f"{case.exchange.id}: {wrong}"
    assert have.text or have.thinking or have.calls or have.refusal


@each
def test_python(clients: dict[str, Any], case: Case) -> None:
    check(case, whole(clients[case.surface], case).model_dump(mode="json", warnings=False))


@each
def test_node(by_node: dict[str, Any], case: Case) -> None:
    reply = by_node[case.id]
    assert "raised" not in reply, f"{case.exchange.id}: {reply}"
    check(case, reply)


@pytest.mark.parametrize("dialect", KINDS)
def test_every_dialect_has_its_cases(dialect: str) -> None:
    """The choice itself: text, tools and reasoning, whole and streamed."""
    mine = {(case.feature, case.exchange.streamed) for case in CASES if case.dialect == dialect}
    assert {("plain", False), ("plain", True), ("tool_call", False), ("reasoning_output", False)} <= mine, mine
