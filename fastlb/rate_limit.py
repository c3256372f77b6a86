"""The rate at which something may be done, in libprocess's words, and whose turn is when.

Pure and mutable, without clock: times are handed in. As in libprocess, who comes too early waits, and turns follow each
other evenly; unlike there, nobody waits for longer than the caller allows.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fastlb.errors import UsageError

SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "secs": 1.0, "mins": 60.0, "hrs": 3600.0, "days": 86_400.0}
NO_LIMIT = "none"

_RATE = re.compile(r"(\d+)/(\d+(?:\.\d+)?)(ns|us|ms|secs|mins|hrs|days)")


class Rate(NamedTuple):
    """So many times in so many seconds."""

    times: int
    within_s: float


def read_rate(text: str) -> Rate | None:
    """Read ``10/1secs``; ``none`` is None. Raises UsageError."""
    if text == NO_LIMIT:
        return None
    found = _RATE.fullmatch(text.strip())
    if found is None or int(found[1]) == 0 or float(found[2]) == 0:
        units = ", ".join(SECONDS)
        raise UsageError(f"--snapshot-rate-limit {text!r}: a number and a time are needed, such as 10/1secs ({units})")
    return Rate(int(found[1]), float(found[2]) * SECONDS[found[3]])


class Turns:
    """Gives out turns at a rate; all at once without one."""

    def __init__(self, rate: Rate | None) -> None:
        self._apart_s = rate.within_s / rate.times if rate else 0.0
        self._next_s = 0.0

    def take(self, now_s: float, longest_wait_s: float) -> float | None:
        """Take the next turn; return after how many seconds it comes, or None if that is too long and none is taken."""
        wait_s = max(0.0, self._next_s - now_s)
        if wait_s > longest_wait_s:
            return None
        self._next_s = now_s + wait_s + self._apart_s
        return wait_s
