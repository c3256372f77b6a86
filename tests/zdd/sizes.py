"""How much the tests of this folder do, and what came of it: one table, printed at the end of a run.

``ZDD_PAGE`` names the page whose table is to get these rows, if that is wanted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import mean, median
from typing import TYPE_CHECKING, NamedTuple

from tests.fakes.load import Crowd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.load import Failure

IS_LONG = os.environ.get("ZDD") == "long"
WITHIN_S = 7200 if IS_LONG else 180


class Sizes(NamedTuple):
    """``balancers`` are the numbers of load balancers with which everything is done."""

    instances: int
    repetitions: int
    balancers: tuple[int, ...]


SIZES = Sizes(20, 10, (1, 2)) if IS_LONG else Sizes(4, 1, (2,))
CROWDS = (Crowd("short", 3, 0.1), Crowd("slow", 5, 2.05), Crowd("kept", 4, 0.06), Crowd("long", 3, 0.1))
"""Who asks each load balancer, without a pause to speak of. A slow request takes a busy task two seconds."""
LONG_S = (1.0, 6.0) if IS_LONG else (0.5, 2.0)


class Spent(StrEnum):
    """What a moment of a deployment was spent on: what it has to wait for, or what it costs beyond that."""

    DEPLOYING = "deploying"
    """Marathon works on an app of the group."""

    DRAINING = "draining"
    """It does not, and a request or connection is under way of a task that is out."""

    NOTICING = "noticing"
    """Neither; zdd, or a load balancer, has something to see or to do."""

    STARTING = "starting"
    """Neither, and no run is at work: its process starts or ends."""


BEYOND = (Spent.NOTICING, Spent.STARTING)
COLUMNS = ("what", "load balancers", "runs", "requests", "failed", "tasks broken", "fewest healthy", *Spent, "beyond")


@dataclass
class Row:
    """What came of one scenario; ``shares`` are the parts of the time of each run."""

    what: str
    balancers: int
    runs: int = 0
    requests: int = 0
    broken: int = 0
    failures: list[Failure] = field(default_factory=list)
    fewest_healthy: list[int] = field(default_factory=list)
    shares: list[Mapping[Spent, float]] = field(default_factory=list)

    @property
    def beyond(self) -> float:
        """The part of the time that a deployment did not need: the median of all runs."""
        return median(self._beyond)

    @property
    def cells(self) -> tuple[str, ...]:
        fewest = f"{min(self.fewest_healthy, default='-')} of {SIZES.instances}"
        numbers = (self.balancers, self.runs, self.requests, len(self.failures), self.broken)
        means = [f"{mean(shares[what] for shares in self.shares or [dict.fromkeys(Spent, 0.0)]):.0%}" for what in Spent]
        beyond = f"median {self.beyond:.0%}, most {max(self._beyond):.0%}"
        return (self.what, *map(str, numbers), fewest, *means, beyond)

    @property
    def _beyond(self) -> list[float]:
        return [sum(shares[what] for what in BEYOND) for shares in self.shares] or [0.0]


class Table:
    """Rows in the order in which they came."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def add(self, row: Row) -> None:
        self._rows.append(row)

    def lines(self) -> list[str]:
        """Return it as Markdown; nothing without rows."""
        if not self._rows:
            return []
        cells = [COLUMNS, tuple("---" for _ in COLUMNS), *(row.cells for row in self._rows)]
        return [f"| {' | '.join(row)} |" for row in cells]

    def replace_in(self, page: str) -> str:
        """Return a page with these rows in its table in the place of its own of the same name; all others stay."""
        start = page.index(f"| {COLUMNS[0]} | {COLUMNS[1]} |")
        end = page.index("\n\n", start)
        rows = {tuple(line.split(" | ")[:2]): line for line in [*page[start:end].splitlines(), *self.lines()]}
        return f"{page[:start]}{chr(10).join(rows.values())}{page[end:]}"


TABLE = Table()
