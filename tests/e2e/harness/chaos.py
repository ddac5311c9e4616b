"""`llmock`, a mock of the providers that breaks on demand and judges who called it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from llmock.pytest_plugin import LLMock
from llmock.testing import LLMockServer
from llmock.verdict import Verdict, judge


@contextmanager
def mock(text: str) -> Iterator[LLMock]:
    """A running mock that always says the same."""
    with LLMockServer() as server:
        yield ready(LLMock(server), text)


def ready(made: LLMock, text: str) -> LLMock:
    """Forgets what was asked and what was to be broken."""
    return made.reset().reply(text, times=None)


def verdict(*mocks: LLMock) -> Verdict:
    """Judges the calls to all of them together: a stream that one of them broke another may have mended.

    A refusal is its server's own affair: to ask another one is no second try, whatever the first one's Retry-After.
    """
    own = [(made.url, record) for made in mocks for record in made.requests]
    own.sort(key=lambda pair: pair[1].started_at)
    return judge(
        replace(record, seq=number, fingerprint=record.fingerprint + (url if record.status >= 400 else ""))
        for number, (url, record) in enumerate(own, 1)
    )


def check(*mocks: LLMock) -> None:
    """Fails with the report when the gateway mishandled a fault."""
    told = verdict(*mocks)
    assert told.calls, "nobody was asked"
    told.assert_ok()
