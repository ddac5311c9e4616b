"""Cohere v2 chat."""

from __future__ import annotations

from typing import Any

from ..reading import Reading, arguments

FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}


def read(values: list[Any]) -> Reading:
    """A response, or its events."""
    out = Reading()
    calls: dict[int, list[str]] = {}
    for value in values:
        delta = value.get("delta") or {}
        message = value.get("message") or delta.get("message") or {}
        if not isinstance(message, dict):
            out.error = str(message)
            break
        _said(out, message)
        called = message.get("tool_calls") or []
        for number, call in enumerate([called] if isinstance(called, dict) else called):
            have = calls.setdefault(value.get("index", number), ["", ""])
            have[0] += call["function"].get("name") or ""
            have[1] += call["function"].get("arguments") or ""
        reason = value.get("finish_reason") or delta.get("finish_reason")
        out.finish = FINISH.get(reason, reason) or out.finish
        if usage := value.get("usage") or delta.get("usage"):
            # The other count holds what the provider puts in itself.
            tokens = usage.get("billed_units") or usage.get("tokens") or {}
            out.input, out.output = tokens.get("input_tokens"), tokens.get("output_tokens")
        if delta.get("error"):
            out.error = str(delta["error"])
    out.calls = [(name, arguments(text)) for name, text in calls.values()]
    return out


def _said(out: Reading, message: dict[str, Any]) -> None:
    # The plan of a tool call is a thought that is shown.
    out.thinking += message.get("tool_plan") or ""
    content = message.get("content") or []
    for part in [content] if isinstance(content, dict) else content:
        out.text += part.get("text") or ""
        out.thinking += part.get("thinking") or ""
