"""Streams of every dialect through both surfaces: any pieces give the same answer, and a cut is told.

STREAM-01 and RETRY-03 where a reply is translated. One rich recording per dialect: text, thoughts, tool calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from harness import corpus, small_streams
from harness.corpus import Exchange, pieces
from harness.gateway import Gateway, model, provider
from harness.readers import DIALECTS, KINDS, read
from harness.reading import Reading
from harness.replayed import DONE
from harness.translated import SURFACES, asking, differences
from harness.upstream import LAST_CHUNK, Close, Step, Upstream, chunk, head, stream_head
from harness.wire import Reply


def rich(dialect: str) -> Exchange | None:
    """The recorded stream of a dialect that says most kinds of things; of several, the shortest."""

    def rank(exchange: Exchange) -> tuple[int, int]:
        reading = read(dialect, exchange.response)
        kinds = [reading.text, reading.thinking, reading.calls, len(reading.calls) > 1]
        return -sum(map(bool, kinds)), len(exchange.response)

    found = [
        exchange
        for exchange in corpus.load(corpus.every_file(), DIALECTS)
        if DIALECTS[exchange.endpoint] == dialect and exchange.streamed and exchange.status == 200
        if exchange.fidelity == "verbatim" and exchange.response[:1] != b"[" and exchange.response.endswith(b"\n")
        if read(dialect, exchange.response).finish and not read(dialect, exchange.response).error
    ]
    return min(found, key=rank, default=None)


STREAMS = {dialect: exchange for dialect in KINDS if (exchange := rich(dialect))}
# Where the surface speaks the dialect, bytes are spliced: test_streams.py has that.
PAIRS = [(dialect, surface) for dialect in STREAMS for surface in SURFACES if dialect != SURFACES[surface][1]]
each = pytest.mark.parametrize(("dialect", "surface"), PAIRS)

pytestmark = pytest.mark.skipif(not STREAMS, reason=f"no recorded exchanges in {corpus.FOLDER}")


class Served:
    """A gateway in front of one upstream that speaks every dialect."""

    def __init__(self, gateway: Gateway, upstream: Upstream) -> None:
        self.gateway, self.upstream = gateway, upstream

    def ask(self, dialect: str, surface: str, steps: list[Step]) -> Reply:
        """Asks for a stream that the upstream answers so."""
        self.upstream.script = lambda _: steps
        body = asking(STREAMS[dialect], surface) | {"model": dialect}
        return self.gateway.chat(body, SURFACES[surface][0])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    upstream = Upstream()
    providers = {name: provider(upstream.url + path, kind=kind) for name, (kind, path) in KINDS.items()}
    config: dict[str, Any] = {"providers": providers, "models": [model(name, name) for name in KINDS]}
    gateway = Gateway(tmp_path_factory.mktemp("streams"), config)
    assert gateway.key
    yield Served(gateway.start(), upstream)
    gateway.kill()
    upstream.close()


def begun(dialect: str) -> bytes:
    """The head of the dialect's stream."""
    return stream_head({"content-type": "application/x-ndjson"} if dialect == "ollama" else None)


def said(surface: str, reply: Reply) -> Reading:
    return read(SURFACES[surface][1], reply.body)


@each
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_any_pieces_give_the_same_answer(served: Served, dialect: str, surface: str, size: int) -> None:
    body = STREAMS[dialect].response
    cut = [body[at : at + size] for at in range(0, len(body), size)]
    reply = served.ask(dialect, surface, [begun(dialect), b"".join(map(chunk, cut[:-1])), chunk(cut[-1]), LAST_CHUNK])
    assert reply.status == 200 and reply.whole, reply.body[:300]
    assert not differences(read(dialect, body), said(surface, reply), surface)


@each
def test_without_chunked_coding(served: Served, dialect: str, surface: str) -> None:
    """A stream whose end is the end of the connection."""
    kind = "application/x-ndjson" if dialect == "ollama" else "text/event-stream"
    fields = {"content-type": kind, "connection": "close"}
    reply = served.ask(dialect, surface, [head(200, fields), STREAMS[dialect].response, Close()])
    assert reply.status == 200 and reply.whole
    assert not differences(read(dialect, STREAMS[dialect].response), said(surface, reply), surface)


@each
def test_an_end_without_its_empty_line(served: Served, dialect: str, surface: str) -> None:
    """An event that lacks nothing but the line after it still counts."""
    body = STREAMS[dialect].response.rstrip()
    reply = served.ask(dialect, surface, [begun(dialect), chunk(body), LAST_CHUNK])
    assert not differences(read(dialect, body), said(surface, reply), surface)


@each
@pytest.mark.parametrize("ends", ["properly", "abruptly"])
def test_a_cut_is_told_wherever_it_comes(served: Served, dialect: str, surface: str, ends: str) -> None:
    """Before the first content with a status, after it with an error event; never in silence."""
    events, whole = cuts(dialect), said(surface, served.ask(dialect, surface, small(dialect)))
    end: list[Step] = [LAST_CHUNK] if ends == "properly" else [Close()]
    for at in range(len(events)):
        reply = served.ask(dialect, surface, [begun(dialect), *map(chunk, events[:at]), *end])
        if reply.status != 200:
            assert reply.status in (502, 503), (at, reply.body[:300])
            continue
        told = said(surface, reply)
        assert told.error, (at, reply.body[-400:])
        assert DONE not in reply.events and b"message_stop" not in reply.body, at
        assert whole.text.startswith(told.text), at


def small(dialect: str) -> list[Step]:
    """A small whole stream of the dialect."""
    return small_streams.STREAMS[dialect]()


def cuts(dialect: str) -> list[bytes]:
    """The events of the small stream up to the one that says why the answer ended: every cut among them is one."""
    plain = Exchange("", "", "", "", frozenset(), "", {}, b"{}", 200, {}, body_of(small(dialect)), ())
    events = pieces(plain)
    last = next(at for at, event in enumerate(events) if any(mark in event for mark in ENDS))
    return events[: last + 1]


ENDS = (
    b'"finish_reason": "',
    b'"response.completed"',
    b'"stop_reason": "',
    b"finishReason",
    b"message-end",
    b"done_reason",
)


def body_of(steps: list[Step]) -> bytes:
    """The body of a chunked response, without its coding."""
    chunks = [step for step in steps[1:-1] if isinstance(step, bytes)]
    return b"".join(step.split(b"\r\n", 1)[1][:-2] for step in chunks)


@each
def test_garbage_in_the_midst_is_told(served: Served, dialect: str, surface: str) -> None:
    """An event that cannot be read may have held anything: the answer is not whole without it."""
    events = cuts(dialect)
    broken = b'{"half": \n' if dialect == "ollama" else b'event: x\ndata: {"half": \n\n'
    for at in range(1, len(events)):
        reply = served.ask(
            dialect, surface, [begun(dialect), *map(chunk, [*events[:at], broken, *events[at:]]), LAST_CHUNK]
        )
        assert reply.status in (502, 503) or said(surface, reply).error, (at, reply.body[-400:])
