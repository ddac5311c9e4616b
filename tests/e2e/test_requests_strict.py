"""Recorded requests of both surfaces over strict upstreams of the other dialects.

What arrives must satisfy the provider's own OpenAPI document; what cannot be said must be refused by name before anyone
is asked. What does neither is listed with its reason in corpus_exceptions.toml as `id/dialect`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import corpus
from harness.corpus import Exchange, asked_as
from harness.findings import Findings, check_carried, check_needed, exceptions
from harness.gateway import Gateway, model, provider
from harness.notes import note
from harness.readers import DIALECTS, KINDS
from harness.steady import SCHEMAS, Steady

SUITE = "requests"
PATHS = {"openai_chat": "/v1/chat/completions", "anthropic": "/v1/messages"}
# dialect -> its document
UPSTREAMS = {"openai_chat": "openai", "openai_responses": "openai", "anthropic": "anthropic", "ollama": "ollama"}
# A request that its own provider refused may be refused by others.
EXCHANGES = [
    exchange
    for exchange in corpus.load(("openai", "anthropic"), ("chat.completions", "messages"))
    if exchange.status == 200
]

pytestmark = pytest.mark.skipif(not EXCHANGES, reason=f"no recorded exchanges in {corpus.FOLDER}")


def pairs(upstream: str) -> list[Exchange]:
    """The recordings that must be translated for an upstream. What Ollama gets by address would have to be fetched."""
    return [
        exchange
        for exchange in EXCHANGES
        if DIALECTS[exchange.endpoint] != upstream
        if upstream != "ollama" or not re.search(rb'"url":\s*"http', exchange.request)
    ]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with one strict upstream per dialect; its model is named like it."""
    assert SCHEMAS.exists()
    steady = {dialect: Steady(schema, dialect) for dialect, schema in UPSTREAMS.items()}
    providers = {d: provider(one.front.url + KINDS[d][1], kind=KINDS[d][0]) for d, one in steady.items()}
    config: dict[str, Any] = {"providers": providers, "models": [model(dialect, dialect) for dialect in UPSTREAMS]}
    gateway = Gateway(tmp_path_factory.mktemp("strict"), config)
    assert gateway.key
    yield gateway.start()
    gateway.stop()
    for one in steady.values():
        one.stop()


@pytest.fixture(scope="module")
def counts() -> Counter[str]:
    """How many were accepted, and how many refused."""
    return Counter()


@pytest.fixture(scope="module")
def findings(served: Gateway, counts: Counter[str]) -> Findings:
    """Everything that was neither accepted nor refused by name."""
    found: Findings = {}

    def run(pair: tuple[str, Exchange]) -> str | None:
        upstream, exchange = pair
        path = PATHS[DIALECTS[exchange.endpoint]]
        reply = served.chat(asked_as(exchange, upstream), path)
        code = reply.header("x-crossway-error-code")
        if reply.status == 200 or code == "unsupported_parameter":
            counts["accepted" if reply.status == 200 else "refused by name"] += 1
            return None
        return f"{reply.status} {code}: {reply.error['message'][:400]}"

    with ThreadPoolExecutor(4) as pool:
        every = [(upstream, exchange) for upstream in UPSTREAMS for exchange in pairs(upstream)]
        for (upstream, exchange), wrong in zip(every, pool.map(run, every)):
            found[f"{exchange.id}/{upstream}"] = {"request": wrong} if wrong else {}
    figures = ", ".join(f"{count} {what}" for what, count in counts.items())
    note(f"requests over strict upstreams: {len(found)}, {figures}, {len(exceptions(SUITE))} exceptions listed")
    return found


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_every_request_is_valid_or_refused_by_name(upstream: str, findings: Findings) -> None:
    mine = {name for name in findings if name.endswith(f"/{upstream}")}
    assert mine
    check_carried(findings, mine, SUITE)


def test_exceptions_are_still_needed(findings: Findings) -> None:
    check_needed(findings, SUITE)


def test_most_requests_are_said(findings: Findings, counts: Counter[str]) -> None:
    """Refusing everything would be easy."""
    assert findings and counts["accepted"] > 1000 and counts["refused by name"] < 0.25 * counts["accepted"], counts
