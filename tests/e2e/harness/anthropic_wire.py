"""Small Anthropic-shaped bodies for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .upstream import Request, Step, reply_json, stream

Block = dict[str, Any]

USAGE = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 1, "output_tokens": 3}
TEXT: Block = {"type": "text", "text": "Hello there friend"}
THINKING: Block = {"type": "thinking", "thinking": "They greet.", "signature": "c2lnbmF0dXJl"}
TOOL: Block = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Köln", "days": 2}}


def message(*blocks: Block, stop: str = "end_turn", model: str = "up-model", **more: Any) -> dict[str, Any]:
    """A message of these blocks."""
    base = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": list(blocks) or [TEXT]}
    return base | {"stop_reason": stop, "stop_sequence": None, "usage": USAGE} | more


def event(value: dict[str, Any]) -> bytes:
    """One server-sent event, named like its type."""
    data = json.dumps(value, ensure_ascii=False).encode()
    return b"event: " + value["type"].encode() + b"\ndata: " + data + b"\n\n"


def events(*blocks: Block, stop: str = "end_turn", model: str = "up-model") -> list[bytes]:
    """A whole stream: the start, each block in pieces, the stop reason with the usage, the end."""
    begun = message(model=model) | {"content": [], "stop_reason": None, "usage": USAGE | {"output_tokens": 1}}
    out = [event({"type": "message_start", "message": begun}), event({"type": "ping"})]
    for index, block in enumerate(blocks or (TEXT,)):
        empty, deltas = _pieces(block)
        out.append(event({"type": "content_block_start", "index": index, "content_block": empty}))
        out += [event({"type": "content_block_delta", "index": index, "delta": delta}) for delta in deltas]
        out.append(event({"type": "content_block_stop", "index": index}))
    delta = {"stop_reason": stop, "stop_sequence": None}
    out.append(event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}}))
    return [*out, event({"type": "message_stop"})]


def _pieces(block: Block) -> tuple[Block, Iterable[Block]]:
    """How a block begins, and what is added to it."""
    match block["type"]:
        case "text":
            words = block["text"].partition(" ")
            return block | {"text": ""}, [{"type": "text_delta", "text": word} for word in words if word]
        case "thinking":
            signature = {"type": "signature_delta", "signature": block["signature"]}
            thought = {"type": "thinking_delta", "thinking": block["thinking"]}
            return block | {"thinking": "", "signature": ""}, [thought, signature]
        case "tool_use":
            text = json.dumps(block["input"])
            halves = ["", text[:7], text[7:]]
            return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": half} for half in halves]
        case _:
            return block, []


def answer(request: Request) -> list[Step]:
    """What a healthy upstream answers: a stream to those who ask for one, a count to those who ask for that."""
    body = request.json or {}
    if request.path.partition("?")[0].endswith("/count_tokens"):
        return reply_json({"input_tokens": 17})
    if body.get("stream"):
        return stream(events(model=body.get("model", "")))
    return reply_json(message(model=body.get("model", "")))


def error(status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> list[Step]:
    """An Anthropic-shaped error."""
    return reply_json({"type": "error", "error": {"type": kind, "message": text}}, status, headers)
