"""Gemini's generateContent."""

from __future__ import annotations

from typing import Any

from ..reading import Reading

# Vertex has been seen to send the numbers of the words.
FINISH = {"STOP": "stop", "MAX_TOKENS": "length", 1: "stop", 2: "length"}
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
            _used(out, {name: number or 0 for name, number in usage.items() if name.endswith("TokenCount")})
    if out.calls and out.finish == "stop":
        out.finish = "tool_calls"
    return out


def _used(out: Reading, count: dict[str, int]) -> None:
    if not any(count.values()):
        return
    out.output = count.get("candidatesTokenCount", 0) + count.get("thoughtsTokenCount", 0)
    out.input = count.get("promptTokenCount", 0) + count.get("toolUsePromptTokenCount", 0)
    if not out.input:
        # It has been seen to give the total only.
        out.input = count.get("totalTokenCount", 0) - out.output


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
