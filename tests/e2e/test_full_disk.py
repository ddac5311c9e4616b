"""A disk that is full: nothing is served that could not be written down, and once there is room nothing is lost or doubled."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import MakeGateway, MakeUpstream
from harness import openai_wire as wire
from harness.calm import one_month
from harness.gateway import ADMIN_TOKEN, Gateway, binary, simple
from harness.notes import note
from harness.upstream import LAST_CHUNK, Request, Step, Upstream, chunk, reply_json, stream_head
from harness.wire import Connection, call, request_bytes
from test_kill9 import nanos

pytestmark = pytest.mark.alone

CALLERS = 6
DISK_BYTES = 96 << 20

# So many bytes of each entry that the journal's segments are full after some thousand requests.
TAGS = [f"tag-{n:02}-" + "x" * 57 for n in range(16)]


class Limited:
    """No file may grow: the process is told that its files are as large as they may be. Needs no right of any kind."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        # The signal that comes with it would end the process; who sets such a limit for a service ignores it.
        wrapper = folder / "crossway"
        wrapper.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec \"{binary()}\" \"$@\"\n")
        wrapper.chmod(0o755)
        monkeypatch.setenv("CROSSWAY_BIN", str(wrapper))

    def prepare(self, served: Gateway) -> None:
        """Nothing is to be done before the start."""

    def fill(self, served: Gateway) -> None:
        """From now on nothing can be written."""
        assert served.process is not None
        _, hard = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (4096, hard))

    def free(self, served: Gateway) -> None:
        """Now it can."""
        if served.alive:
            assert served.process is not None
            _, hard = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def close(self) -> None:
        """Nothing is left behind."""


class Small:
    """A file system of its own that is full: `ENOSPC`."""

    def __init__(self) -> None:
        self.place: Path | None = None

    @staticmethod
    def possible(folder: Path) -> bool:
        """Whether this machine lets us have one."""
        folder.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True)
        return mounted.returncode == 0 and subprocess.run(["umount", str(folder)]).returncode == 0

    def prepare(self, served: Gateway) -> None:
        """Puts the data directory on it."""
        self.place = served.folder / "data"
        self.place.mkdir(mode=0o700)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0700", "none", str(self.place)]
        subprocess.run(command, check=True)

    def fill(self, served: Gateway) -> None:
        """Somebody else takes all the room that is left."""
        assert self.place is not None
        with (self.place / "ballast").open("wb", buffering=0) as ballast:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        ballast.write(b"x" * size)
                except OSError:
                    continue

    def free(self, served: Gateway) -> None:
        """And gives it back."""
        assert self.place is not None
        (self.place / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        """Takes it away."""
        if self.place is not None:
            subprocess.run(["umount", "-l", str(self.place)], check=True)


Disk = Limited | Small


@pytest.fixture(params=["limited", "small"])
def disk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Disk]:
    """A disk that can be filled: in both ways where file systems may be mounted, else twice in the one that needs no right."""
    small = request.param == "small" and os.geteuid() == 0 and Small.possible(tmp_path / "try")
    made: Disk = Small() if small else Limited(monkeypatch, tmp_path)
    yield made
    made.close()


def script(request: Request) -> list[Step]:
    body = request.json
    if body.get("stream"):
        return [stream_head(), *map(chunk, wire.events()), LAST_CHUNK]
    return [*reply_json(wire.completion(body["messages"][0]["content"]))]


@dataclass
class Seen:
    """What a caller saw of one request."""

    tag: str
    surface: str
    request_id: str
    status: int
    finished: bool
    told: tuple[str | None, str | None, str | None]


class Load:
    """Callers on both surfaces, buffered and streamed, that go on until they are stopped."""

    def __init__(self, served: Gateway, key: str, prefix: str) -> None:
        self.served, self.key, self.prefix = served, key, prefix
        self.seen: list[Seen] = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._caller, args=(n,), daemon=True) for n in range(CALLERS)]
        for thread in self.threads:
            thread.start()

    def count(self, refused: bool) -> int:
        """How many were refused, or seen whole."""
        return sum(1 for one in self.seen if (one.status != 200 if refused else one.finished))

    def stop(self) -> list[Seen]:
        """What they have seen."""
        self.over.set()
        for thread in self.threads:
            thread.join(20)
        return self.seen

    def _caller(self, number: int) -> None:
        count = 0
        while not self.over.is_set():
            try:
                with Connection(self.served.url, 10) as connection:
                    while not self.over.is_set():
                        count += 1
                        if not self._one(connection, f"{self.prefix}-{number}-{count}", count):
                            break
            except OSError:
                time.sleep(0.01)

    def _one(self, connection: Connection, tag: str, count: int) -> bool:
        stream, anthropic = count % 2 == 0, count % 3 == 0
        path, surface = ("/v1/messages", "anthropic") if anthropic else ("/v1/chat/completions", "openai")
        body = {"model": "m", "stream": stream, "max_tokens": 8, "messages": [{"role": "user", "content": tag}]}
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        connection.send(request_bytes("POST", path, headers, json.dumps(body).encode()))
        reply = connection.reply()
        if reply is None:
            return False
        finished = reply.whole and reply.status == 200
        if finished and stream:
            last = reply.events[-1] if reply.events else b""
            finished = b"message_stop" in last if anthropic else last == b"[DONE]"
        kind = reply.json["error"]["type"] if reply.status != 200 else None
        told = (kind, reply.header("x-crossway-error-code"), reply.header("retry-after"))
        self.seen.append(Seen(tag, surface, reply.header("x-request-id") or "", reply.status, finished, told))
        if reply.status != 200:
            # Who is refused does not ask again at once.
            time.sleep(0.02)
        return reply.whole and not reply.header("connection") == "close"


