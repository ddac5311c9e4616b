"""The smallest whole stream of every dialect: two words and a count."""

from __future__ import annotations

import json
from typing import Any

from . import anthropic_wire, openai_wire
from .upstream import Step, stream

WORDS = ("Hello", " there")


def named(value: dict[str, Any]) -> bytes:
    """An event that is named like its type."""
    return b"event: " + value["type"].encode() + b"\ndata: " + json.dumps(value).encode() + b"\n\n"


def openai_chat() -> list[Step]:
    """Chat completions."""
    return stream(openai_wire.events(WORDS))


def openai_responses() -> list[Step]:
    """Responses."""
    part = {"type": "output_text", "text": "".join(WORDS), "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    usage = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
    begun = {"id": "resp_1", "object": "response", "created_at": 1700000000, "model": "up-model", "output": []}
    ended = begun | {"status": "completed", "output": [item], "usage": usage}
    values = [
        {"type": "response.created", "response": begun | {"status": "in_progress", "usage": None}},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": item | {"content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", "part": part | {"text": ""}} | place,
        *[{"type": "response.output_text.delta", "delta": word} | place for word in WORDS],
        {"type": "response.output_text.done", "text": "".join(WORDS)} | place,
        {"type": "response.content_part.done", "part": part} | place,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": ended},
    ]
    return stream(named(value | {"sequence_number": number}) for number, value in enumerate(values))


def anthropic() -> list[Step]:
    """Messages."""
    return stream(anthropic_wire.events({"type": "text", "text": "".join(WORDS)}))


def gemini() -> list[Step]:
    """`streamGenerateContent?alt=sse`."""
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
    pieces: list[dict[str, Any]] = [{"content": {"role": "model", "parts": [{"text": word}]}} for word in WORDS]
    pieces[-1]["finishReason"] = "STOP"
    base = {"modelVersion": "up-model", "responseId": "g1", "usageMetadata": usage}
    return stream(b"data: " + json.dumps({"candidates": [piece]} | base).encode() + b"\r\n\r\n" for piece in pieces)


def cohere() -> list[Step]:
    """v2 chat."""
    usage = {"tokens": {"input_tokens": 5, "output_tokens": 2}}

    def said(content: dict[str, str]) -> dict[str, Any]:
        return {"delta": {"message": {"content": content}}}

    values = [
        {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0} | said({"type": "text", "text": ""}),
        *[{"type": "content-delta", "index": 0} | said({"text": word}) for word in WORDS],
        {"type": "content-end", "index": 0},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": usage}},
    ]
    return stream(map(named, values))


def ollama() -> list[Step]:
    """`api/chat`."""
    base = {"model": "up-model", "created_at": "2026-11-21T08:00:00Z"}
    lines = [base | {"message": {"role": "assistant", "content": word}, "done": False} for word in WORDS]
    counts = {"done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2}
    lines.append(base | {"message": {"role": "assistant", "content": ""}, "done": True} | counts)
    pieces = [json.dumps(line).encode() + b"\n" for line in lines]
    return stream(pieces, {"content-type": "application/x-ndjson"})


STREAMS = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic": anthropic,
    "gemini": gemini,
    "cohere": cohere,
    "ollama": ollama,
}
