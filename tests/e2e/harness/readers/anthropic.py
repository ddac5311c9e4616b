"""Anthropic Messages."""

from __future__ import annotations

from typing import Any

from ..reading import Reading, arguments

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")


def read(values: list[Any]) -> Reading:
    """A message, or its events."""
    out, usage = Reading(), {}
    blocks: dict[int, dict[str, Any]] = {}
    for value in values:
        match value.get("type"):
            case "message":
                blocks = dict(enumerate(value.get("content") or []))
                usage, reason = value.get("usage") or {}, value.get("stop_reason")
                out.finish = FINISH.get(reason, reason)
            case "message_start":
                usage = dict(value["message"].get("usage") or {})
            case "content_block_start":
                blocks[value["index"]] = dict(value["content_block"])
            case "content_block_delta":
                _grow(blocks[value["index"]], value["delta"])
            case "message_stop":
                break
            case "message_delta":
                usage |= {name: count for name, count in (value.get("usage") or {}).items() if count is not None}
                reason = (value.get("delta") or {}).get("stop_reason")
                out.finish = FINISH.get(reason, reason) or out.finish
            case "error":
                out.error = str(value["error"].get("message"))
    for _, block in sorted(blocks.items()):
        _block(out, block)
    if usage.get("output_tokens") is not None:
        # Compaction stands beside the sums, not in them; an adviser's tokens are another model's.
        steps = [usage, *(step for step in usage.get("iterations") or [] if step.get("type") == "compaction")]
        out.output = sum(step["output_tokens"] for step in steps)
        out.input = sum(step.get(name) or 0 for step in steps for name in INPUT)
    return out


def _grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    for name in ("text", "thinking", "partial_json"):
        if name in delta:
            block[name] = (block.get(name) or "") + delta[name]


def _block(out: Reading, block: dict[str, Any]) -> None:
    match block.get("type"):
        case "text":
            out.text += block["text"]
        case "thinking":
            out.thinking += block["thinking"]
        case "tool_use" if (block.get("caller") or {}).get("type", "direct") == "direct":
            # The others were made by code that ran at the provider's.
            given = arguments(block["partial_json"]) if block.get("partial_json") else block.get("input")
            out.calls.append((block["name"], given))
