"""OpenAI Responses."""

from __future__ import annotations

from typing import Any

from ..reading import Reading, arguments

ENDS = ("response.completed", "response.incomplete", "response.failed")
CUT = {"max_output_tokens": "length", "content_filter": "content_filter"}


def read(values: list[Any]) -> Reading:
    """A response, or its events."""
    if not values or "output" in values[0]:
        return _whole(values[0] if values else {}, (values[0] if values else {}).get("output") or [])
    last = next((at for at, value in enumerate(values) if value.get("type") in ENDS), len(values))
    end = values[last]["response"] if last < len(values) else None
    done = [value["item"] for value in values[:last] if value.get("type") == "response.output_item.done"]
    error = next((value for value in values if value.get("type") == "error"), None)
    out = _whole(end or {}, done or (end or {}).get("output") or [])
    if error:
        out.error = str(error.get("message") or (error.get("error") or {}).get("message"))
    elif end is None:
        out.finish = None
    return out


def _whole(response: dict[str, Any], items: list[Any]) -> Reading:
    out = Reading()
    for item in items:
        match item.get("type"):
            case "message":
                for part in item.get("content") or []:
                    out.text += part.get("text") or ""
                    out.refusal += part.get("refusal") or ""
            case "reasoning":
                parts = [*(item.get("summary") or []), *(item.get("content") or [])]
                out.thinking += "\n\n".join(part.get("text") or "" for part in parts)
            case "function_call":
                out.calls.append((item["name"], arguments(item.get("arguments") or "")))
            case "custom_tool_call":
                out.calls.append((item["name"], item.get("input")))
    if isinstance(response.get("reasoning"), str):
        out.thinking = out.thinking or response["reasoning"]
    if error := response.get("error"):
        out.error = str(error.get("message"))
    cut = (response.get("incomplete_details") or {}).get("reason")
    out.finish = CUT.get(cut, cut) or ("tool_calls" if out.calls else "stop")
    if usage := response.get("usage"):
        out.input, out.output = usage.get("input_tokens"), usage.get("output_tokens")
    return out
