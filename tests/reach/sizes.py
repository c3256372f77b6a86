"""How much the tests of this folder do, and what they saw: one table that is printed at the end of a run."""

from __future__ import annotations

import os
from typing import NamedTuple

IS_LONG = os.environ.get("REACH") == "long"
WITHIN_S = 3600 if IS_LONG else 180


class Sizes(NamedTuple):
    """``rate`` is in requests a second; the cluster sizes are in apps of three tasks."""

    requests: int
    rate: int
    reloads: int
    live_changes: int
    left_after: tuple[int, int]
    """So many live changes and reloads before what is left is counted."""
    scales: int
    clusters: tuple[int, ...]
    changes_of_each_kind: int
    new_apps: int


SHORT = Sizes(3_000, 500, 5, 40, (50, 5), 2, (100,), 3, 2)
LONG = Sizes(100_000, 900, 50, 1_000, (1_000, 100), 10, (1_000, 5_000), 100, 10)
SIZES = LONG if IS_LONG else SHORT


class Figures:
    """Lines under headings, in the order in which they came."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {}

    def add(self, heading: str, line: str) -> None:
        """Add a line under a heading."""
        self._lines.setdefault(heading, []).append(line)

    def __str__(self) -> str:
        """Return all of it."""
        return "\n".join("\n  ".join([heading, *lines]) for heading, lines in self._lines.items())


FIGURES = Figures()


def tail(text: str, lines: int = 40) -> str:
    """Return the last lines of a log."""
    return "\n".join(line[:300] for line in text.splitlines()[-lines:])
