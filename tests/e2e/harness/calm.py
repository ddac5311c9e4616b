"""What other work on the machine, or the calendar, must not decide."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from typing import TypeVar

Figures = TypeVar("Figures")


def calmly(measure: Callable[[], Figures], good: Callable[[Figures], bool], tries: int = 6) -> Figures:
    """Measures until the figures are good, but only so often, and returns the last ones.

    Whatever else runs on the machine only makes them worse. A program that is slow is slow every time; a machine that was
    busy is not.
    """
    figures = measure()
    for _ in range(tries - 1):
        if good(figures):
            break
        figures = measure()
    return figures


def one_month(seconds: float = 120.0) -> None:
    """Waits for the next month where this one ends within so many seconds: what is counted by months and days begins anew
    then, which is not what the test is about."""
    now = datetime.datetime.now(datetime.UTC)
    begins = (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + datetime.timedelta(days=32)).replace(day=1)
    if (left := (begins - now).total_seconds()) < seconds:
        time.sleep(left + 1)
