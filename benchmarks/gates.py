"""What must hold in every run, on every machine: ratios and counts of one run, never seconds.

Each gate has a bound, which fails a run, and some have the goal beside it. The bound lies a little behind what is
measured, so that a machine that is busy with something else does not fail a run, and a real loss does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from benchmarks import bad_apps, cases, churn, kernels
from benchmarks.cold import COLD_BESIDE
from benchmarks.figures import Row, Rows, Size
from benchmarks.growth import GROWTH
from benchmarks.kernels import COMPILED, PURE

if TYPE_CHECKING:
    from collections.abc import Iterator

BIG = 5000
"""From so many apps on a cold run is so long that it can be compared with one change."""
MOST_FRAGMENTS = 1.05
"""An app that writes a map rule for all others has its fragment made with and without it; hardly any does."""
KERNEL_BOUNDS = {kernels.NAMES: (10, 10), kernels.IDS: (1.8, 10), kernels.MAPS: (5, 10), kernels.CUTTING: (9, 10)}
APP_BYTES, TASK_BYTES = 2000, 700
"""What one app and each of its tasks take in Marathon's JSON, at most, uncompressed."""
CONTROLLER_MB = {"5000x3": (200, 150)}
MEMORY_MB = {Size(5000, 3): 150, Size(20000, 5): 600}


class Gate(NamedTuple):
    """``found`` has to be at most, or at least, ``bound``; ``goal`` is what the design asks for."""

    what: str
    found: float
    at_most: bool
    bound: float
    goal: float

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.found <= self.bound if self.at_most else self.found >= self.bound

    def __str__(self) -> str:
        """Say it in one line."""
        relation = "at most" if self.at_most else "at least"
        return f"{self.what}: {self.found:.4g} ({relation} {self.bound:.4g}; goal {self.goal:.4g})"


def gates(rows: Rows) -> list[Gate]:
    """Return every gate whose figures were measured."""
    return [*_changes(rows), *_twins(rows), *_memory(rows), *_whole(rows)]


def _changes(rows: Rows) -> Iterator[Gate]:
    """One change is cheap, whatever the size of the cluster; nothing is cheaper."""
    sizes = rows.sizes(cases.TASK, COMPILED)
    for size in sizes:
        change, nothing, cold = (_row(rows, what, size) for what in (cases.TASK, cases.NOTHING, cases.COLD))
        if size.apps >= BIG:
            yield _at_most(f"one task changed over cold, {size}", change.median / cold.smallest, 1 / 200, 1 / 200)
        yield _at_most(f"nothing changed over one task changed, {size}", nothing.median / change.median, 0.8, 0.5)
        yield _at_most(
            f"fragments made for one change, {size}", _row(rows, cases.FRAGMENTS, size).median, MOST_FRAGMENTS, 1
        )
        yield _at_most(f"documents joined for nothing, {size}", _row(rows, cases.JOINS, size).median, 0, 0)
    for row in rows.every:
        if row.what == GROWTH:
            yield _at_most(f"{row.what}, {row.size}, {row.who}", row.median, 1.5, 1.2)


def _twins(rows: Rows) -> Iterator[Gate]:
    """Compiling is worth it."""
    for size in rows.sizes(cases.COLD, PURE):
        pure, compiled = (
            sum(_row(rows, what, size, who).smallest for what in (cases.MODEL, cases.RENDER))
            for who in (PURE, COMPILED)
        )
        yield _at_least(f"pure over compiled, cold model and texts, {size}", pure / compiled, 1.8, 4)
    for what, (bound, goal) in KERNEL_BOUNDS.items():
        if slow := rows.find(what, "kernel", PURE):
            ratio = slow.smallest / _row(rows, what, "kernel").smallest
            yield _at_least(f"pure over compiled, {what}", ratio, bound, goal)


def _memory(rows: Rows) -> Iterator[Gate]:
    """Memory is bounded, and does not grow with what happens."""
    for size, most_mb in MEMORY_MB.items():
        if row := rows.find(churn.FIRST, size, COMPILED):
            yield _at_most(f"MB after the first decision, {size}", row.median, most_mb, most_mb)
        if row := rows.find(churn.TOUCHED, size, COMPILED):
            yield _at_most(f"MB after each app has changed, {size}", row.median, most_mb, most_mb)
    for who in (COMPILED, PURE):
        curve = [row.median for row in rows.every if row.what == churn.AFTER and row.who == who]
        if len(curve) > 1:
            yield _at_most(
                f"growth over the last half of the changes, {who}", curve[-1] / curve[len(curve) // 2], 1.03, 1
            )


def _whole(rows: Rows) -> Iterator[Gate]:
    """What can be counted of the whole program."""
    counts = {
        "requests for single apps per task event": 1,
        "requests for everything per task event": 0,
        "failed requests": 0,
        bad_apps.OTHERS: 0,
        bad_apps.VALIDATIONS: 6,
    }
    for row in rows.every:
        if row.who == "fastlb" and row.what in counts:
            yield _at_most(f"{row.what}, {row.size}", row.largest, counts[row.what], counts[row.what])
        if row.what == "memory of controller" and row.who == "fastlb" and row.size in CONTROLLER_MB:
            bound_mb, goal_mb = CONTROLLER_MB[row.size]
            yield _at_most(f"MB of the controller in the end, {row.size}", row.median, bound_mb, goal_mb)
        if row.what == "bytes received per task event":
            most_bytes = APP_BYTES + Size.parse(row.size).tasks * TASK_BYTES
            yield _at_most(f"{row.what}, {row.size}", row.largest, most_bytes, most_bytes)
        if row.what == bad_apps.LEFT_OUT:
            yield _at_least(f"{row.what}, {row.size}", row.median, len(bad_apps.BAD_APPS), len(bad_apps.BAD_APPS))
        if row.who == "marathon-lb" and row.what == COLD_BESIDE:
            ratio = row.smallest / _row(rows, COLD_BESIDE, row.size, "fastlb").smallest
            yield _at_least(f"marathon-lb over fastlb, {row.what}, {row.size}", ratio, 8, 15)


def _row(rows: Rows, what: str, size: object, who: str = COMPILED) -> Row:
    row = rows.find(what, size, who)
    if row is None:
        raise LookupError(f"{what} of {size} by {who} was not measured")
    return row


def _at_most(what: str, found: float, bound: float, goal: float) -> Gate:
    return Gate(what, found, True, bound, goal)


def _at_least(what: str, found: float, bound: float, goal: float) -> Gate:
    return Gate(what, found, False, bound, goal)