def begin(served: Gateway, disk: Disk) -> str:
    """Starts it with credits and a budget, and returns a key whose entries are long."""
    one_month()
    disk.prepare(served)
    served.cli("credits", "add", "--amount", "1000", "--reference", "before the first start")
    served.start()
    limits = [{"meter": "usd", "window": "month", "amount": 500}]
    spec = {"limits": limits, "cost_tags": TAGS}
    made = call(served.admin_url, "/admin/v1/environments/default/keys", {"name": "long", "spec": spec}, key=ADMIN_TOKEN)
    assert made.status == 201, made.body
    return made.json["secret"]


def refused(load: Load, served: Gateway, how_many: int) -> None:
    """Waits until so many were refused."""
    before = load.count(refused=True)
    served.wait(lambda: load.count(refused=True) >= before + how_many, "requests that are refused", 90)


def check(served: Gateway, up: Upstream, seen: list[Seen], estimates: int = 0) -> None:
    """Holds the records and the ledger against what callers and the upstream have seen. So many answers may be on record
    with an estimate: the disk was full when they were there, and the process died before it had room."""
    tags = [line.request.json["messages"][0]["content"] for line in up.journal]
    finished = [one for one in seen if one.finished]

    def settled() -> list[dict[str, Any]] | None:
        known = {record["id"] for record in served.records()}
        return served.records() if all(one.request_id in known for one in finished) else None

    records = served.wait(settled, "every record", 30)
    assert max(Counter(record["id"] for record in records).values()) == 1, "nothing is recorded twice"
    by_id = {record["id"]: record for record in records}
    reports = [by_id[one.request_id] for one in finished if by_id[one.request_id]["usage"]["origin"] == "reported"]
    assert len(finished) - len(reports) <= estimates
    assert {nanos(record["cost_usd"]) for record in reports} == {11_000}
    asked = Counter(tags)
    assert max(asked.values()) == 1, "nothing is asked twice"
    turned_away = [one for one in seen if one.status != 200]
    assert not [one.tag for one in turned_away if asked[one.tag]], "what is refused reaches no upstream"
    for one in turned_away:
        verdict = (one.status, *one.told)
        expect = (503, "server_error") if one.surface == "openai" else (529, "overloaded_error")
        assert verdict == (*expect, "dependency_unavailable", "5"), one
    charged = {record["id"]: nanos(record["charged_usd"]) for record in records}
    assert len([amount for amount in charged.values() if amount]) >= len(asked), "nothing is served and forgotten"
    balance = served.admin("/environments/default/balance")
    assert nanos(balance["balance_usd"]) == 1000 * 10**9 - sum(charged.values())
    assert balance["held_usd"] == "0"
    spent = served.admin("/environments/default/limits/effective?key=long")["data"][0]["used"]
    of_key = sum(amount for name, amount in charged.items() if by_id[name]["key"]["name"] == "long")
    # What was in flight when the process died counts as what was held for it.
    assert nanos(spent) == of_key or (estimates and nanos(spent) > of_key), "the budget knows of every one"


def billed(up: Upstream) -> dict[str, Any]:
    """A configuration whose usage is charged."""
    return simple(up.base_url) | {"environment": {"billing": {"enabled": True}}}


def test_space_runs_out_and_comes_back(disk: Disk, gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """DUR-03: refused while nothing can be written, served again as soon as it can, and every answer is charged once."""
    up = upstream(script)
    served = gateway(billed(up), start=False)
    load = Load(served, begin(served, disk), "a")
    served.wait(lambda: load.count(refused=False) > 100, "answers")
    disk.fill(served)
    refused(load, served, 60)
    assert served.alive and call(served.admin_url, "/healthz").status == 200
    said = lambda: any("journal" in line and "disk" in line.lower() for line in served.log_lines)  # noqa: E731
    served.wait(said, "the warning")
    while_full = load.count(refused=True)
    disk.free(served)
    began, before = time.monotonic(), load.count(refused=False)
    served.wait(lambda: load.count(refused=False) > before + 50, "answers again", 60)
    took = time.monotonic() - began
    seen = load.stop()
    check(served, up, seen)
    assert served.stop() == 0
    assert "balances" in served.cli("ledger", "verify")
    kind = type(disk).__name__.lower()
    answered = sum(1 for one in seen if one.finished)
    note(f"DUR-03 ({kind}): {while_full} refused while the disk was full, served {took:.1f} s after; {answered} answers")


def test_killed_while_the_disk_is_full(disk: Disk, gateway: MakeGateway, upstream: MakeUpstream) -> None:
    """DUR-03 and DUR-01: kill -9 while nothing can be written, and a start with room: what was answered is on record, once."""
    up = upstream(script)
    served = gateway(billed(up), start=False)
    key = begin(served, disk)
    load = Load(served, key, "a")
    served.wait(lambda: load.count(refused=False) > 100, "answers")
    disk.fill(served)
    refused(load, served, 20)
    served.kill()
    seen = load.stop()
    disk.free(served)
    served.start()
    load = Load(served, key, "b")
    served.wait(lambda: load.count(refused=False) > 50, "answers after the start")
    seen += load.stop()
    check(served, up, [one for one in seen if one.request_id], estimates=CALLERS)
    assert served.stop() == 0
    assert "balances" in served.cli("ledger", "verify")
