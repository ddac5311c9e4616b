"""A mix of everything that callers do, in small turns, and what a process holds meanwhile."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from . import openai_wire as wire
from .gateway import ADMIN_TOKEN, Config, Gateway, model, provider
from .upstream import LAST_CHUNK, Request, Reset, Step, Upstream, chunk, reply_json, stream_head
from .wire import Connection, call, request_bytes

PATH = "/v1/chat/completions"


def script(request: Request) -> list[Step]:
    """Answers whatever it is asked; `broken` is cut off."""
    if request.json.get("model") == "broken":
        return [Reset()]
    if request.json.get("stream"):
        return [stream_head(), *map(chunk, wire.events()), LAST_CHUNK]
    return [*reply_json(wire.completion("hello"))]


def config(base_url: str, broken_url: str) -> Config:
    """A model that answers and one that does not, each at a provider of its own."""
    providers = {"up": provider(base_url), "down": provider(broken_url)}
    return {"providers": providers, "models": [model("m"), model("b", "down", "broken")]}


@dataclass
class Sample:
    """What the process holds at a time, in seconds since the first."""

    at: float
    kib: int
    threads: int
    descriptors: int


def held(pid: int, began: float) -> Sample:
    """Reads what a process holds: private memory, swapped or not, threads and descriptors."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    kib = sum(int(lines[name].split()[0]) for name in ("RssAnon", "VmSwap"))
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(time.monotonic() - began, kib, int(lines["Threads"]), descriptors)


def slope(points: list[tuple[float, float]]) -> float:
    """The slope of the line of least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return over / sum((x - mean_x) ** 2 for x, _ in points)


@dataclass
class Soak:
    """Callers of one gateway. Every answer is looked at; `sent` counts what must leave a record."""

    gateway: Gateway
    upstreams: list[Upstream]
    sent: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def ask(self, key: str, **more: object) -> bytes:
        """The bytes of a request nobody has sent before."""
        words = "".join(self.chance.choices("abcdefgh ", k=self.chance.randrange(10, 2000)))
        body = {"model": "m", "user": f"u-{self.chance.randrange(10**9)}", "messages": [{"role": "user", "content": words}]}
        fields = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        return request_bytes("POST", PATH, fields, json.dumps(body | more).encode())

    def expect(self, what: str, good: bool, seen: object) -> None:
        """Notes what is not as it must be."""
        self.sent[what] += 1
        if not good and len(self.wrong) < 20:
            self.wrong.append(f"{what}: {seen}")

    def turn(self, number: int) -> None:
        """Fifty requests: kept connections, streams read and left, refusals, a provider that fails, an administrator."""
        key = self.gateway.key
        with Connection(self.gateway.url) as connection:
            for _ in range(40):
                connection.send(self.ask(key))
                reply = connection.reply()
                self.expect("buffered", reply is not None and reply.status == 200 and reply.whole, reply)
        for at in range(6):
            with Connection(self.gateway.url) as connection:
                connection.send(self.ask(key, stream=True))
                if at % 2:
                    reply = connection.reply()
                    done = reply is not None and reply.whole and reply.body.endswith(b"data: [DONE]\n\n")
                    self.expect("streamed", done, reply)
                else:
                    # Gone in the midst of a stream.
                    reply = connection.head()
                    self.expect("left", reply is not None and reply.status == 200, reply)
        self.odd(key)
        if number % 10 == 0:
            self.administrate(number)
        for upstream in self.upstreams:
            upstream.journal.clear()

    def odd(self, key: str) -> None:
        """What fails, as it should."""
        with Connection(self.gateway.url) as connection:
            connection.send(self.ask(key, model="b"))
            reply = connection.reply()
            self.expect("broken", reply is not None and reply.status in (502, 503), reply)
            connection.send(self.ask(key, model="nobody-knows-it"))
            reply = connection.reply()
            self.expect("unknown model", reply is not None and reply.status == 400, reply)
        wrong = call(self.gateway.url, "/v1/models", key=f"sk-cw-wrong-{self.chance.random()}")
        self.expect("wrong key", wrong.status in (401, 429), wrong)

    def administrate(self, number: int) -> None:
        """A reload, a key made, used and deleted, and pages of the request log."""
        file = self.gateway.config_file
        file.write_text(file.read_text().split("\n# soak")[0] + f"\n# soak {number}\n")
        keys = "/admin/v1/environments/default/keys"
        made = call(self.gateway.admin_url, keys, {"name": f"soak-{number}", "spec": {}}, key=ADMIN_TOKEN)
        self.expect("admin", made.status == 201, made)
        with Connection(self.gateway.url) as connection:
            connection.send(self.ask(made.json["secret"]))
            reply = connection.reply()
            self.expect("buffered", reply is not None and reply.status == 200, reply)
        deleted = call(self.gateway.admin_url, f"{keys}/soak-{number}", key=ADMIN_TOKEN, method="DELETE")
        self.expect("admin", deleted.status in (200, 204), deleted)
        for page in ("requests?limit=50", "requests/histogram", "usage?group_by=model"):
            seen = call(self.gateway.admin_url, f"/admin/v1/environments/default/{page}", key=ADMIN_TOKEN)
            self.expect("admin", seen.status == 200, seen)

    def run(self, minutes: float, share: float, tell: Callable[[str], None]) -> list[Sample]:
        """Takes turns for so long, so that this process and the gateway use about that share of a core; samples are
        taken between turns, when nothing is in flight."""
        process = self.gateway.process
        assert process is not None
        began, number, samples = time.monotonic(), 0, [held(process.pid, time.monotonic())]
        while (at := time.monotonic() - began) < minutes * 60:
            used = busy(process.pid)
            self.turn(number)
            number += 1
            used = busy(process.pid) - used
            time.sleep(min(used / share, 5.0))
            if at - samples[-1].at >= min(15.0, minutes):
                samples.append(held(process.pid, began))
                if len(samples) % 20 == 1:
                    tell(f"{at / 60:.0f} min: {sum(self.sent.values())} requests, {samples[-1]}, wrong {len(self.wrong)}")
        return samples

    @property
    def recorded(self) -> int:
        """How many records there must be: whoever has no valid key leaves none, and administrators none of this kind."""
        return sum(count for what, count in self.sent.items() if what not in ("wrong key", "admin"))


def busy(pid: int) -> float:
    """What a process and this one have used of the processors so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + time.process_time()
