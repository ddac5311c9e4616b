"""How far the estimate of what was said is from what providers reported, over recorded traffic.

    python3 bench/estimator.py ../shared/corpus

The gateway estimates only where nobody reports: one token for every four bytes of what was asked and of what was said
(`ir::usage::estimate_tokens`). Recorded answers have both, so that the two can be compared. Answers that say nothing, and
those of which a part is thought and not shown, are left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

# A pair: the bytes, and the tokens that the provider reported for them.
Pair = tuple[int, int]


def tokens(count: int) -> int:
    """What the gateway estimates."""
    return -(-count // 4)


def length(value: Any) -> int:
    """The bytes that a member of a message counts for: those of its JSON, less the two that enclose it."""
    if value in (None, "", [], {}):
        return 0
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()) - 2


def events(body: str) -> Iterator[dict[str, Any]]:
    """The JSON of a stream's events."""
    for line in body.splitlines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data.startswith("{"):
            try:
                yield json.loads(data)
            except ValueError:
                return


def of_message(message: dict[str, Any]) -> int:
    """What a message or a part of one counts for: of a tool that is called the name and the arguments."""
    said = sum(length(value) for name, value in message.items() if name not in ("role", "annotations", "tool_calls"))
    for one in message.get("tool_calls") or []:
        function = one.get("function") or one.get("custom") or {}
        said += sum(length(function.get(name)) for name in ("name", "arguments", "input"))
    return said


def openai(body: str, stream: bool) -> tuple[int, dict[str, Any]]:
    """The bytes of what was said, and the report."""
    parts = list(events(body)) if stream else [json.loads(body)]
    said, usage = 0, {}
    for part in parts:
        for choice in part.get("choices") or []:
            said += of_message(choice.get("delta" if stream else "message") or {})
        usage = part.get("usage") or usage
    return said, usage


def pairs(path: Path) -> Iterator[tuple[str, Pair, Pair]]:
    """What was asked and what was said, by buffered or streamed."""
    for line in path.read_text().splitlines():
        one = json.loads(line)
        answer, request = one["response"], one.get("request") or {}
        if answer.get("status") != 200 or answer.get("body_encoding") or not request.get("body"):
            continue
        stream = one["stream_events"] is not None
        try:
            if one["endpoint"] == "chat.completions":
                said, usage = openai(answer["body"], stream)
                details = usage.get("completion_tokens_details") or {}
                if details.get("reasoning_tokens") or details.get("audio_tokens"):
                    continue
                asked, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
            elif one["endpoint"] == "messages" and not stream:
                body = json.loads(answer["body"])
                blocks, usage = body["content"], body.get("usage") or {}
                if any(block["type"] not in ("text", "tool_use") for block in blocks):
                    continue
                said = length(blocks)
                asked, answered = usage.get("input_tokens"), usage.get("output_tokens")
                asked = (asked or 0) + sum(usage.get(f"cache_{kind}_input_tokens") or 0 for kind in ("creation", "read"))
            else:
                continue
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        if said and asked and answered:
            body = request["body"]
            # Pictures and sound are no text.
            plain = "base64" not in body and "image" not in body
            yield "streamed" if stream else "buffered", (len(body.encode()) if plain else 0, asked), (said, answered)


def row(name: str, found: list[Pair]) -> str:
    """One line of the table."""
    found = [pair for pair in found if pair[0]]
    ratios = sorted(tokens(count) / reported for count, reported in found)
    total = sum(tokens(count) for count, _ in found) / sum(reported for _, reported in found)
    tenth, ninth = ratios[len(ratios) // 10], ratios[len(ratios) * 9 // 10]
    return f"| {name} | {len(found):,} | {total:.2f} | {median(ratios):.2f} | {tenth:.2f} to {ninth:.2f} |"


def main() -> None:
    folder = Path(sys.argv[1]) / "exchanges"
    asked: list[Pair] = []
    said: dict[str, list[Pair]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        dialect = "Anthropic" if path.stem == "anthropic" else "OpenAI and compatible"
        for form, of_request, of_answer in pairs(path):
            asked.append(of_request)
            said.setdefault(f"said, {dialect}, {form}", []).append(of_answer)
    print("| estimate / report | answers | all together | median | from the 10th to the 90th of 100 |\n|---|--:|--:|--:|--:|")
    print(row("asked (the whole body)", asked))
    for name, found in sorted(said.items()):
        print(row(name, found))


if __name__ == "__main__":
    main()
