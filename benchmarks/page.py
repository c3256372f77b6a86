"""The figures of a run as Markdown, written into a page below its heading: so README.md always shows one run, whole.

It picks the rows that people ask for; the table that is printed and the JSON have all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import cases, churn
from benchmarks.changes import CHANGES
from benchmarks.cold import COLD_BESIDE
from benchmarks.kernels import COMPILED, PURE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.figures import Row, Rows
    from benchmarks.gates import Gate

HEADING = "## Figures of a real run\n"
CASES = (
    *(cases.COLD, cases.PARSE, cases.MODEL, cases.RENDER, cases.RESYNC, cases.CHECKED),
    *(cases.TASK, cases.ONE_APP, cases.MAP, cases.TEN, cases.NOTHING, cases.AFTERWARDS, cases.FILES),
)
WHOLE = (
    "start to traffic",
    *(f"event to traffic, {name}" for name in CHANGES),
    COLD_BESIDE,
    *("memory of supervisor", "memory of controller", "memory of HAProxy, master and workers"),
    *("requests for single apps per task event", "bytes received per task event"),
    *("background requests", "failed requests"),
)


def write(path: Path, rows: Rows, about: dict[str, Any], gates: list[Gate], command: str, picture: str | None) -> None:
    """Replace what is below the heading of the page at ``path``. Raises ValueError if it has no such heading."""
    before, found, _ = path.read_text().partition(HEADING)
    if not found:
        raise ValueError(f"{path} has no line {HEADING.strip()!r} to write below")
    facts = [f"- {name}: {value}" for name, value in about.items()]
    parts = [
        [f"    {command}"],
        facts,
        [f"![the figures as a picture]({picture})"] if picture else [],
        *([f"### {title}", "", *lines] for title, lines in _tables(rows) if lines),
        ["### Gates", "", *(f"- {'holds' if gate.holds else '**fails**'}: {gate}" for gate in gates)],
    ]
    path.write_text(before + HEADING + "".join("\n" + "\n".join(lines) + "\n" for lines in parts if lines))


def _tables(rows: Rows) -> Iterable[tuple[str, list[str]]]:
    kernels = dict.fromkeys(row.what for row in rows.every if row.size == "kernel")
    yield "Hot path, one call, processor time", _by_who(rows, "kernel", kernels, (COMPILED, PURE))
    for size in rows.sizes(cases.COLD, COMPILED):
        yield f"Thinking half, {size}, processor time", _by_who(rows, str(size), CASES, (COMPILED, PURE))
    sizes = dict.fromkeys(row.size for row in rows.every if row.what == WHOLE[0])
    for each in sizes:
        yield f"Whole program, {each}", _by_who(rows, each, WHOLE, ("fastlb", "marathon-lb"))
    memory = [row for row in rows.every if row.what in {churn.FIRST, churn.TOUCHED, churn.PEAK}]
    last = {row.who: row for row in rows.every if row.what == churn.AFTER}
    yield (
        "Memory of the thinking half",
        [
            "| | size | twin | MB |",
            "| --- | --- | --- | ---: |",
            *(f"| {row.what} | {row.size} | {row.who} | {row.median:.0f} |" for row in (*memory, *last.values())),
        ],
    )


def _by_who(rows: Rows, size: str, names: Iterable[str], sides: tuple[str, str]) -> list[str]:
    """Return a table with the smallest, median and largest value of each side; nothing if nothing was measured."""
    lines = []
    for name in names:
        cells = [rows.find(name, size, who) for who in sides]
        unit = next((row.unit for row in cells if row), None)
        if unit is not None:
            lines.append(f"| {name} | {' | '.join(map(_cell, cells))} | {unit} |")
    heads = " | ".join(f"{who}: min / median / max" for who in sides)
    return [f"| | {heads} | |", "| --- | ---: | ---: | --- |", *lines] if lines else []


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    values = (row.median,) if row.times == 1 else (row.smallest, row.median, row.largest)
    return " / ".join(f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in values)
