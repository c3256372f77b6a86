"""Two plots as inline SVG: how long changes took, how many old workers there were and when HAProxy was reloaded.

    series of `state` --> places in a box of 480 by 150 --> SVG, coloured by the page's style sheet

Pure. Every text in them is ours or made harmless here; sizes are bounded by those of the series.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup, escape

from fastlb.explain_text import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

WIDTH, HEIGHT = 480, 150
LEFT, RIGHT, TOP, BOTTOM = 54, 8, 8, 22
MOST_DOTS = 80
DECADES = ((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s"), (100.0, "100 s"))
LEAST_TOP_S = 1.0
SPANS_MIN = (5, 15, 60)
"""What a plot over time shows: the shortest of them in which all fits that has happened, or the longest."""
LEAST_WORKERS = 4


class Scale(NamedTuple):
    """From values between ``low`` and ``high`` to places between ``start`` and ``end``; others go to the nearest."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Return the place of a value."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def latency_plot(latencies: Sequence[tuple[float, float, str]]) -> Markup:
    """Return a dot for each of the last changes, the oldest left; seconds on a logarithmic scale."""
    shown = latencies[-MOST_DOTS:]
    top_s = max([LEAST_TOP_S, *(seconds for _, seconds, _ in shown)])
    top_s = next((each for each, _ in DECADES if each >= top_s), DECADES[-1][0])
    scale = Scale(math.log10(DECADES[0][0]), math.log10(top_s), HEIGHT - BOTTOM, TOP)
    lines = [(scale.at(math.log10(seconds)), text) for seconds, text in DECADES if seconds <= top_s]
    x = Scale(0, max(len(shown) - 1, 20), LEFT + 8, WIDTH - RIGHT - 6)
    dots = [
        _dot(x.at(place), scale.at(math.log10(max(seconds, 1e-9))), at_s, seconds, how)
        for place, (at_s, seconds, how) in enumerate(shown)
    ]
    label = f"How long the last {len(shown)} changes took from event to traffic"
    return _svg(label, [*_grid(lines), _text(LEFT, HEIGHT - 6, "older"), *dots, _right("newest")])


def workers_plot(
    samples: Sequence[tuple[float, int]], reloads: Sequence[Mapping[str, Any]], now_s: float, running_s: float
) -> Markup:
    """Return the number of old workers as steps, during the last hour at most, with a mark for each reload."""
    minutes = next((each for each in SPANS_MIN if running_s <= each * 60), SPANS_MIN[-1])
    since_s = now_s - minutes * 60
    x = Scale(since_s, now_s, LEFT, WIDTH - RIGHT)
    most = max([LEAST_WORKERS, *(workers for at_s, workers in _held(samples, since_s, now_s))])
    y = Scale(0, most, HEIGHT - BOTTOM - 8, TOP + 4)
    lines = [(y.at(number), str(number)) for number in sorted({0, most // 2, most})]
    ticks = [_text(LEFT, HEIGHT - 6, f"{minutes} min ago"), _right("now")]
    marks = [_mark(x.at(reload["at_s"]), reload) for reload in reloads if reload["at_s"] >= since_s]
    steps = _steps(list(_held(samples, since_s, now_s)), x, y)
    return _svg(f"Old workers and reloads during the last {minutes} minutes", [*_grid(lines), *steps, *ticks, *marks])


def _held(samples: Iterable[tuple[float, int]], since_s: float, now_s: float) -> Iterator[tuple[float, int]]:
    """Yield the samples of a time, with what held at its beginning and holds at its end."""
    held = 0
    inside = []
    for at_s, workers in samples:
        if at_s <= since_s:
            held = workers
        else:
            inside.append((at_s, workers))
    yield since_s, held
    yield from inside
    yield now_s, inside[-1][1] if inside else held


def _steps(samples: Sequence[tuple[float, int]], x: Scale, y: Scale) -> list[Markup]:
    path = f"M{x.at(samples[0][0])} {y.at(samples[0][1])}"
    for at_s, workers in samples[1:]:
        path += f"H{x.at(at_s)}V{y.at(workers)}"
    area = f"{path}V{y.at(0)}H{x.at(samples[0][0])}Z"
    return [Markup('<path class="area" d="{}"/><path class="line" d="{}"/>').format(area, path)]


def _dot(x: float, y: float, at_s: float, seconds: float, how: str) -> Markup:
    said = f"{_clock(at_s)}: {how}, {seconds * 1000:.0f} ms"
    if how == "live":
        return Markup('<circle class="live" cx="{}" cy="{}" r="3"><title>{}</title></circle>').format(x, y, said)
    shape = f"M{x} {y - 4.5}l4.5 4.5l-4.5 4.5l-4.5-4.5z"
    return Markup('<path class="reload" d="{}"><title>{}</title></path>').format(shape, said)


def _mark(x: float, reload: Mapping[str, Any]) -> Markup:
    outcome = "reload" if reload["ok"] else "reload failed"
    said = harmless(f"{_clock(reload['at_s'])}: {outcome}: {'; '.join(reload['reasons'])}")
    kind = "mark" if reload["ok"] else "mark failed"
    shape = f"M{x} {HEIGHT - BOTTOM - 8}v8"
    return Markup('<path class="{}" d="{}"><title>{}</title></path>').format(kind, shape, said)


def _grid(lines: Iterable[tuple[float, str]]) -> Iterator[Markup]:
    for y, text in lines:
        yield Markup('<path class="grid" d="M{} {}H{}"/>').format(LEFT, y, WIDTH - RIGHT)
        yield _text(LEFT - 6, y + 4, text, "end")


def _right(text: str) -> Markup:
    return _text(WIDTH - RIGHT, HEIGHT - 6, text, "end")


def _text(x: float, y: float, text: str, anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, round(y, 1), anchor, text)


def _svg(label: str, parts: Iterable[Markup]) -> Markup:
    opening = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(WIDTH, HEIGHT, escape(label))
    return opening + Markup("").join(parts) + Markup("</svg>")


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%H:%M:%S")
