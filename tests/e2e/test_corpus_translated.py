"""Every recorded reply of every dialect through both surfaces: what it says must arrive, in the caller's form.

The request is small and always the same; the reply is the recording. What cannot be carried is listed with its reason
in corpus_exceptions.toml as `id/surface`; the list only gets shorter.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import corpus
from harness.corpus import Exchange, Replay
from harness.findings import Findings, check_carried, check_needed, exceptions
from harness.gateway import Gateway, model, provider
from harness.notes import note
from harness.reading import values
from harness.readers import DIALECTS, KINDS
from harness.translated import SURFACES, asking, check
from harness.upstream import Upstream

SUITE = "translated"
RECORDED = corpus.load(corpus.every_file(), DIALECTS)
# A list of responses is what Gemini streams to those who do not ask for events; and some lines were lost to redaction.
EXCHANGES = [exchange for exchange in RECORDED if exchange.status != 200 or values(exchange.response)]
NAMES = sorted({DIALECTS[exchange.endpoint] for exchange in EXCHANGES})

pytestmark = pytest.mark.skipif(not EXCHANGES, reason=f"no recorded exchanges in {corpus.FOLDER}")


def config(upstream: Upstream) -> dict[str, Any]:
    """One model per exchange. Failing exchanges get a provider each, so that none is judged by another's failures."""
    providers, models = {}, []
    for number, exchange in enumerate(EXCHANGES):
        kind, path = KINDS[DIALECTS[exchange.endpoint]]
        name = kind if exchange.status == 200 else f"{kind}-{number}"
        providers[name] = provider(upstream.url + path, kind=kind)
        models.append(model(exchange.slug, name, exchange.id))
    return {"providers": providers, "models": models}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in front of the upstream that answers with the recordings."""
    upstream = Upstream(Replay(EXCHANGES))
    gateway = Gateway(tmp_path_factory.mktemp("corpus"), config(upstream))
    assert gateway.key
    yield gateway.start()
    gateway.stop()
    upstream.close()


@pytest.fixture(scope="module")
def findings(served: Gateway) -> Findings:
    """Everything that differs, over all exchanges and both surfaces."""

    def run(pair: tuple[Exchange, str]) -> dict[str, str]:
        exchange, surface = pair
        path, _ = SURFACES[surface]
        return check(exchange, surface, served.chat(asking(exchange, surface), path))

    pairs = [(exchange, surface) for exchange in EXCHANGES for surface in SURFACES]
    with ThreadPoolExecutor(4) as pool:
        found = {key(exchange, surface): one for (exchange, surface), one in zip(pairs, pool.map(run, pairs))}
    counts = Counter(DIALECTS[exchange.endpoint] for exchange in EXCHANGES)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    whole = sum(1 for problems in found.values() if not problems)
    note(
        f"corpus translated: {len(EXCHANGES)} replies ({kinds}) through both surfaces, {whole} of {len(found)} carried "
        f"whole, {len(exceptions(SUITE))} exceptions listed, {len(RECORDED) - len(EXCHANGES)} recordings unreadable"
    )
    return found


def key(exchange: Exchange, surface: str) -> str:
    return f"{exchange.id}/{surface}"


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("dialect", NAMES)
def test_every_reply_is_carried(dialect: str, surface: str, findings: Findings) -> None:
    mine = {key(exchange, surface) for exchange in EXCHANGES if DIALECTS[exchange.endpoint] == dialect}
    assert mine
    check_carried(findings, mine, SUITE)


def test_exceptions_are_still_needed(findings: Findings) -> None:
    check_needed(findings, SUITE)


def test_almost_every_recording_is_readable() -> None:
    """The oracle itself."""
    assert len(EXCHANGES) > 0.99 * len(RECORDED)
