"""What a benchmark gives: rows of figures, and how they are taken.

A row says what was measured, of what size, by whom, and the smallest, median and largest value, so that nobody has to
trust an average. Rows cross processes as JSON.
"""

from __future__ import annotations

import json
import statistics
from time import process_time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Size(NamedTuple):
    """How big a cluster is: so many apps, of so many tasks each."""

    apps: int
    tasks: int

    def __str__(self) -> str:
        """Write it as the command line does."""
        return f"{self.apps}x{self.tasks}"

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``5000x3``. Raises ValueError for anything else."""
        apps, _, tasks = text.partition("x")
        size = cls(int(apps), int(tasks))
        if min(size) < 1:
            raise ValueError(f"{text} is no size of a cluster")
        return size


class Row(NamedTuple):
    """One figure: ``what`` was measured, of which ``size`` (a cluster's, or words), by ``who``, how many ``times``."""

    what: str
    size: str
    who: str
    unit: str
    smallest: float
    median: float
    largest: float
    times: int


def spread(what: str, size: object, who: str, unit: str, values: Sequence[float]) -> Row:
    """Return the row for several measurements of one thing."""
    return Row(what, str(size), who, unit, min(values), statistics.median(values), max(values), len(values))


def single(what: str, size: object, who: str, unit: str, value: float) -> Row:
    """Return the row for what was counted, or could be measured once only."""
    return Row(what, str(size), who, unit, value, value, value, 1)


class Rows:
    """Rows to look something up in."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.every = list(rows)
        self._by_name = {(row.what, row.size, row.who): row for row in self.every}

    def find(self, what: str, size: object, who: str) -> Row | None:
        """Return the row of that name, if it was measured."""
        return self._by_name.get((what, str(size), who))

    def sizes(self, what: str, who: str) -> list[Size]:
        """Return the sizes of which that was measured, the smallest first."""
        return sorted(Size.parse(row.size) for row in self.every if (row.what, row.who) == (what, who))


def processor_ms(work: Callable[[], object]) -> float:
    """Return how many milliseconds of processor time ``work`` takes, once."""
    started_s = process_time()
    work()
    return (process_time() - started_s) * 1000


def print_rows(rows: Iterable[Row]) -> None:
    """Hand the rows to the process that started this one."""
    print(json.dumps(list(rows)))


def read_rows(text: str | bytes) -> list[Row]:
    """Return what `print_rows` wrote."""
    return [Row(*row) for row in json.loads(text)]
