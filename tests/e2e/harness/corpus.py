"""Recorded exchanges, and an upstream that answers with them.

The gateway's configuration maps one model to each exchange, so that the upstream knows from the model's name which
recording to serve, and any number of them can be under way at once.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .splice import with_model
from .upstream import LAST_CHUNK, Request, Step, chunk, head

FILES = ("openai", "openai_compatible", "openrouter", "together", "perplexity", "mistral")
HOP = {"content-length", "transfer-encoding", "connection", "content-encoding", "keep-alive", "date", "server"}
FOLDER = Path(os.environ.get("CROSSWAY_CORPUS") or Path(__file__).resolve().parents[4] / "shared" / "corpus")


@dataclass(frozen=True)
class Exchange:
    """One recording."""

    id: str
    provider: str
    endpoint: str
    fidelity: str
    features: frozenset[str]
    path: str
    asked: dict[str, str]
    request: bytes
    status: int
    headers: dict[str, str]
    response: bytes
    cuts: tuple[int, ...]

    @property
    def slug(self) -> str:
        """The name under which the gateway's callers ask for it."""
        return "c-" + self.id.lower()

    @property
    def value(self) -> dict[str, Any]:
        """The request."""
        return json.loads(self.request)

    @property
    def streamed(self) -> bool:
        """Tells whether the response is a stream of events, or of JSON lines."""
        content = self.headers.get("content-type", "")
        starts = self.response.lstrip()[:5] in (b"data:", b"event") and self.status == 200
        return "event-stream" in content or "ndjson" in content or starts

    @property
    def wants_stream(self) -> bool:
        """Tells whether the request asks for a stream."""
        return self.value.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        """Tells whether the request asks for a usage chunk."""
        return (self.value.get("stream_options") or {}).get("include_usage") is True


def every_file() -> list[str]:
    """The names of all files of recordings."""
    return sorted(path.stem for path in (FOLDER / "exchanges").glob("*.jsonl"))


def load(files: Sequence[str] = FILES, endpoints: Container[str] = ("chat.completions",)) -> list[Exchange]:
    """Every exchange of these endpoints, in a stable order; empty when the recordings are not there."""
    found = []
    for name in files:
        path = FOLDER / "exchanges" / f"{name}.jsonl"
        if path.exists():
            records = map(json.loads, filter(None, path.read_text(encoding="utf-8").splitlines()))
            found += [_exchange(r) for r in records if r["endpoint"] in endpoints and r["method"] == "POST"]
    return found


def _exchange(record: dict[str, Any]) -> Exchange:
    answer, question = record["response"], record["request"] or {"path": "", "headers": {}, "body": "{}"}
    body = answer.get("body") or ""
    return Exchange(
        id=record["id"],
        provider=record["provider"],
        endpoint=record["endpoint"],
        fidelity=record["fidelity"],
        features=frozenset(record["features"]),
        path=question["path"],
        asked={k.lower(): v for k, v in question["headers"].items()},
        request=_asked(question),
        status=answer["status"],
        headers={k.lower(): v for k, v in answer["headers"].items()},
        response=base64.b64decode(body) if answer.get("body_encoding") == "base64" else body.encode(),
        cuts=tuple(answer.get("chunk_sizes") or ()),
    )


def _asked(question: dict[str, Any]) -> bytes:
    if "body_base64" in question:
        return base64.b64decode(question["body_base64"])
    return (question.get("body") or "{}").encode()


def pieces(exchange: Exchange) -> list[bytes]:
    """The network chunks of a stream: as recorded, else one per event or line."""
    body = exchange.response
    if not exchange.cuts:
        ends = rb"(?<=\n)" if body.startswith(b"{") else rb"(?<=\n\n)|(?<=\r\n\r\n)"
        return [p for p in re.split(ends, body) if p]
    out, at = [], 0
    for size in exchange.cuts:
        out.append(body[at : at + size])
        at += size
    return [p for p in [*out, body[at:]] if p]


def asked_model(request: Request) -> str:
    """The model that a request names: in its body, or in its path as Gemini wants it."""
    if found := re.search(r"/models/([^/:?]+):", request.path):
        return found[1]
    body = request.json
    return str(body.get("model")) if isinstance(body, dict) else ""


class Replay:
    """A script that serves the exchange whose id is the request's model."""

    def __init__(self, exchanges: list[Exchange]) -> None:
        self.by_id = {exchange.id: exchange for exchange in exchanges}

    def __call__(self, request: Request) -> list[Step]:
        exchange = self.by_id.get(asked_model(request))
        if exchange is None:
            return [head(404, {"content-length": "0"})]
        headers = {k: v for k, v in exchange.headers.items() if k not in HOP}
        if "content-type" not in headers:
            headers["content-type"] = "text/event-stream" if exchange.streamed else "application/json"
        if exchange.streamed:
            start = head(exchange.status, headers | {"transfer-encoding": "chunked"})
            return [start, *map(chunk, pieces(exchange)), LAST_CHUNK]
        fields = headers | {"content-length": str(len(exchange.response))}
        return [head(exchange.status, fields) + exchange.response]


def asked_as(exchange: Exchange, name: str) -> bytes:
    """The recorded request under another model name."""
    return with_model(exchange.request, name)


def error_message(body: bytes) -> str | None:
    """The message of a recorded error body in any of the shapes that OpenAI-style providers use."""
    try:
        value = json.loads(body)
    except ValueError:
        return None
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return None
    inner = value.get("error", value)
    for candidate in (inner, value):
        if isinstance(candidate, str):
            return candidate
        if isinstance(candidate, dict):
            for name in ("message", "detail", "msg", "error"):
                if isinstance(candidate.get(name), str):
                    return candidate[name]
    return None
