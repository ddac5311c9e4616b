"""Gemini's generateContent."""

from __future__ import annotations

from typing import Any

from ..reading import Reading

FINISH = {"STOP": "stop", "MAX_TOKENS": "length"}
FILTERED = {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "LANGUAGE"}


def read(values: list[Any]) -> Reading:
    """A response, or the responses of a stream."""
    out = Reading()
    for value in values:
        if error := value.get("error"):
            out.error = str(error.get("message"))
            break
        if (value.get("promptFeedback") or {}).get("blockReason"):
            out.finish = "content_filter"
        for candidate in value.get("candidates") or []:
            if candidate.get("index", 0) == 0:
                _said(out, candidate)
        if usage := value.get("usageMetadata"):
            count = {name: number or 0 for name, number in usage.items() if name.endswith("TokenCount")}
            out.input = count.get("promptTokenCount", 0) + count.get("toolUsePromptTokenCount", 0)
            out.output = count.get("candidatesTokenCount", 0) + count.get("thoughtsTokenCount", 0)
    if out.calls and out.finish == "stop":
        out.finish = "tool_calls"
    return out


def _said(out: Reading, candidate: dict[str, Any]) -> None:
    for part in (candidate.get("content") or {}).get("parts") or []:
        if part.get("thought"):
            out.thinking += part.get("text") or ""
        else:
            out.text += part.get("text") or ""
        if call := part.get("functionCall"):
            out.calls.append((call.get("name", ""), call.get("args") or {}))
    if reason := candidate.get("finishReason"):
        out.finish = "content_filter" if reason in FILTERED else FINISH.get(reason, reason)
