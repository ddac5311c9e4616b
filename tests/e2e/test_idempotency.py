"""`Idempotency-Key` with the official SDKs, over lost connections and SIGKILL: one call, one charge, the same answer."""

from __future__ import annotations

import threading

import anthropic
import openai
import pytest
from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.gateway import Gateway, simple
from harness.upstream import LAST_CHUNK, Request, Sleep, Step, Wait, chunk, reply_json, stream_head
from harness.wire import Connection, request_bytes


def script(request: Request) -> list[Step]:
    if request.json.get("stream"):
        return [stream_head(), *map(chunk, wire.events()), LAST_CHUNK]
    return reply_json(wire.completion(request.json["messages"][0]["content"]))


def client(served: Gateway, retries: int = 0) -> openai.OpenAI:
    return openai.OpenAI(base_url=served.base_url, api_key=served.key, max_retries=retries, timeout=20)


def ask(sdk: openai.OpenAI, key: str, text: str = "hi") -> tuple[bytes, str | None, str | None]:
    raw = sdk.chat.completions.with_raw_response.create(
        model="m", messages=[{"role": "user", "content": text}], extra_headers={"Idempotency-Key": key}
    )
    return raw.content, raw.headers.get("x-request-id"), raw.headers.get("idempotent-replayed")


def test_the_sdks_get_the_same_answer_after_a_kill(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    up = upstream(script)
    served = gateway(simple(up.base_url))
    first, request_id, replayed = ask(client(served), "one")
    assert replayed is None
    stream = client(served).chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}], stream=True, extra_headers={"Idempotency-Key": "two"}
    )
    said = [event.model_dump() for event in stream]
    message = anthropic.Anthropic(base_url=served.url, api_key=served.key, max_retries=0).messages.create(
        model="m", max_tokens=9, messages=[{"role": "user", "content": "hi"}], extra_headers={"Idempotency-Key": "three"}
    )
    assert len(up.journal) == 3
    for kill in (False, True):
        if kill:
            served.kill()
            served.start()
        assert ask(client(served), "one") == (first, request_id, "true")
        again = client(served).chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            extra_headers={"Idempotency-Key": "two"},
        )
        assert [event.model_dump() for event in again] == said
        repeated = anthropic.Anthropic(base_url=served.url, api_key=served.key, max_retries=0).messages.create(
            model="m",
            max_tokens=9,
            messages=[{"role": "user", "content": "hi"}],
            extra_headers={"Idempotency-Key": "three"},
        )
        assert repeated.model_dump() == message.model_dump()
        with pytest.raises(openai.UnprocessableEntityError) as reused:
            ask(client(served), "one", "something else")
        assert reused.value.code == "idempotency_key_reused"
    assert len(up.journal) == 3
    served.wait(lambda: len(served.records()) == 3, "three records")


def test_what_a_kill_left_open_is_not_run_again(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    go_on = threading.Event()

    def slow(request: Request) -> list[Step]:
        return [Wait(go_on), *reply_json(wire.completion("late"))]

    up = upstream(slow)
    served = gateway(simple(up.base_url))
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    headers = {"authorization": f"Bearer {served.key}", "content-type": "application/json", "idempotency-key": "open"}
    with Connection(served.url) as connection:
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, body))
        served.wait(lambda: len(up.journal) == 1, "the upstream to be asked")
        served.kill()
    served.start()
    for _ in range(2):
        reply = served.chat(body, headers={"idempotency-key": "open"})
        assert (reply.status, reply.header("x-crossway-error-code")) == (409, "idempotency_outcome_unknown")
        assert reply.header("x-should-retry") == "false"
    assert len(up.journal) == 1
    go_on.set()
    assert served.chat(body, headers={"idempotency-key": "new"}).status == 200


def test_an_sdk_that_gave_up_finds_its_answer_by_its_own_retry(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """The SDK's time is over before the provider answers: its retries meet the call in flight, then its result."""
    up = upstream(lambda request: [Sleep(3.0), *script(request)])
    served = gateway(simple(up.base_url))
    sdk = openai.OpenAI(base_url=served.base_url, api_key=served.key, max_retries=8, timeout=1.0)
    content, _, replayed = ask(sdk, "patient")
    assert b"hi" in content and replayed == "true"
    assert len(up.journal) == 1
    records = served.wait(lambda: served.records(), "a record")
    assert [record["outcome"] for record in records] == ["succeeded"]
