"""Costs of random usages of every offer, tier and threshold, against decimal arithmetic over the same data file."""

import collections
import decimal
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUNDS = 30

PER_UNIT = {"image", "audio_second", "search", "request"}
UNITS = {"images": "image", "audio_ms": "audio_second", "characters": "character", "searches": "search", "requests": "request"}
STANDS_IN = {
    "cached_input": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "audio_input": "input",
    "image_input": "input",
    "reasoning": "output",
    "audio_output": "output",
    "image_output": "output",
}
INPUTS = ["input", "cached_input", "cache_write", "cache_write_1h", "audio_input", "image_input"]


def price(rows, row, bucket):
    """US dollars per unit; None when nobody knows."""
    while bucket is not None:
        for candidate in (row, rows[0]):
            text = candidate["rates"].get(bucket)
            if text is not None:
                return decimal.Decimal(text) / (1 if bucket in PER_UNIT else 1_000_000)
        bucket = STANDS_IN.get(bucket)
    return None


def reference(rows, tier, usage):
    """The cost in nano-dollars, rounded half up."""
    own = [row for row in rows if row.get("service_tier", "standard") == tier]
    own = own or [row for row in rows if "service_tier" not in row]
    prompt = sum(usage[name] for name in INPUTS)
    applies = [row for row in own if row.get("above_input_tokens", 0) == 0 or prompt > row["above_input_tokens"]]
    if not applies:
        applies = [row for row in rows if "service_tier" not in row and prompt > row.get("above_input_tokens", -1)]
    row = max(applies, key=lambda row: row.get("above_input_tokens", 0))
    total = decimal.Decimal(0)
    for name, units in usage.items():
        if units == 0:
            continue
        each = price(rows, row, UNITS.get(name, name))
        if each is None:
            return None
        total += each * (decimal.Decimal(units) / 1_000 if name == "audio_ms" else units)
    return int((total * 1_000_000_000).quantize(decimal.Decimal(1), rounding=decimal.ROUND_HALF_UP))


def test_costs_are_what_decimals_say():
    decimal.getcontext().prec = 60
    models = json.loads((ROOT / "data/catalogue.json").read_text())["models"]
    lists = {(model["slug"], offer["vendor"]): offer["prices"] for model in models for offer in model["offers"]}
    command = [os.environ.get("CARGO", "cargo"), "run", "-q", "-p", "catalog", "--example", "price", "--", str(ROUNDS)]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    seen, unknown, wrong = collections.Counter(), 0, []
    for line in map(json.loads, lines):
        expect = reference(lists[line["slug"], line["vendor"]], line["tier"], line["usage"])
        seen[line["slug"]] += 1
        unknown += expect is None
        if line["cost"] != expect:
            wrong.append((line, expect))
    print(f"{sum(seen.values())} costs of {len(seen)} models compared, {unknown} of them unknown to both")
    assert len(seen) == len(models) and sum(seen.values()) >= 100_000
    assert not wrong, f"{len(wrong)} differ: {wrong[:3]}"
