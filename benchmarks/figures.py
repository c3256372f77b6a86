"""What a benchmark gives: rows of figures, and how they are taken and written.

A row says what was measured at which size, and the smallest, median and largest value, so that nobody has to trust an
average. Rows cross processes as JSON.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

ALONE_WITHIN_S = 900.0


class Row(NamedTuple):
    """One figure: ``subject`` (what is measured), ``case`` (of what), ``unit``, and three values."""

    subject: str
    case: str
    unit: str
    smallest: float
    median: float
    largest: float

    def __str__(self) -> str:
        """Write it as a line of the table."""
        if self.smallest == self.largest:
            values = f"{'':>12}{self.median:>12.6g}{'':>12}"
        else:
            values = f"{self.smallest:>12.4g}{self.median:>12.4g}{self.largest:>12.4g}"
        return f"{self.subject:<38} {self.case:<30}{values} {self.unit}"


HEADING = f"{'what':<38} {'of what':<30}{'min':>12}{'median':>12}{'max':>12}"


def spread(subject: str, case: str, unit: str, values: Sequence[float]) -> Row:
    """Return the row for several measurements of one thing."""
    return Row(subject, case, unit, min(values), statistics.median(values), max(values))


def single(subject: str, case: str, unit: str, value: float) -> Row:
    """Return the row for what was counted, or could be measured once only."""
    return Row(subject, case, unit, value, value, value)


def durations_ms(work: Callable[[], object], times: int) -> list[float]:
    """Run ``work`` so many times and return how long each run took, in milliseconds.

    What earlier runs left to the garbage collector is collected before each one, and not charged to it.
    """
    values = []
    for _ in range(times):
        gc.collect()
        started_s = perf_counter()
        work()
        values.append((perf_counter() - started_s) * 1000)
    return values


def row_of(rows: Iterable[Row], subject: str, case: str) -> Row:
    """Return the row of that name. Raises LookupError if it was not measured."""
    for row in rows:
        if (row.subject, row.case) == (subject, case):
            return row
    raise LookupError(f"{subject} of {case} was not measured")


def rows_from(module: str, words: Sequence[object], given: bytes, environment: Mapping[str, str]) -> list[Row]:
    """Run a benchmark module in a process of its own, so that its memory is its own, and return its rows.

    ``given`` is its standard input.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        check=True,
        input=given,
        stdout=subprocess.PIPE,
        timeout=ALONE_WITHIN_S,
        env={**os.environ, **environment},
    )
    return [Row(*row) for row in json.loads(done.stdout)]


def print_rows(rows: Iterable[Row]) -> None:
    """Hand the rows to the process that asked with `rows_from`."""
    print(json.dumps(list(rows)))


def machine() -> dict[str, Any]:
    """Say what the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {"processor": model, "processors": os.cpu_count(), "python": platform.python_version()}
