"""Many things of one kind as few lines: what is routine is said at once after a quiet time, else once an interval.

    add(counts, names) --> due_s --> take() --> one line about all of it, and the numbers of the line

So a quiet cluster has a line for each change as it happens, and one in which thousands change a minute has no more
lines than there are intervals. Mutable, without clock or log: whoever adds says when, and writes the line.
"""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

INTERVAL_S = 60.0
SHOWN_NAMES = 5
MOST_NAMES = 10_000


class Said(NamedTuple):
    """One line, and its numbers for whoever reads logs by machine."""

    text: str
    fields: dict[str, Any]


class Digest:
    """What is said of one kind of thing. ``title`` begins the line; times are monotonic."""

    def __init__(self, title: str, interval_s: float = INTERVAL_S) -> None:
        self._title = title
        self._interval_s = interval_s
        self._next_s = -inf
        self._clear()

    def _clear(self) -> None:
        self._since_s: float | None = None
        self._additions = 0
        self._counts: Counter[str] = Counter()
        self._names: dict[str, None] = {}
        self._slowest_s: float | None = None

    @property
    def due_s(self) -> float:
        """Return when `take` has something to say; infinity if there is nothing."""
        return inf if self._since_s is None else max(self._since_s, self._next_s)

    def add(
        self, now_s: float, counts: Mapping[str, int], names: Iterable[str] = (), after_event_s: float | None = None
    ) -> None:
        """Add what happened: so many of what, to whom, and how long after the event that led to it."""
        self._since_s = now_s if self._since_s is None else self._since_s
        self._additions += 1
        self._counts.update(counts)
        if len(self._names) < MOST_NAMES:
            self._names |= dict.fromkeys(names)
        if after_event_s is not None:
            self._slowest_s = max(after_event_s, self._slowest_s or 0.0)

    def take(self, now_s: float) -> Said | None:
        """Return the line about all that was added since the last one, if it is time for one."""
        if self._since_s is None or now_s < self.due_s:
            return None
        counts = ", ".join(f"{count} {what}" for what, count in self._counts.items() if count)
        fields: dict[str, Any] = {"changes": self._additions, "counts": dict(self._counts), "names": len(self._names)}
        if self._slowest_s is not None:
            fields["slowest_after_event_s"] = round(self._slowest_s, 4)
        text = f"{self._title}: {counts or 'nothing that is counted'}; {self._whom()}{self._when(now_s)}"
        self._clear()
        self._next_s = now_s + self._interval_s
        return Said(text, fields)

    def _whom(self) -> str:
        shown = list(self._names)[:SHOWN_NAMES]
        more = len(self._names) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")

    def _when(self, now_s: float) -> str:
        slowest = "" if self._slowest_s is None else f"{self._slowest_s:.3f} s after the event"
        if self._additions == 1:
            return f" ({slowest})" if slowest else ""
        assert self._since_s is not None
        within = f"{self._additions} changes in {now_s - self._since_s:.0f} s"
        return f" ({within}, at most {slowest})" if slowest else f" ({within})"
