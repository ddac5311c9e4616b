"""Small OpenAI-shaped bodies for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .upstream import Request, Step, reply_json, stream

USAGE = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def completion(text: str = "Hello there friend", model: str = "up-model", **more: Any) -> dict[str, Any]:
    """A chat.completion."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    base = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1700000000, "model": model}
    return base | {"choices": [choice], "usage": USAGE} | more


def piece(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chat.completion.chunk."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "up-model"}
    return base | {"choices": [choice]} | more


def event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def events(words: Iterable[str] = ("Hello", " there", " friend"), usage: dict[str, int] | None = None) -> list[bytes]:
    """A whole stream: role, words, finish, usage, end marker."""
    out = [event(piece({"role": "assistant", "content": ""}))]
    out += [event(piece({"content": word})) for word in words]
    out += [event(piece({}, "stop")), event(piece({}) | {"choices": [], "usage": usage or USAGE}), DONE]
    return out


def answer(request: Request) -> list[Step]:
    """What a healthy upstream answers: a stream to those who ask for one."""
    body = request.json or {}
    if body.get("stream"):
        return stream(events())
    return reply_json(completion(model=body.get("model", "up-model")))


def error(status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None) -> list[Step]:
    """An OpenAI-shaped error."""
    value = {"error": {"message": message, "type": "some_error", "param": None, "code": code}}
    return reply_json(value, status, headers)
