"""Chalk's own client, unmodified: `F.openai_complete` of `chalkdf` against the gateway.

What it does on the wire (chalkdf 3.43): `POST <api_server>/chat/completions` with `Authorization: Bearer`, one request per
row, `max_tokens` sent as `max_completion_tokens`, no stream. The two `x-ratelimit-remaining-*` headers become integers. It
does not retry an HTTP error, with `with_retry` neither: the body of the error ends up in the row's `error`. So retries
are the gateway's to make, and its errors must be readable as text.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Pair
from harness import openai_wire as wire
from harness.upstream import Request, Step, reply_json

HEADERS = {"x-ratelimit-remaining-requests": "99", "x-ratelimit-remaining-tokens": "4242"}
DRIVER = Path(__file__).parent / "harness" / "chalk_call.py"


def complete(**given: Any) -> list[dict[str, Any]]:
    """Runs the call and returns its rows."""
    done = subprocess.run([sys.executable, DRIVER, json.dumps(given)], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout.decode().strip().splitlines()[-1])


@pytest.mark.parametrize("path", ["/v1/router", "/v1", "", "/v1/router/"])
def test_completion(pair: Pair, path: str) -> None:
    pair.script(lambda _: reply_json(wire.completion("Hi!"), 200, HEADERS))
    (row,) = complete(api_server=pair.gateway.url + path, api_key=pair.gateway.key, model="m", max_tokens=7)
    assert row["error"] is None
    assert row["completion"] == "Hi!" and row["finish_reason"] == "stop"
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (5, 3, 8)
    assert row["model"], "the answer names a model"
    assert row["ratelimit_remaining_requests"] == 99
    assert row["ratelimit_remaining_tokens"] == 4242
    assert pair.upstream.last.request.json["max_completion_tokens"] == 7


def test_many_rows(pair: Pair) -> None:
    pair.script(lambda request: reply_json(wire.completion(request.json["messages"][0]["content"]), 200, HEADERS))
    rows = complete(api_server=pair.gateway.url + "/v1/router", api_key=pair.gateway.key, model="m", rows=20, retry=2)
    assert [row["completion"] for row in rows] == [f"Say hello {n}" for n in range(20)]
    assert len(pair.upstream.journal) == 20


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_then_healthy_upstream(pair: Pair, status: int) -> None:
    asked = []

    def once(request: Request) -> list[Step]:
        asked.append(request)
        return wire.error(status, "try later") if len(asked) == 1 else reply_json(wire.completion("Hi!"))

    pair.script(once)
    (row,) = complete(api_server=pair.gateway.url + "/v1/router", api_key=pair.gateway.key, model="m", retry=3)
    assert row["error"] is None and row["completion"] == "Hi!"
    assert len(asked) == 2


def test_a_rate_limit_of_the_upstream_is_told_at_once(pair: Pair) -> None:
    """Asking the same target again would only use up more of its limit."""
    pair.script(lambda _: wire.error(429, "slow down please", "rate_limit_exceeded", {"retry-after": "1"}))
    (row,) = complete(api_server=pair.gateway.url + "/v1/router", api_key=pair.gateway.key, model="m", retry=3)
    assert "429" in row["error"] and "slow down please" in row["error"]
    assert len(pair.upstream.journal) == 1


def test_a_failing_upstream_is_named_in_the_row(pair: Pair) -> None:
    pair.script(lambda _: wire.error(400, "the prompt is impossible", "invalid_prompt"))
    (row,) = complete(api_server=pair.gateway.url + "/v1/router", api_key=pair.gateway.key, model="m", retry=2)
    assert row["completion"] is None
    assert "400" in row["error"] and "the prompt is impossible" in row["error"]


def test_a_wrong_key(pair: Pair) -> None:
    pair.script(wire.answer)
    (row,) = complete(api_server=pair.gateway.url + "/v1/router", api_key="sk-cw-wrong", model="m")
    assert "401" in row["error"] and "invalid_api_key" in row["error"]
    assert not pair.upstream.journal
