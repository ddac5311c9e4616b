"""What a recorded exchange must look like on the other side of the gateway.

Each check answers with None or one line that says what differs.
"""

from __future__ import annotations

import json
from typing import Any

from .corpus import Exchange, error_message
from .splice import with_model, without_include_usage, without_meta
from .upstream import Request
from .wire import Reply, sse_data

DONE = b"[DONE]"
AUTH = (401, 403)


def check_reply(exchange: Exchange, reply: Reply) -> str | None:
    """Compares the bytes of a reply with the recording."""
    if exchange.status != 200:
        return _error(exchange, reply)
    if not exchange.streamed:
        return _buffered(exchange, reply)
    at, error = _error_event(exchange)
    if error is not None:
        return _broken_stream(exchange, reply, at, error)
    return _stream(exchange, reply)


def _buffered(exchange: Exchange, reply: Reply) -> str | None:
    if reply.status != 200:
        return f"status {reply.status}: {reply.body[:200]!r}"
    body, meta = without_meta(reply.body)
    if body != exchange.response:
        return "body: " + difference(exchange.response, body)
    return None if meta is not None else "no meta block"


def _error(exchange: Exchange, reply: Reply) -> str | None:
    wanted = 502 if exchange.status in AUTH else exchange.status
    if reply.status // 100 != wanted // 100:
        return f"status {exchange.status} became {reply.status}: {reply.body[:200]!r}"
    try:
        error = reply.error
    except (ValueError, KeyError, TypeError):
        return f"no OpenAI error body: {reply.body[:200]!r}"
    if set(error) < {"message", "type", "param", "code"}:
        return f"keys of the error: {sorted(error)}"
    if exchange.status in AUTH:
        return None if error["code"] == "upstream_auth_error" else f"code {error['code']}"
    message = error_message(exchange.response)
    if message is not None and message not in error["message"]:
        return f"message {message!r} became {error['message']!r}"
    return None


def expected_events(exchange: Exchange) -> list[bytes]:
    """The data lines that the client must see."""
    return [data for data in sse_data(exchange.response) if not _unwanted_usage(exchange, data)]


def _unwanted_usage(exchange: Exchange, data: bytes) -> bool:
    if exchange.wants_usage or b'"usage"' not in data:
        return False
    value = _json(data)
    return isinstance(value, dict) and value.get("choices") == [] and bool(value.get("usage"))


def _stream(exchange: Exchange, reply: Reply) -> str | None:
    if reply.status != 200:
        return f"status {reply.status}: {reply.body[:200]!r}"
    if not reply.whole:
        return "the stream did not end properly"
    expected, metas = expected_events(exchange), 0
    got = []
    for data in reply.events:
        rest, meta = without_meta(data)
        metas += meta is not None
        got.append(rest)
    if expected and expected[-1] != DONE and got[-1:] == [DONE]:
        # The recording ends without a marker; a client may be given one.
        got.pop()
    for index, (want, have) in enumerate(zip(expected, got)):
        if want != have:
            return f"event {index}: " + difference(want, have)
    if len(expected) != len(got):
        return f"{len(expected)} events became {len(got)}; the last is {got[-1:]!r}"
    return None if metas else "no meta block in the stream"


def _error_event(exchange: Exchange) -> tuple[int, str | None]:
    """Where a recorded stream breaks with an error event, and its message."""
    for index, data in enumerate(sse_data(exchange.response)):
        value = _json(data)
        if data != DONE and value is None:
            return index, ""
        if isinstance(value, dict) and value.get("error"):
            return index, error_message(data) or ""
    return 0, None


def _broken_stream(exchange: Exchange, reply: Reply, at: int, message: str) -> str | None:
    if reply.status != 200:
        text = json.dumps(_json(reply.body), ensure_ascii=False)
        return None if message in text or json.dumps(message)[1:-1] in text else f"message lost: {reply.body[:300]!r}"
    got = [without_meta(data)[0] for data in reply.events]
    if DONE in got:
        return "an end marker after an error event"
    expected = sse_data(exchange.response)[:at]
    if got[:at] != expected:
        return f"events before the error differ: {got[:at]!r}"[:300]
    last = _json(got[-1]) if got[at:] else None
    if not isinstance(last, dict) or not last.get("error"):
        return f"no error event at the end: {got[-1:]!r}"[:300]
    return None


def check_request(exchange: Exchange, seen: Request) -> tuple[str | None, bool]:
    """Compares what the upstream saw with what was recorded; also tells whether the bytes are the same."""
    recorded, value = dict(exchange.value), seen.json
    if not isinstance(value, dict):
        return "the upstream saw no JSON", False
    value = dict(value)
    recorded.pop("model", None), value.pop("model", None)
    body = seen.body
    if value.get("stream") is True and not exchange.wants_usage:
        # Usage is always asked of the upstream.
        value["stream_options"] = _without_usage(value)
        recorded["stream_options"] = _without_usage(recorded)
        body = without_include_usage(body)
    if value != recorded:
        names = sorted(k for k in {*value, *recorded} if value.get(k) != recorded.get(k))
        return f"the upstream saw other values of {names}", False
    return None, with_model(body, "x") == with_model(exchange.request, "x")


def _without_usage(request: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in (request.get("stream_options") or {}).items() if k != "include_usage"}


def difference(want: bytes, have: bytes) -> str:
    """Where two texts part."""
    at = next((i for i, (a, b) in enumerate(zip(want, have)) if a != b), min(len(want), len(have)))
    lengths = f"({len(want)} and {len(have)} bytes)"
    return f"at byte {at} {lengths}: {want[max(0, at - 40) : at + 60]!r} became {have[max(0, at - 40) : at + 60]!r}"


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
