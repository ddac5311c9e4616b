"""Recorded traffic of Anthropic's API through the gateway: bytes, requests, headers, and the official SDK's reading.

Every exchange is replayed by an upstream that answers with the recording. What cannot be carried is listed with its
reason in corpus_exceptions.toml; the list only gets shorter.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, Stream
from anthropic.types import Message, RawMessageStreamEvent
from harness import corpus
from harness.corpus import Exchange, Replay, asked_as
from harness.findings import Findings, check_carried, check_needed, exceptions
from harness.gateway import Gateway, model, provider
from harness.notes import note
from harness.replayed import AUTH
from harness.replayed_anthropic import check_headers, check_reply, check_request
from harness.splice import META_KEY
from harness.upstream import Upstream
from harness.wire import call

EXCHANGES = corpus.load(("anthropic",), ("messages",))
COUNTS = corpus.load(("anthropic",), ("messages.count_tokens",))
SUITE = "anthropic"

pytestmark = pytest.mark.skipif(not EXCHANGES, reason=f"no recorded exchanges in {corpus.FOLDER}")


def config(upstream: Upstream) -> dict[str, Any]:
    """One model per exchange. Failing exchanges get a provider each, so that none is judged by another's failures."""
    providers = {"replay": provider(upstream.url, kind="anthropic")}
    models = []
    for number, exchange in enumerate([*EXCHANGES, *COUNTS]):
        name = "replay"
        if exchange.status != 200:
            name = f"replay{number}"
            providers[name] = provider(upstream.url, kind="anthropic")
        models.append(model(exchange.slug, name, exchange.id))
    return {"providers": providers, "models": models}


@pytest.fixture(scope="module")
def replay() -> Iterator[Upstream]:
    """The upstream that answers with the recordings."""
    upstream = Upstream(Replay([*EXCHANGES, *COUNTS]))
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, replay: Upstream) -> Iterator[Gateway]:
    """The gateway before it."""
    gateway = Gateway(tmp_path_factory.mktemp("corpus"), config(replay))
    assert gateway.key
    yield gateway.start()
    gateway.stop()


@pytest.fixture(scope="module")
def direct(replay: Upstream) -> dict[str, Any]:
    """What the official SDK reads without a gateway."""
    with sdk(replay.url, "none") as client, ThreadPoolExecutor(4) as pool:
        readings = pool.map(lambda exchange: read_with_sdk(exchange, client, exchange.id), EXCHANGES)
        return dict(zip((exchange.id for exchange in EXCHANGES), readings))


@pytest.fixture(scope="module")
def findings(served: Gateway, replay: Upstream, direct: dict[str, Any]) -> Findings:
    """Everything that differs, over all exchanges."""
    found: Findings = {exchange.id: {} for exchange in EXCHANGES}

    def tell(exchange: Exchange, **problems: str | None) -> None:
        found[exchange.id] |= {check: problem for check, problem in problems.items() if problem}

    replay.journal.clear()
    with sdk(served.url, served.key) as client, ThreadPoolExecutor(4) as pool:
        for exchange, reply in zip(EXCHANGES, pool.map(lambda exchange: asked(served, exchange), EXCHANGES)):
            tell(exchange, bytes=check_reply(exchange, reply), headers=check_headers(exchange, reply))
        seen = {(served.request.json or {}).get("model"): served.request for served in reversed(replay.journal)}
        for exchange in EXCHANGES:
            told = check_request(exchange, seen[exchange.id]) if exchange.id in seen else "the upstream was not asked"
            tell(exchange, request=told)
        readings = pool.map(lambda exchange: read_with_sdk(exchange, client, exchange.slug), EXCHANGES)
        for exchange, through in zip(EXCHANGES, readings):
            tell(exchange, sdk=check_reading(exchange, direct[exchange.id], through))
    counts = Counter("streamed" if exchange.streamed else "buffered" for exchange in EXCHANGES)
    limits = sum("anthropic-ratelimit-requests-limit" in exchange.headers for exchange in EXCHANGES)
    whole = sum(1 for problems in found.values() if not problems)
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    note(
        f"corpus of Anthropic: {len(EXCHANGES)} exchanges, {kinds}, {limits} with limits, {whole} carried whole, "
        f"{len(exceptions(SUITE))} exceptions listed"
    )
    return found


def asked(served: Gateway, exchange: Exchange) -> Any:
    """The recorded request, with the headers of its caller."""
    own = {name: value for name, value in exchange.asked.items() if name.startswith("anthropic-")}
    body = asked_as(exchange, exchange.slug)
    return call(served.url, exchange.path, body, headers=own | {"x-api-key": served.key})


def sdk(base_url: str, key: str) -> Anthropic:
    """A client of the official SDK that tries once."""
    return Anthropic(base_url=base_url, api_key=key, max_retries=0, timeout=20)


def read_with_sdk(exchange: Exchange, client: Anthropic, name: str) -> Any:
    """What the official SDK makes of an exchange: dumps of its objects, or the class of what it raises."""
    body = exchange.value | {"model": name}
    try:
        if not exchange.wants_stream:
            return _plain(client.post("/v1/messages", body=body, cast_to=Message))
        kind: Any = RawMessageStreamEvent
        events = client.post("/v1/messages", body=body, cast_to=kind, stream=True, stream_cls=Stream[kind])
        return [_plain(event) for event in events]
    except anthropic.APIStatusError as raised:
        return type(raised).__name__
    except (anthropic.APIError, json.JSONDecodeError) as raised:
        return "broken stream" if exchange.wants_stream else type(raised).__name__


def _plain(value: Any) -> dict[str, Any]:
    dump = value.model_dump(mode="json", warnings=False)
    dump.pop(META_KEY, None)
    if isinstance(dump.get("message"), dict):
        dump["message"].pop(META_KEY, None)
    return dump


def check_reading(exchange: Exchange, direct: Any, through: Any) -> str | None:
    """Compares the two readings."""
    if through == ("InternalServerError" if exchange.status in AUTH else direct):
        return None
    return f"direct {str(direct)[:200]} but through the gateway {str(through)[:300]}"


@pytest.mark.parametrize("kind", ["buffered", "streamed"])
def test_every_exchange_is_carried(kind: str, findings: Findings) -> None:
    mine = {exchange.id for exchange in EXCHANGES if exchange.streamed == (kind == "streamed")}
    assert mine
    check_carried(findings, mine, SUITE)


def test_exceptions_are_still_needed(findings: Findings) -> None:
    check_needed(findings, SUITE)


def test_every_recording_can_be_read_without_the_gateway(direct: dict[str, Any]) -> None:
    """The oracle itself: the SDK reads the recordings."""
    for exchange in EXCHANGES:
        if exchange.status == 200:
            assert isinstance(direct[exchange.id], list if exchange.streamed else dict), direct[exchange.id]


@pytest.mark.parametrize("exchange", COUNTS, ids=lambda exchange: exchange.id)
def test_counts(served: Gateway, replay: Upstream, exchange: Exchange) -> None:
    """A count is the provider's; where the provider refuses to count, it is estimated and the reply says so."""
    replay.journal.clear()
    reply = asked(served, exchange)
    assert reply.status == 200, reply.body[:300]
    assert check_request(exchange, replay.last.request) is None
    if exchange.status == 200:
        assert reply.json == json.loads(exchange.response) and reply.header("x-crossway-estimated") is None
    else:
        assert reply.json["input_tokens"] > 0 and reply.header("x-crossway-estimated") == "true"
