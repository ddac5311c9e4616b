"""SIGKILL at any moment: what a client has seen to its last byte is on record, once, and nothing the upstream served is lost."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.gateway import Gateway, model, provider, simple
from harness.notes import note
from harness.upstream import LAST_CHUNK, Request, Sleep, Step, Upstream, chunk, reply_json, stream_head
from harness.wire import Connection, request_bytes

pytestmark = pytest.mark.alone

SEED = int(os.environ.get("CROSSWAY_E2E_SEED", "20261121"))
ROUNDS = int(os.environ.get("CROSSWAY_E2E_KILL_ROUNDS", "6"))
CALLERS = 6


@dataclass
class Seen:
    """What a client saw of one request."""

    tag: str
    request_id: str
    finished: bool


def script(request: Request) -> list[Step]:
    """Answers after a moment that depends on the request only."""
    pause = random.Random(request.body).uniform(0.0, 0.008)
    body = request.json
    if not body.get("stream"):
        return [Sleep(pause), *reply_json(wire.completion(body["messages"][0]["content"]))]
    steps: list[Step] = [stream_head()]
    for event in wire.events():
        steps += [chunk(event), Sleep(pause / 4)]
    return [*steps, LAST_CHUNK]


class Load:
    """Callers that go on until the gateway is gone."""

    def __init__(self, served: Gateway, key: str, prefix: str) -> None:
        self.served, self.key, self.prefix = served, key, prefix
        self.seen: list[Seen] = []
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._caller, args=(n,), daemon=True) for n in range(CALLERS)]
        for thread in self.threads:
            thread.start()

    def join(self) -> list[Seen]:
        self.stop.set()
        for thread in self.threads:
            thread.join(20)
        return self.seen

    def _caller(self, number: int) -> None:
        count = 0
        while not self.stop.is_set():
            try:
                with Connection(self.served.url, 10) as connection:
                    while not self.stop.is_set():
                        count += 1
                        if not self._one(connection, f"{self.prefix}-{number}-{count}", stream=count % 2 == 0):
                            break
            except OSError:
                time.sleep(0.005)

    def _one(self, connection: Connection, tag: str, stream: bool) -> bool:
        body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": tag}]}
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, json.dumps(body).encode()))
        reply = connection.reply()
        if reply is None:
            return False
        finished = reply.whole and reply.status == 200
        if finished and stream:
            finished = reply.events[-1:] == [b"[DONE]"]
        self.seen.append(Seen(tag, reply.header("x-request-id") or "", finished))
        return reply.whole


def test_kill_under_load(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Acceptance DUR-01."""
    up = upstream(script)
    billed = simple(up.base_url) | {"environment": {"billing": {"enabled": True, "margin_percent": 5.5}}}
    served = gateway(billed, start=False)
    key = served.key
    served.cli("credits", "add", "--amount", "1000", "--reference", "before the first start")
    moments = random.Random(SEED)
    seen: list[Seen] = []
    for round_number in range(ROUNDS):
        served.start()
        load = Load(served, key, f"r{round_number}")
        served.wait(lambda load=load: sum(entry.finished for entry in load.seen) > 20, "load", 60)
        time.sleep(moments.uniform(0.0, 0.3))
        # Another process posts while requests are charged; it is killed at no moment, the gateway is.
        served.cli("credits", "add", "--amount", "1", "--reference", f"round {round_number}")
        time.sleep(moments.uniform(0.0, 0.3))
        served.kill()
        seen += load.join()
        # Whatever the moment, the ledger on the disk has no fault; the journal still holds what it does not.
        assert "balances" in served.cli("ledger", "verify")
    served.start()
    finished = [entry for entry in seen if entry.finished]
    assert len(finished) > 20 * ROUNDS, "there was load"
    check(served, up, finished)
    ledger(served)
    assert served.stop() == 0
    assert "balances" in served.cli("ledger", "verify")
    # A clean restart after recovery neither adds nor removes anything.
    before = Counter(record["id"] for record in _again(served))
    assert max(before.values()) == 1


def ledger(served: Gateway) -> None:
    """Compares the ledger with the records: one charge for each that cost something, cost and margin of 5.5 percent."""
    charged = {record["id"]: nanos(record["charged_usd"]) for record in served.records()}
    for record in served.records():
        cost = nanos(record["cost_usd"])
        assert charged[record["id"]] == cost + (cost * 55 + 500) // 1000, record
    entries: list[dict[str, Any]] = []
    path = "/environments/default/ledger?limit=200"
    page = served.admin(path)
    while True:
        entries += page["data"]
        if page["next_cursor"] is None:
            break
        page = served.admin(f"{path}&cursor={page['next_cursor']}")
    posted = [(entry["request_id"], -nanos(entry["amount_usd"])) for entry in entries if entry["kind"] == "charge"]
    assert len(posted) == len(dict(posted)), "charged twice"
    assert dict(posted) == {name: amount for name, amount in charged.items() if amount > 0}
    balance = served.admin("/environments/default/balance")
    assert nanos(balance["balance_usd"]) == (1000 + ROUNDS) * 10**9 - sum(charged.values())
    assert (balance["available_usd"], balance["held_usd"]) == (balance["balance_usd"], "0")
    note(f"ledger after {ROUNDS} kills: {len(posted)} charges, {sum(charged.values())} nano-dollars, none lost or doubled")


