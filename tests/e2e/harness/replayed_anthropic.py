"""What a recorded exchange of Anthropic's API must look like on the other side of the gateway.

Each check answers with None or one line that says what differs.
"""

from __future__ import annotations

import json
import re

from .corpus import Exchange, error_message
from .replayed import AUTH, difference
from .splice import members, with_model, without_meta
from .upstream import Request
from .wire import Reply

# An event as it stands: its name and its data.
Event = tuple[bytes, bytes]


def events(body: bytes) -> list[Event]:
    """The events of a stream; comments and empty blocks are none."""
    out = []
    for block in re.split(rb"\r?\n\r?\n", body):
        fields = [line.partition(b":")[::2] for line in block.splitlines() if line]
        found = {name: value.removeprefix(b" ") for name, value in fields if name}
        if found:
            out.append((found.get(b"event", b""), found.get(b"data", b"")))
    return out


def check_reply(exchange: Exchange, reply: Reply) -> str | None:
    """Compares the bytes of a reply with the recording."""
    if exchange.status != 200:
        return _error(exchange, reply)
    if reply.status != 200:
        return f"status {reply.status}: {reply.body[:200]!r}"
    if exchange.streamed:
        return _stream(exchange, reply)
    body, meta = without_meta(reply.body)
    if body != exchange.response:
        return "body: " + difference(exchange.response, body)
    return None if meta is not None else "no meta block"


def _stream(exchange: Exchange, reply: Reply) -> str | None:
    if not reply.whole:
        return "the stream did not end properly"
    expected, got, metas = events(exchange.response), [], 0
    for name, data in events(reply.body):
        rest, meta = without_nested_meta(data)
        metas += meta
        got.append((name, rest))
    for index, (want, have) in enumerate(zip(expected, got)):
        if want != have:
            return f"event {index}: {want[0]!r}, {have[0]!r} " + difference(want[1], have[1])
    if len(expected) != len(got):
        return f"{len(expected)} events became {len(got)}; the last is {got[-1:]!r}"
    # The route with the first event, the account with the last delta.
    return None if metas == 2 else f"{metas} meta blocks in the stream"


def without_nested_meta(data: bytes) -> tuple[bytes, bool]:
    """Removes our object from an event, or from the message that it holds."""
    rest, meta = without_meta(data)
    if meta is not None:
        return rest, True
    try:
        text = data.decode()
        place = next(((start, end) for name, _, start, end in members(text) if name == "message"), None)
    except (ValueError, IndexError):
        return data, False
    if place is None:
        return data, False
    inner, meta = without_meta(text[place[0] : place[1]].encode())
    return text[: place[0]].encode() + inner + text[place[1] :].encode(), meta is not None


def _error(exchange: Exchange, reply: Reply) -> str | None:
    wanted = 502 if exchange.status in AUTH else exchange.status
    if reply.status != wanted:
        return f"status {exchange.status} became {reply.status}: {reply.body[:200]!r}"
    try:
        value, recorded = reply.json, json.loads(exchange.response)
        error = value["error"]
    except (ValueError, KeyError, TypeError):
        return f"no Anthropic error body: {reply.body[:200]!r}"
    if value.get("type") != "error" or not str(value.get("request_id")).startswith("req_"):
        return f"the envelope of the error: {reply.body[:200]!r}"
    if exchange.status in AUTH:
        return None if error["type"] == "api_error" else f"type {error['type']}"
    if error["type"] != recorded["error"]["type"]:
        return f"type {recorded['error']['type']} became {error['type']}"
    message = error_message(exchange.response) or ""
    return None if error["message"] == message else f"message {message!r} became {error['message']!r}"


def check_request(exchange: Exchange, seen: Request) -> str | None:
    """Compares what the upstream saw with what was recorded: every byte but the model's name, and the headers."""
    if with_model(seen.body, "x") != with_model(exchange.request, "x"):
        return difference(with_model(exchange.request, "x"), with_model(seen.body, "x"))
    version = exchange.asked.get("anthropic-version", "2023-06-01")
    for name, want in {"anthropic-version": version, "anthropic-beta": exchange.asked.get("anthropic-beta")}.items():
        if seen.header(name) != want:
            return f"the header {name}: {want!r} became {seen.header(name)!r}"
    return None


def check_headers(exchange: Exchange, reply: Reply) -> str | None:
    """The provider's limits reach the caller."""
    for name, value in exchange.headers.items():
        if name.startswith("anthropic-ratelimit-") and exchange.status == 200 and reply.header(name) != value:
            return f"the header {name}: {value!r} became {reply.header(name)!r}"
    return None
