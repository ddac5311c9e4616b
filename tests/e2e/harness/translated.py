"""A recorded reply of any dialect on its way to a caller of either surface: what must arrive, and in which form.

Each check answers with None or one line that says what differs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from anthropic.types import Message, RawMessageStreamEvent
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import TypeAdapter, ValidationError

from .corpus import Exchange, error_message
from .reading import Reading, values
from .readers import DIALECTS, read
from .replayed import AUTH, DONE
from .wire import Reply

HELLO = {"messages": [{"role": "user", "content": "hi"}]}
USAGE = {"stream_options": {"include_usage": True}}
SURFACES = {"openai": ("/v1/chat/completions", "openai_chat"), "anthropic": ("/v1/messages", "anthropic")}


def asking(exchange: Exchange, surface: str) -> dict[str, Any]:
    """A small request of the surface, for a reply of the form that was recorded."""
    more: dict[str, Any] = {"max_tokens": 1024} if surface == "anthropic" else {}
    if exchange.streamed:
        more |= {"stream": True} | (USAGE if surface == "openai" else {})
    return {"model": exchange.slug} | HELLO | more


def spliced(exchange: Exchange, surface: str) -> bool:
    """Tells whether the surface speaks the dialect of the recording."""
    return DIALECTS[exchange.endpoint] == SURFACES[surface][1]


def check(exchange: Exchange, surface: str, reply: Reply) -> dict[str, str]:
    """Everything that differs."""
    if exchange.status != 200:
        return named(error=_refused(exchange, reply))
    want = read(DIALECTS[exchange.endpoint], exchange.response)
    if want.error is not None:
        return named(error=_broken(want, surface, reply))
    if reply.status != 200:
        return {"status": f"{reply.status}: {reply.body[:300]!r}"}
    have = read(SURFACES[surface][1], reply.body)
    found = differences(want, have, surface)
    if not spliced(exchange, surface):
        found |= named(form=(_form_of_events if exchange.streamed else _form)(surface, reply))
    return found


def named(**problems: str | None) -> dict[str, str]:
    """The checks that found something."""
    return {name: problem for name, problem in problems.items() if problem}


def differences(want: Reading, have: Reading, surface: str) -> dict[str, str]:
    """Compares what was recorded with what arrived."""
    if surface == "anthropic":
        want, have = _said_by_anthropic(want), _said_by_anthropic(have)
    out = {}
    for name in ("text", "refusal", "thinking", "calls", "finish", "input", "output", "error"):
        recorded, arrived = getattr(want, name), getattr(have, name)
        # What a provider leaves open is not held against the answer.
        if recorded != arrived and not (name in ("input", "output", "finish") and recorded is None):
            out[name] = f"{_short(recorded)} became {_short(arrived)}"
    return out


def _said_by_anthropic(want: Reading) -> Reading:
    """What its shape makes of a reply: a refusal is text, arguments are an object, calls are why it ended."""
    calls = [(name, {"input": given} if isinstance(given, str) else given) for name, given in want.calls]
    finish = "content_filter" if want.refusal else want.finish
    finish = "tool_calls" if calls and finish == "stop" else finish
    return replace(want, text=want.text + want.refusal, refusal="", calls=calls, finish=finish)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 160 else f"{text[:100]}…{text[-50:]} ({len(text)})"


def _refused(exchange: Exchange, reply: Reply) -> str | None:
    """An error answer: its class, and the provider's message."""
    account = exchange.status in (*AUTH, 402) or b"API_KEY_INVALID" in exchange.response
    wanted = 502 if account else exchange.status
    if reply.status // 100 != wanted // 100:
        return f"status {exchange.status} became {reply.status}: {reply.body[:200]!r}"
    message = error_message(exchange.response)
    said = reply.error.get("message") or ""
    if account or message is None or message in said:
        return None
    return f"message {message!r} became {said!r}"


