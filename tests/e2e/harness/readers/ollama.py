"""Ollama's chat."""

from __future__ import annotations

from typing import Any

from ..reading import Reading


def read(values: list[Any]) -> Reading:
    """A response, or its lines."""
    out = Reading()
    for value in values:
        if error := value.get("error"):
            out.error = str(error)
            break
        message = value.get("message") or {}
        out.text += message.get("content") or ""
        out.thinking += message.get("thinking") or ""
        out.calls += [
            (c["function"]["name"], c["function"].get("arguments") or {}) for c in message.get("tool_calls") or []
        ]
        if value.get("done"):
            out.finish = "length" if value.get("done_reason") == "length" else "stop"
            out.input, out.output = value.get("prompt_eval_count"), value.get("eval_count")
    if out.calls and out.finish == "stop":
        out.finish = "tool_calls"
    return out
