"""The figures as one picture: bars beside each other, cost against the size of the cluster, memory over changes.

The only module that needs matplotlib. A panel whose figures were not measured is left out.
"""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks import cases, churn
from benchmarks.changes import CHANGES
from benchmarks.cold import COLD_BESIDE
from benchmarks.kernels import COMPILED, PURE
from benchmarks.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.figures import Rows, Size

TINY_MS = 0.001
COLUMNS, PANEL_INCHES = 2, (6.4, 4.4)
COLOURS = {COMPILED: "#1f5fa8", PURE: "#9dbfe3", "fastlb": "#1f5fa8", "marathon-lb": "#d9822b"}
SERIES = ("#5b9bd5", "#1f5fa8", "#d9822b", "#3a8f5c", "#8a4f9e", "#7f7f7f", "#b8a12e", "#c44e52")
COSTS = (cases.COLD, cases.RESYNC, cases.TEN, cases.MAP, cases.TASK, cases.NOTHING)
LINES = (cases.COLD, cases.RESYNC, cases.TASK, cases.NOTHING)
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "fastlb",
}


def plot(rows: Rows, about: dict[str, Any], size: Size, path: Path) -> None:
    """Draw every panel there are figures for, to a file whose ending says the format."""
    drawers = [
        each
        for each in (_costs, _growth, _ratios, _traffic, _stages, _beside, _memory, _processes)
        if each(rows, size, None)
    ]
    with mpl.rc_context(STYLE):
        lines = ceil(len(drawers) / COLUMNS)
        figure = Figure(figsize=(COLUMNS * PANEL_INCHES[0], lines * PANEL_INCHES[1] + 0.5), layout="constrained")
        for place, draw in enumerate(drawers, start=1):
            draw(rows, size, figure.add_subplot(lines, COLUMNS, place))
        words = (f"{about['processor']}, {about['processors']} processors", f"Python {about['Python']}")
        figure.suptitle(", ".join((*words, f"HAProxy {about['HAProxy']}", f"fastlb {about['fastlb']}")), fontsize=8)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)


def _costs(rows: Rows, size: Size, axes: Axes | None) -> bool:
    """What a change costs beside a cold run, for both twins."""
    values = {who: [_median(rows, what, size, who) for what in COSTS] for who in (COMPILED, PURE)}
    if axes and any(values[COMPILED]):
        axes.set_title(f"From Marathon's bytes to the plan, {size} (less is better)")
        _bars(axes, COSTS, values, _milliseconds)
        axes.set_xlabel("processor time, log scale")
    return any(values[COMPILED])


def _growth(rows: Rows, _size: Size, axes: Axes | None) -> bool:
    """How costs grow with the cluster."""
    sizes = rows.sizes(cases.COLD, COMPILED)
    if axes and len(sizes) > 1:
        for what, colour in zip(LINES, SERIES[1:], strict=False):
            for who, dashes in ((COMPILED, "-"), (PURE, ":")):
                values = [_median(rows, what, each, who) for each in sizes]
                axes.plot(
                    [each.apps for each in sizes],
                    values,
                    dashes,
                    marker="o",
                    ms=4,
                    color=colour,
                    label=f"{what}, {who}",
                )
        axes.set_title("Cost against the size of the cluster")
        axes.set(xscale="log", yscale="log", xlabel="apps, log scale", ylabel="processor time, log scale")
        axes.set_xticks([each.apps for each in sizes], [f"{each.apps:,}" for each in sizes], minor=False)
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _milliseconds(value)))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    return len(sizes) > 1


def _ratios(rows: Rows, _size: Size, axes: Axes | None) -> bool:
    """How much faster the compiled functions are."""
    pure = {row.what: row.smallest for row in rows.every if (row.size, row.who) == ("kernel", PURE)}
    compiled = {row.what: row.smallest for row in rows.every if (row.size, row.who) == ("kernel", COMPILED)}
    if axes and pure:
        values = {COMPILED: [pure[what] / compiled[what] for what in pure]}
        axes.set_title("Hot path: how many times faster than pure Python")
        _bars(axes, list(pure), values, lambda value: f"{value:.1f} x", log=False)
        axes.axvline(1, color="#7f7f7f", lw=0.8)
        axes.set_xlabel("processor time of the pure twin over the compiled one's")
    return bool(pure)


def _traffic(rows: Rows, size: Size, axes: Axes | None) -> bool:
    """From event to traffic, beside marathon-lb."""
    values = {
        who: [_median(rows, f"event to traffic, {name}", size, who) for name in CHANGES]
        for who in ("fastlb", "marathon-lb")
    }
    values = {who: each for who, each in values.items() if any(each)}
    if axes and values:
        axes.set_title(f"Event to traffic, {size}, median (less is better)")
        _bars(axes, list(CHANGES), values, _milliseconds)
        axes.set_xlabel("time from the event to the change in traffic, log scale")
    return bool(values)