def _broken(want: Reading, surface: str, reply: Reply) -> str | None:
    """A recording that ends in an error: it is told, and no end marker follows."""
    have = Reading(error=reply.error["message"]) if reply.status != 200 else read(SURFACES[surface][1], reply.body)
    if not have.error or (want.error or "") not in have.error:
        return f"{_short(want.error)} became {_short(have.error)}"
    if DONE in reply.events or b"message_stop" in reply.body:
        return "an end marker after an error"
    return None if want.text.startswith(have.text) else f"text {_short(want.text)} became {_short(have.text)}"


MESSAGE_EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def _form(surface: str, reply: Reply) -> str | None:
    """What the types of the official SDK say of a whole reply."""
    try:
        (ChatCompletion if surface == "openai" else Message).model_validate(reply.json)
    except ValidationError as wrong:
        return _first(wrong)
    return None if "crossway" in reply.json else "no meta block"


def _form_of_events(surface: str, reply: Reply) -> str | None:
    """What the types of the official SDK say of each event, and whether they come in the right order."""
    if not reply.whole:
        return "the stream did not end properly"
    events = values(reply.body)
    try:
        for event in events:
            ChatCompletionChunk.model_validate(event) if surface == "openai" else MESSAGE_EVENT.validate_python(event)
    except ValidationError as wrong:
        return _first(wrong)
    return _order_of_chunks(events, reply) if surface == "openai" else _order_of_messages(events)


def _first(wrong: ValidationError) -> str:
    return "; ".join(f"{error['loc']}: {error['msg']}" for error in wrong.errors()[:3])


def _order_of_chunks(chunks: list[Any], reply: Reply) -> str | None:
    if reply.events[-1:] != [DONE] or reply.events.count(DONE) != 1:
        return f"the end: {reply.events[-1:]!r}"
    if chunks[0]["choices"] and chunks[0]["choices"][0]["delta"].get("role") != "assistant":
        return "the first chunk has no role"
    if len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) != 1:
        return "the chunks do not agree about id, model and time"
    finished = [choice["index"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]]
    if len(finished) != len(set(finished)) or not finished:
        return f"finish reasons for the choices {finished}"
    if [bool(chunk.get("usage")) for chunk in chunks].count(True) > 1:
        return "more than one chunk with usage"
    return None if "crossway" in chunks[0] and "crossway" in chunks[-1] else "no meta block in the first or last chunk"


def _order_of_messages(events: list[Any]) -> str | None:
    kinds = [event["type"] for event in events if event["type"] != "ping"]
    if kinds[:1] != ["message_start"] or kinds[-2:] != ["message_delta", "message_stop"]:
        return f"begins and ends with {kinds[:1]} and {kinds[-2:]}"
    if kinds.count("message_start") != 1 or kinds.count("message_stop") != 1:
        return "more than one start or stop"
    expected, opened = 0, None
    for event in events:
        match event["type"]:
            case "content_block_start":
                if opened is not None or event["index"] != expected:
                    return f"block {event['index']} starts while {opened} is open, and {expected} is next"
                opened, kind = expected, event["content_block"]["type"]
                expected += 1
            case "content_block_delta":
                if event["index"] != opened or not _fits(kind, event["delta"]["type"]):
                    return f"{event['delta']['type']} in block {event['index']} while {opened} ({kind}) is open"
            case "content_block_stop":
                if event["index"] != opened:
                    return f"block {event['index']} stops while {opened} is open"
                opened = None
    if opened is not None:
        return f"block {opened} is never closed"
    met = "crossway" in events[0]["message"] and any("crossway" in e for e in events if e["type"] == "message_delta")
    return None if met else "no meta block in the first event or the last delta"


FITS = {
    "text": ("text_delta", "citations_delta"),
    "thinking": ("thinking_delta", "signature_delta"),
    "tool_use": ("input_json_delta",),
}


def _fits(block: str, delta: str) -> bool:
    return delta in FITS.get(block, (delta,))
