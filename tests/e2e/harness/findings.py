"""What differs between recordings and what came through, and the list of what is known to differ."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path

# Per exchange: check ("bytes", "request", "sdk" …) -> what differs.
Findings = dict[str, dict[str, str]]

EXCEPTIONS = Path(__file__).parents[1] / "corpus_exceptions.toml"


def exceptions(suite: str) -> dict[str, str]:
    """The exchanges that a suite is known not to carry, with the reason."""
    listed = tomllib.loads(EXCEPTIONS.read_text()).get(suite, [])
    assert all(entry["reason"].strip() for entry in listed), "an exception needs a reason"
    out = {}
    for entry in listed:
        for name in entry.get("ids") or [entry["id"]]:
            assert name not in out, f"{name} is listed twice"
            out[name] = entry["reason"]
    return out


def show(findings: Findings, limit: int = 12) -> str:
    """The findings as lines."""
    lines = [f"{name} [{check}] {what}" for name, checks in sorted(findings.items()) for check, what in checks.items()]
    return "\n".join([f"{len(findings)} exchanges differ", *lines[:limit], *(["…"] if len(lines) > limit else [])])


def check_carried(findings: Findings, mine: Collection[str], suite: str) -> None:
    """Fails when one of these exchanges differs and is not listed."""
    known = exceptions(suite)
    wrong = {name: found for name, found in findings.items() if found and name in mine and name not in known}
    assert not wrong, show(wrong)


def check_needed(findings: Findings, suite: str) -> None:
    """Fails when an exception is not needed any more: the list only gets shorter."""
    unneeded = sorted(name for name in exceptions(suite) if not findings.get(name))
    assert not unneeded, f"carried by now, or not recorded: take them off the list: {unneeded}"
