"""Retries and failover: who is asked, how often, and what the caller sees."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.gateway import Gateway, model, provider
from harness.ports import reserved
from harness.upstream import Close, Hang, Request, Reset, Step, Upstream, chunk, reply_json, stream_head
from harness.wire import Connection, request_bytes

Answer = Callable[[Request], list[Step]]


def chain(gateway: MakeGateway, first: str, second: str, on: list[str] | None = None, **deadlines: int) -> Gateway:
    """`m` at the first address, falling back to `n` at the second. Deadlines are those of the first alone: the second is
    to answer, however busy the machine is."""
    fallback: dict[str, Any] = {"model": "m", "fallbacks": ["n"]} | ({"on": on} if on else {})
    return gateway(
        {
            "providers": {"one": provider(first, **deadlines), "two": provider(second)},
            "models": [model("m", "one"), model("n", "two", "up-second")],
            "fallbacks": [fallback],
        }
    )


FAULTS: dict[str, Answer] = {
    "500": lambda _: wire.error(500, "broken"),
    "502": lambda _: wire.error(502, "broken"),
    "503": lambda _: wire.error(503, "away"),
    "529": lambda _: wire.error(529, "overloaded"),
    "429": lambda _: wire.error(429, "slow down", "rate_limit_exceeded", {"retry-after": "30"}),
    "408": lambda _: wire.error(408, "too slow"),
    "401": lambda _: wire.error(401, "bad key", "invalid_api_key"),
    "silence": lambda _: [Hang()],
    "headers, then silence": lambda _: [stream_head(), Hang()],
    "closed": lambda _: [Close()],
    "reset": lambda _: [Reset()],
    "role only, then closed": lambda _: [stream_head(), chunk(wire.events()[0]), Close()],
}


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_second_answers(gateway: MakeGateway, upstream: MakeUpstream, fault: str, stream: bool) -> None:
    """RETRY-01."""
    bad, good = upstream(FAULTS[fault]), upstream(wire.answer)
    served = chain(gateway, bad.base_url, good.base_url, first_token_timeout_ms=700, idle_timeout_ms=700)
    start = time.monotonic()
    reply = served.ask(stream=stream)
    assert reply.status == 200, reply.body[:300]
    assert time.monotonic() - start < 15, "no deadline of minutes was waited for"
    assert reply.header("x-crossway-provider") == "two" and reply.header("x-crossway-model") == "n"
    assert int(reply.header("x-crossway-attempts") or 0) >= 2
    assert 1 <= len(bad.journal) <= 3 and len(good.journal) == 1
    assert good.last.request.json["model"] == "up-second"
    if stream:
        assert reply.events[-1] == b"[DONE]" and reply.body.count(b"Hello") == 1, "nothing of the first is in it"


@pytest.mark.parametrize("address", ["refused", "unknown host"])
def test_an_unreachable_first(gateway: MakeGateway, upstream: MakeUpstream, address: str) -> None:
    """RETRY-01: the added time is the connection's, no more."""
    good = upstream(wire.answer)
    first = f"http://127.0.0.1:{reserved()}/v1" if address == "refused" else "http://nowhere.invalid/v1"
    served = chain(gateway, first, good.base_url, connect_timeout_ms=400)
    start = time.monotonic()
    assert served.ask().status == 200
    assert time.monotonic() - start < 15, "no deadline of minutes was waited for"


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_the_callers_fault_is_not_tried_again(gateway: MakeGateway, upstream: MakeUpstream, status: int) -> None:
    """RETRY-05."""
    bad, good = upstream(lambda _: wire.error(status, "the request is wrong", "some_code")), upstream(wire.answer)
    served = chain(gateway, bad.base_url, good.base_url)
    reply = served.ask()
    assert reply.status == status, reply.body[:200]
    assert "the request is wrong" in reply.error["message"]
    assert len(bad.journal) == 1 and not good.journal


def alone(gateway: MakeGateway, up: Upstream) -> Gateway:
    """One provider and nothing to fall back to."""
    return gateway({"providers": {"one": provider(up.base_url)}, "models": [model("m", "one")]})


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_asked_once(gateway: MakeGateway, upstream: MakeUpstream, status: int) -> None:
    """RETRY-05, LEAK-03."""

    def echo(request: Request) -> list[Step]:
        sent = request.header("authorization") or ""
        return wire.error(status, f"Incorrect API key provided: {sent} of org-canary-77", "invalid_api_key")

    up = upstream(echo)
    served = alone(gateway, up)
    reply = served.ask()
    assert reply.status == 502 and reply.error["code"] == "upstream_auth_error"
    assert len(up.journal) == 1
    secret = (up.last.request.header("authorization") or "").removeprefix("Bearer ")
    assert secret.startswith("sk-upstream-canary")
    record = str(served.record(reply.header("x-request-id") or ""))
    for place, text in {
        "body": reply.body.decode(),
        "headers": str(reply.headers),
        "log": served.log,
        "record": record,
    }.items():
        assert secret not in text and "org-canary-77" not in text, place


@pytest.mark.parametrize("status", [500, 503])
def test_one_fault_of_the_server_is_tried_again(gateway: MakeGateway, upstream: MakeUpstream, status: int) -> None:
    up = upstream()
    up.script = lambda _: wire.error(status, "try later") if len(up.journal) == 1 else reply_json(wire.completion())
    served = alone(gateway, up)
    reply = served.ask()
    assert reply.status == 200 and len(up.journal) == 2
    assert reply.header("x-crossway-attempts") == "2"


def test_all_fail(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    first, second = (
        upstream(lambda _: wire.error(500, "first broke")),
        upstream(lambda _: wire.error(500, "second broke")),
    )
    served = chain(gateway, first.base_url, second.base_url)
    reply = served.ask()
    assert reply.status == 502 and reply.error["code"] == "upstream_error"
    assert len(first.journal) + len(second.journal) <= 6, "attempts have an end"
    assert first.journal and second.journal


def test_switched_off(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """R1: each reason can be switched; here only connection faults lead on."""
    bad, good = upstream(lambda _: wire.error(500, "broken")), upstream(wire.answer)
    served = chain(gateway, bad.base_url, good.base_url, on=["connect"])
    assert served.ask().status == 502
    assert not good.journal


def test_a_client_that_leaves_stops_the_chain(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """RETRY-07."""
    bad, good = upstream(lambda _: [Hang()]), upstream(wire.answer)
    served = chain(gateway, bad.base_url, good.base_url)
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    headers = {"authorization": f"Bearer {served.key}", "content-type": "application/json"}
    with Connection(served.url) as connection:
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, body))
        bad.wait(lambda _: True)
    bad.wait(lambda line: line.client_gone)
    (record,) = served.wait(served.records, "the record")
    assert not good.journal
    assert record
