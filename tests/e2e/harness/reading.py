"""What a reply says, whatever its dialect: text, thoughts, tool calls, why it ended, what it used."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from .wire import sse_data

# A tool's name and its arguments: parsed, or the text where that is no JSON.
Call = tuple[str, Any]


@dataclass
class Reading:
    """What a caller needs of a reply; of several choices, the first."""

    text: str = ""
    thinking: str = ""
    refusal: str = ""
    calls: list[Call] = field(default_factory=list)
    # stop, length, tool_calls, content_filter, or the provider's own word where it is none of them.
    finish: str | None = None
    # Every token of each side, cached ones and thoughts included.
    input: int | None = None
    output: int | None = None
    # The message of an error that came in place of the rest.
    error: str | None = None


def arguments(text: str) -> Any:
    """A tool's arguments."""
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text


def values(body: bytes) -> list[Any]:
    """The JSON values of a body: events, lines, or the body itself. What is no JSON is left out."""
    start = body.lstrip()[:1]
    if start != b"{" and b"data:" in body:
        pieces = sse_data(body)
    elif start == b"{" and b"\n{" in body.strip():
        pieces = body.strip().split(b"\n")
    else:
        pieces = [body]
    return [value for value in map(_json, pieces) if isinstance(value, dict)]


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