def nanos(dollars: str | float) -> int:
    """Nano-dollars of a decimal."""
    return int((Decimal(str(dollars)) * 10**9).to_integral_exact())


def _again(served: Gateway) -> list[dict[str, Any]]:
    served.start()
    return served.records()


def check(served: Gateway, up: Upstream, finished: list[Seen]) -> None:
    """Compares the records with what the clients saw and what the upstream served."""
    asked = len(up.journal)
    delivered = sum(1 for line in up.journal if line.completed)

    def settled() -> list[dict[str, Any]] | None:
        records = served.records()
        known = {record["id"] for record in records}
        return records if all(entry.request_id in known for entry in finished) and len(records) >= asked else None

    try:
        records = served.wait(settled, "every record", 60)
    except AssertionError:
        records = served.records()
    counts = Counter(record["id"] for record in records)
    twice = [name for name, count in counts.items() if count > 1]
    lost = [entry.tag for entry in finished if not counts[entry.request_id]]
    figures = f"{len(finished)} answers seen whole, {asked} asked of the upstream, {delivered} served whole"
    note(f"kill -9: {ROUNDS} kills (seed {SEED}), {figures}, {len(records)} records")
    assert not twice, f"recorded twice: {twice[:5]}"
    assert not lost, f"{len(lost)} finished requests without a record: {lost[:5]}"
    assert len({entry.request_id for entry in finished}) == len(finished), "ids are not used again after a restart"
    by_id = {record["id"]: record for record in records}
    for entry in finished:
        usage = by_id[entry.request_id]["usage"]
        assert (usage["origin"], usage["input_tokens"], usage["output_tokens"]) == ("reported", 5, 3), entry
        assert by_id[entry.request_id]["cost_usd"] == pytest.approx(0.000011), entry
    assert {record["usage"]["origin"] for record in records} <= {"reported", "estimated"}
    assert len(records) >= asked, f"the upstream was asked {asked} times, {len(records)} records"


@pytest.mark.parametrize("stream", [False, True])
def test_killed_while_the_upstream_is_answering(gateway: MakeGateway, upstream: MakeUpstream, stream: bool) -> None:
    """The intent is on record before the upstream is asked; the restart settles it as estimated."""

    def slow(_: Request) -> list[Step]:
        head, first, *_rest = [stream_head(), *map(chunk, wire.events())]
        return [head, first, Sleep(30)] if stream else [Sleep(30)]

    up = upstream(slow)
    served = gateway(simple(up.base_url))
    key = served.key
    with Connection(served.url) as connection:
        body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hi"}]}
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, json.dumps(body).encode()))
        up.wait(lambda _: True)
        served.kill()
    served.start()
    (record,) = served.wait(served.records, "the record of the orphan")
    assert record["usage"]["origin"] == "estimated", record
    assert record["outcome"] != "succeeded" and record["key"]["name"] == "test"


def test_killed_with_a_second_request_in_flight(gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """Both targets are on record before they are asked; the restart accounts for the input of both."""

    def script(request: Request) -> list[Step]:
        content = request.json["messages"][0]["content"]
        return [Sleep(30)] if content == "hang" else [*reply_json(wire.completion(content))]

    first, second = upstream(script), upstream(script)
    config = {
        "environment": {"hedging": {"extra_tokens_percent": 50}},
        "providers": {"one": provider(first.base_url), "two": provider(second.base_url)},
        "models": [model("m", "one"), model("m", "two")],
    }
    served = gateway(config)
    headers = {"authorization": f"Bearer {served.key}", "content-type": "application/json"}

    def body(content: str) -> bytes:
        return json.dumps({"model": "fastest", "max_tokens": 4, "messages": [{"role": "user", "content": content}]}).encode()

    with Connection(served.url) as connection:
        # What earns the tokens of the second request.
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, body("word " * 400)))
        answered = connection.reply()
        assert answered is not None and answered.status == 200
    with Connection(served.url) as connection:
        connection.send(request_bytes("POST", "/v1/chat/completions", headers, body("hang")))
        for up in (first, second):
            up.wait(lambda line: b"hang" in line.request.body)
        served.kill()
    served.start()

    def both() -> list[dict[str, Any]] | None:
        records = served.records()
        return records if len(records) == 2 else None

    records = served.wait(both, "the record of the orphan")
    (orphan,) = [record for record in records if record["outcome"] == "orphaned"]
    providers = {attempt["provider"] for attempt in orphan["attempts"]}
    assert providers == {"one", "two"}, orphan
    assert orphan["cost_usd"] == pytest.approx(2 * orphan["usage"]["input_tokens"] * 1e-6), orphan
