"""Figures that a suite wants to be seen at the end of the run, passed or not."""

from __future__ import annotations

LINES: list[str] = []


def note(line: str) -> None:
    """Adds a line."""
    LINES.append(line)
