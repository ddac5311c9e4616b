"""Recorded traffic of OpenAI-style providers through the gateway: bytes, requests, and the official SDK's reading.

Every exchange is replayed by an upstream that answers with the recording. What cannot be carried is listed with its
reason in corpus_exceptions.toml, and an entry that is not needed any more is a failure: the list only gets shorter.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from harness import corpus
from harness.corpus import Exchange, Replay
from harness.findings import Findings, check_carried, check_needed, exceptions
from harness.gateway import Gateway, model, provider
from harness.notes import note
from harness.replayed import AUTH, check_reply, check_request
from harness.splice import META_KEY
from harness.upstream import Upstream
from openai import OpenAI, Stream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

EXCHANGES = corpus.load()
PROVIDERS = sorted({exchange.provider for exchange in EXCHANGES})
SUITE = "openai"

pytestmark = pytest.mark.skipif(not EXCHANGES, reason=f"no recorded exchanges in {corpus.FOLDER}")


def config(upstream: Upstream) -> dict[str, Any]:
    """One model per exchange. Failing exchanges get a provider each, so that none is judged by another's failures."""
    providers = {"replay": provider(upstream.base_url)}
    models = []
    for number, exchange in enumerate(EXCHANGES):
        name = "replay"
        if exchange.status != 200:
            name = f"replay{number}"
            providers[name] = provider(upstream.base_url)
        models.append(model(exchange.slug, name, exchange.id))
    return {"providers": providers, "models": models}


@pytest.fixture(scope="module")
def replay() -> Iterator[Upstream]:
    """The upstream that answers with the recordings."""
    upstream = Upstream(Replay(EXCHANGES))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def direct(replay: Upstream) -> dict[str, Any]:
    """What the official SDK reads without a gateway."""
    with sdk(replay.base_url, "none") as client, ThreadPoolExecutor(4) as pool:
        readings = pool.map(lambda exchange: read_with_sdk(exchange, client, exchange.id), EXCHANGES)
        return dict(zip((exchange.id for exchange in EXCHANGES), readings))


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory, replay: Upstream, direct: dict[str, Any]) -> Iterator[Findings]:
    """Everything that differs, over all exchanges."""
    gateway = Gateway(tmp_path_factory.mktemp("corpus"), config(replay))
    key = gateway.key
    gateway.start()
    replay.journal.clear()
    counts: Counter[str] = Counter()
    try:
        with sdk(gateway.base_url, key) as client, ThreadPoolExecutor(4) as pool:
            run = Run(gateway, client, direct, counts)
            found = dict(zip((exchange.id for exchange in EXCHANGES), pool.map(run.replies, EXCHANGES)))
            _requests(found, replay, counts)
            for exchange, problem in zip(EXCHANGES, pool.map(run.readings, EXCHANGES)):
                if problem:
                    found[exchange.id]["sdk"] = problem
    finally:
        gateway.stop()
    counts["carried whole"] = sum(1 for findings in found.values() if not findings)
    figures = ", ".join(f"{count} {what}" for what, count in counts.items())
    note(f"corpus: {len(EXCHANGES)} exchanges, {figures}, {len(exceptions(SUITE))} exceptions listed")
    yield found


class Run:
    """The passes over one gateway."""

    def __init__(self, gateway: Gateway, client: OpenAI, direct: dict[str, Any], counts: Counter[str]) -> None:
        self.gateway, self.client, self.direct, self.counts = gateway, client, direct, counts

    def replies(self, exchange: Exchange) -> dict[str, str]:
        """The bytes of the reply."""
        self.counts["streamed" if exchange.streamed else "buffered"] += 1
        problem = check_reply(exchange, self.gateway.chat(corpus.asked_as(exchange, exchange.slug)))
        return {"bytes": problem} if problem else {}

    def readings(self, exchange: Exchange) -> str | None:
        """The SDK's reading."""
        through = read_with_sdk(exchange, self.client, exchange.slug)
        if same_reading(exchange, self.direct[exchange.id], through):
            return None
        return f"direct {str(self.direct[exchange.id])[:200]} but through the gateway {str(through)[:300]}"


def _requests(found: Findings, replay: Upstream, counts: Counter[str]) -> None:
    """What the upstream was asked in the first pass."""
    seen = {(served.request.json or {}).get("model"): served.request for served in reversed(replay.journal)}
    for exchange in EXCHANGES:
        if exchange.id not in seen:
            found[exchange.id]["request"] = "the upstream was not asked"
            continue
        problem, identical = check_request(exchange, seen[exchange.id])
        counts["requests identical to the byte"] += identical
        if problem:
            found[exchange.id]["request"] = problem


def sdk(base_url: str, key: str) -> OpenAI:
    """A client of the official SDK that tries once."""
    return OpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=20)


def read_with_sdk(exchange: Exchange, client: OpenAI, name: str) -> Any:
    """What the official SDK makes of an exchange: dumps of its objects, or the class of what it raises."""
    body = exchange.value | {"model": name}
    try:
        if not exchange.wants_stream:
            return _plain(client.post("/chat/completions", body=body, cast_to=ChatCompletion))
        chunks = client.post(
            "/chat/completions",
            body=body,
            cast_to=ChatCompletionChunk,
            stream=True,
            stream_cls=Stream[ChatCompletionChunk],
        )
        return [_plain(chunk) for chunk in chunks]
    except openai.APIStatusError as raised:
        return type(raised).__name__
    except (openai.APIError, json.JSONDecodeError) as raised:
        return "broken stream" if exchange.wants_stream else type(raised).__name__


def _plain(value: ChatCompletion | ChatCompletionChunk) -> dict[str, Any]:
    # Some recordings hold lists where the SDK's types say text; the SDK reads them, and only its writer warns.
    dump = value.model_dump(mode="json", warnings=False)
    dump.pop(META_KEY, None)
    return dump


def same_reading(exchange: Exchange, direct: Any, through: Any) -> bool:
    """Compares the two readings."""
    if exchange.status in AUTH:
        return through == "InternalServerError"
    if direct == "broken stream":
        # Nothing was delivered yet: the gateway may still answer with a status.
        return through == "broken stream" or through in ("InternalServerError", "BadRequestError")
    if isinstance(direct, list) and isinstance(through, list) and not exchange.wants_usage:
        direct = [chunk for chunk in direct if chunk["choices"] != [] or not chunk.get("usage")]
    return direct == through


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_exchange_is_carried(name: str, findings: Findings) -> None:
    check_carried(findings, {exchange.id for exchange in EXCHANGES if exchange.provider == name}, SUITE)


def test_exceptions_are_still_needed(findings: Findings) -> None:
    check_needed(findings, SUITE)


def test_every_recording_can_be_read_without_the_gateway(direct: dict[str, Any]) -> None:
    """The oracle itself: the SDK reads the recordings."""
    kinds = Counter(reading if isinstance(reading, str) else type(reading).__name__ for reading in direct.values())
    for exchange in EXCHANGES:
        if exchange.status == 200 and not exchange.streamed:
            assert isinstance(direct[exchange.id], dict), (exchange.id, direct[exchange.id])
    assert kinds["list"] + kinds["dict"] + kinds["broken stream"] > 0.8 * len(EXCHANGES), dict(kinds)
