"""Taking Crossway's own object out of a reply again, textually, so that the rest can be compared byte by byte."""

from __future__ import annotations

import json
from json.decoder import scanstring  # type: ignore[attr-defined]

META_KEY = "crossway"
SPACE = " \t\r\n"


def members(text: str) -> list[tuple[str, int, int, int]]:
    """The members of a JSON object's text: name, where it starts, where its value starts, where its value ends."""
    decoder = json.JSONDecoder()
    at = _space(text, 0)
    if at >= len(text) or text[at] != "{":
        return []
    at = _space(text, at + 1)
    out = []
    while text[at] != "}":
        name, after = scanstring(text, at + 1)
        value = _space(text, _space(text, after) + 1)
        _, end = decoder.raw_decode(text, value)
        out.append((name, at, value, end))
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)
    return out


def _space(text: str, at: int) -> int:
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def without_meta(body: bytes) -> tuple[bytes, dict[str, object] | None]:
    """Removes the member with our object, and one comma beside it; returns the rest and the object."""
    if META_KEY.encode() not in body:
        return body, None
    try:
        text = body.decode()
        found = members(text)
    except (ValueError, IndexError):
        return body, None
    own = next((m for m in found if m[0] == META_KEY), None)
    if own is None:
        return body, None
    _, start, value, end = own
    meta = json.loads(text[value:end])
    before = text[:start].rstrip(SPACE)
    if before.endswith(","):
        start = len(before) - 1
    elif text[_space(text, end)] == ",":
        end = _space(text, end) + 1
    return (text[:start] + text[end:]).encode(), meta


def with_model(body: bytes, name: str) -> bytes:
    """Replaces the value of `model`, and nothing else; a body without one gets it in front."""
    text = body.decode()
    places = [(value, end) for member, _, value, end in members(text) if member == "model"]
    for value, end in reversed(places):
        text = text[:value] + json.dumps(name) + text[end:]
    if not places:
        text = text.replace("{", '{"model":' + json.dumps(name) + ",", 1)
    return text.encode()


def without_include_usage(body: bytes) -> bytes:
    """Removes `stream_options` that ask for usage and nothing else, with one comma beside them."""
    text = body.decode()
    for member, start, value, end in members(text):
        if member == "stream_options" and json.loads(text[value:end]) == {"include_usage": True}:
            before = text[:start].rstrip(SPACE)
            if before.endswith(","):
                return (text[: len(before) - 1] + text[end:]).encode()
            end = _space(text, end)
            return (text[:start] + text[end + (text[end] == ",") :]).encode()
    return body
