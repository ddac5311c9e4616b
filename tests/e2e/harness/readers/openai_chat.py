"""OpenAI Chat Completions, and what others have added to it."""

from __future__ import annotations

import json
from typing import Any

from ..reading import Reading, arguments

FINISH = {"function_call": "tool_calls", "model_length": "length", "eos": "stop"}


def read(values: list[Any]) -> Reading:
    """A completion, or its chunks."""
    out = Reading()
    calls: dict[Any, list[str]] = {}
    # Some say the whole message so far beside each piece.
    kind = "delta" if len(values) > 1 else "message"
    for value in values:
        if error := value.get("error"):
            out.error = error if isinstance(error, str) else str(error.get("message"))
            break
        if usage := value.get("usage") or (value.get("x_groq") or {}).get("usage"):
            _used(out, usage)
        for choice in value.get("choices") or []:
            if choice.get("index", 0) == 0:
                _said(out, choice.get(kind) or choice.get("delta") or {}, calls)
                finish = choice.get("finish_reason")
                out.finish = FINISH.get(finish, finish) or out.finish
    out.calls = [(name, arguments(text)) for name, text in calls.values()]
    return out


def _used(out: Reading, usage: dict[str, Any]) -> None:
    """Takes the counts. Some count thoughts (xAI) or sound (Mistral) in the total only, or thoughts nowhere else."""
    out.input, out.output = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if out.input is None or out.output is None:
        return
    beside = max(0, (usage.get("total_tokens") or 0) - out.input - out.output)
    thoughts = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens")
    if thoughts and (beside == thoughts or thoughts > out.output):
        out.output += thoughts
    elif beside:
        out.input += beside


def _said(out: Reading, message: dict[str, Any], calls: dict[Any, list[str]]) -> None:
    content = message.get("content")
    if isinstance(content, dict):
        content = json.dumps(content, separators=(",", ":"))
    for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
        match part.get("type"):
            case "text":
                out.text += part.get("text") or ""
            case "thinking":
                thoughts = part.get("thinking") or ""
                out.thinking += thoughts if isinstance(thoughts, str) else "".join(t.get("text", "") for t in thoughts)
    out.refusal += message.get("refusal") or ""
    out.thinking += message.get("reasoning_content") or message.get("reasoning") or ""
    for number, call in enumerate(message.get("tool_calls") or []):
        custom = call.get("custom") or {}
        called = call.get("function") or {"name": custom.get("name"), "arguments": custom.get("input")}
        _called(calls, call.get("index", number), call.get("id"), called)
    if legacy := message.get("function_call"):
        _called(calls, "legacy", None, legacy)


def _called(calls: dict[Any, list[str]], index: Any, identity: str | None, function: dict[str, Any]) -> None:
    """Adds a piece of a call. Some repeat an index for the next call and tell them apart by the id only."""
    key = (index, identity) if identity else next((k for k in reversed(calls) if k[0] == index), (index, None))
    have = calls.setdefault(key, ["", ""])
    have[0] = have[0] or function.get("name") or ""
    text = function.get("arguments") or ""
    have[1] += text if isinstance(text, str) else json.dumps(text)
