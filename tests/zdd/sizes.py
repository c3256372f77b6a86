"""How much the tests of this folder do, and what came of it: one table that is printed at the end of a run."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.zdd.load import Failure

IS_LONG = os.environ.get("ZDD") == "long"
WITHIN_S = 7200 if IS_LONG else 180


class Sizes(NamedTuple):
    """``balancers`` are the numbers of load balancers with which everything is done."""

    instances: int
    repetitions: int
    balancers: tuple[int, ...]


SIZES = Sizes(20, 10, (1, 2)) if IS_LONG else Sizes(4, 1, (2,))

COLUMNS = ("what", "load balancers", "runs", "requests", "failed", "tasks broken", "fewest healthy", "beyond the drain")


@dataclass
class Row:
    """What came of one scenario; ``idle_shares`` are parts of the time of each run."""

    what: str
    balancers: int
    runs: int = 0
    requests: int = 0
    broken: int = 0
    failures: list[Failure] = field(default_factory=list)
    fewest_healthy: list[int] = field(default_factory=list)
    idle_shares: list[float] = field(default_factory=list)

    @property
    def cells(self) -> tuple[str, ...]:
        shares = sorted(self.idle_shares) or [0.0]
        beyond = f"median {shares[len(shares) // 2]:.0%}, most {shares[-1]:.0%}"
        fewest = f"{min(self.fewest_healthy, default='-')} of {SIZES.instances}"
        numbers = (self.balancers, self.runs, self.requests, len(self.failures), self.broken)
        return (self.what, *map(str, numbers), fewest, beyond)


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


TABLE = Table()