def _stages(rows: Rows, size: Size, axes: Axes | None) -> bool:
    """Where that time goes in fastlb."""
    names = [name for name in CHANGES if rows.find(f"stage {STAGES[0]}, {name}", size, "fastlb")]
    if axes and names:
        taken = {name: [_median(rows, f"stage {stage}, {name}", size, "fastlb") for stage in STAGES] for name in names}
        wholes = [max(sum(taken[name]), TINY_MS) for name in names]
        starts = [0.0] * len(names)
        for place, (stage, colour) in enumerate(zip(STAGES, SERIES, strict=True)):
            shares = [100 * taken[name][place] / whole for name, whole in zip(names, wholes, strict=True)]
            axes.barh(names, shares, left=starts, color=colour, label=stage, height=0.6)
            starts = [start + share for start, share in zip(starts, shares, strict=True)]
        for place, whole in enumerate(wholes):
            axes.text(102, place, _milliseconds(whole), va="center", fontsize=7)
        axes.invert_yaxis()
        axes.set_xlim(0, 115)
        axes.set_xticks(range(0, 101, 25), [f"{share} %" for share in range(0, 101, 25)])
        axes.set_title(f"Where fastlb's time goes, {size}, medians")
        axes.set_xlabel("share of the sum, which is at the end")
        axes.legend(fontsize=7, ncols=4, loc="upper center", bbox_to_anchor=(0.4, -0.14))
    return bool(names)


def _beside(rows: Rows, size: Size, axes: Axes | None) -> bool:
    """The cold path beside marathon-lb."""
    found = {row.who: row.smallest for row in rows.every if (row.what, row.size) == (COLD_BESIDE, str(size))}
    if axes and found:
        bars = axes.barh(list(found), list(found.values()), color=[COLOURS[who] for who in found], height=0.5)
        axes.bar_label(bars, [_milliseconds(value) for value in found.values()], padding=3)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_title(f"Answer to configuration and maps, cold, {size}, best")
        axes.set_xlabel("milliseconds")
    return bool(found)


def _memory(rows: Rows, _size: Size, axes: Axes | None) -> bool:
    """Memory over random changes."""
    curves = {who: [row for row in rows.every if (row.what, row.who) == (churn.AFTER, who)] for who in (COMPILED, PURE)}
    if axes and any(curves.values()):
        for who, points in curves.items():
            size = points[0].size.partition(",")[0] if points else ""
            changes = [int(row.size.split(", ")[1].split()[0]) for row in points]
            axes.plot(changes, [row.median for row in points], color=COLOURS[who], label=f"{size}, {who}")
        axes.set_ylim(0, 1.3 * max(row.median for points in curves.values() for row in points))
        axes.set_title("Memory over random changes, without the hands")
        axes.set_xlabel("changes")
        axes.set_ylabel("resident memory, MB")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.grid(alpha=0.3)
        axes.legend()
    return any(curves.values())


def _processes(rows: Rows, size: Size, axes: Axes | None) -> bool:
    """Memory of each process of the whole."""
    parts = ("supervisor", "controller", "HAProxy, master and workers")
    values: dict[str, list[float]] = {}
    for who in ("fastlb", "marathon-lb"):
        found = [_median(rows, f"memory of {part}", size, who) for part in parts]
        values |= {who: found} if any(found) else {}
    if axes and values:
        axes.set_title(f"Memory of the processes, {size}, in the end")
        _bars(axes, parts, values, lambda value: f"{value:.0f} MB" if value else "", log=False)
        axes.set_xlabel("resident memory, MB")
    return bool(values)


PANELS = (_costs, _growth, _ratios, _traffic, _stages, _beside, _memory, _processes)


def _bars(
    axes: Axes, names: Sequence[str], values: dict[str, list[float]], text: Callable[[float], str], *, log: bool = True
) -> None:
    """Draw horizontal bars beside each other, the value at the end of each."""
    height = 0.8 / len(values)
    for place, (who, each) in enumerate(values.items()):
        heights = [position + (place - (len(values) - 1) / 2) * height for position in range(len(names))]
        bars = axes.barh(heights, each, height * 0.9, color=COLOURS[who], label=who, log=log)
        axes.bar_label(bars, [text(value) for value in each], padding=2, fontsize=7)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.18)
    if log:
        every = [value for each in values.values() for value in each if value > 0]
        axes.set_xlim(10 ** floor(log10(min(every)) - 0.01), max(every) * 6)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _milliseconds(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if len(values) > 1:
        axes.legend(fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.13))


def _median(rows: Rows, what: str, size: Size, who: str) -> float:
    """Return the median of a row; 0 if it was not measured."""
    row = rows.find(what, size, who)
    return row.median if row else 0.0


def _milliseconds(value: float) -> str:
    """Write milliseconds in the unit that suits them."""
    if value >= 1000:
        return f"{value / 1000:.3g} s"
    return f"{value:.3g} ms" if value >= 1 else f"{value * 1000:.3g} µs"
