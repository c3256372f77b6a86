"""When what is read from Marathon: after a quiet time, at a resync, again after a failure.

    events --mark--> (quiet time) --take--> a Reading --> answered, or failed --> (pause) --take--> ...

Pure and mutable, without clock or I/O; all times are handed in as monotonic seconds. It must not know how something is
read. Single apps and everything are read and fail apart from each other: what cannot be read is tried again after a
pause that grows, and holds up nothing else, unless Marathon answers for nobody.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, NamedTuple

from fastlb.marks import Marks, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from fastlb.events import Mark

    CannotMatter = Callable[[str], bool]

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Pause(NamedTuple):
    """When to try again, and how long to wait then if that fails."""

    until_s: float = 0.0
    next_s: float = FIRST_PAUSE_S

    def longer(self, now_s: float) -> Pause:
        """Return the pause after a failure."""
        return Pause(now_s + self.next_s, min(2 * self.next_s, LONGEST_PAUSE_S))


class Mirroring:
    """What is marked, what fails, and when each is due.

    ``settle_s``: the quiet time after an event; ``settle_max_s``: the longest wait for it.
    """

    def __init__(self, settle_s: float, settle_max_s: float) -> None:
        self._settle_s = settle_s
        self._settle_max_s = settle_max_s
        self._marks = Marks()
        self._marked: set[str] = set()
        self._marked_at_s: float | None = None
        self._marked_due_s = inf
        self._failing: dict[str, Pause] = {}
        self._held = Pause()
        self._answers = False
        self._everything_due_s = inf
        self._everything_paused = Pause()
        self._told: set[str] = set()
        self._repairing = False

    def note(self, mark: Mark, at_s: float, cannot_matter: CannotMatter) -> bool:
        """Note what an event asks for that came at ``at_s``; return whether anything has to be read."""
        asked = self._marks.asked_by(mark, cannot_matter)
        if not (asked.everything or asked.app_ids):
            return False
        self._told |= asked.app_ids
        self._mark(asked.app_ids, at_s)
        if asked.everything:
            self._repairing = False
            self.want_everything(max(self._settled_s(at_s), self._everything_paused.until_s), at_s)
        return True

    def resync(self, now_s: float, *, repairs: bool) -> None:
        """Have everything read now, and if that fails after a short pause again; ``repairs``: changes that it finds are
        such that no event told of.
        """
        self._repairing = repairs and self._everything_due_s == inf
        self._everything_due_s, self._everything_paused = now_s, Pause()

    def want_everything(self, due_s: float, marked_at_s: float | None = None) -> None:
        """Have everything read at ``due_s``, because of what was marked at ``marked_at_s``."""
        self._everything_due_s = min(due_s, self._everything_due_s)
        if marked_at_s is not None:
            self._marked_at_s = min(marked_at_s, self._marked_at_s or marked_at_s)

    def due_s(self, *, single: bool) -> float:
        """Return when `take` has something, infinity for never; ``single``: whether apps may be read alone."""
        return min(self._everything_due_s, self._single_due_s()) if single else self._everything_due_s

    def take(self, now_s: float, *, single: bool) -> Reading | None:
        """Return what to read now, if anything; it counts as being read until it has been answered or has failed."""
        if self.due_s(single=single) > now_s:
            return None
        reading = self._everything() if self._everything_due_s <= now_s else self._single(now_s)
        self._marks.begin(reading)
        return reading

    def answered(self, app_ids: Collection[str], now_s: float, cannot_matter: CannotMatter) -> None:
        """Note that Marathon answered about these apps."""
        self._answers, self._held = True, Pause()
        for app_id in app_ids:
            self._failing.pop(app_id, None)
            self._told.discard(app_id)
        self._mark(self._marks.reconsider(app_ids, cannot_matter), now_s)

    def answered_everything(self, changed: frozenset[str], now_s: float, cannot_matter: CannotMatter) -> frozenset[str]:
        """Note that Marathon answered about everything; return those of the changed apps that no event told of."""
        self._answers, self._held, self._everything_paused = True, Pause(), Pause()
        missed = changed - self._told if self._repairing else frozenset()
        self._repairing, self._told = False, set(self._marked)
        self._mark(self._marks.reconsider(None, cannot_matter), now_s)
        return missed

    def failed(self, reading: Reading, now_s: float) -> None:
        """Note that this could not be read; it is due again after a pause."""
        if reading.everything:
            self._everything_paused = self._everything_paused.longer(now_s)
            self._everything_due_s = self._everything_paused.until_s
        elif not (self._answers or reading.app_ids <= self._failing.keys()):
            self._held = self._held.longer(now_s)
        self._answers = False
        for app_id in reading.app_ids:
            self._failing[app_id] = self._failing.get(app_id, Pause()).longer(now_s)

    def _mark(self, app_ids: Collection[str], at_s: float) -> None:
        if app_ids:
            self._marked.update(app_ids)
            self._marked_at_s = at_s if self._marked_at_s is None else self._marked_at_s
            self._marked_due_s = self._settled_s(at_s)

    def _settled_s(self, at_s: float) -> float:
        first_s = at_s if self._marked_at_s is None else self._marked_at_s
        return min(at_s + self._settle_s, first_s + self._settle_max_s)

    def _single_due_s(self) -> float:
        due_s = min((pause.until_s for pause in self._failing.values()), default=inf)
        return max(min(due_s, self._marked_due_s), self._held.until_s)

    def _everything(self) -> Reading:
        reading = Reading(True, frozenset(self._marked | self._failing.keys()), self._marked_at_s)
        self._failing.clear()
        self._everything_due_s = inf
        self._forget_marked()
        return reading

    def _single(self, now_s: float) -> Reading:
        again = {app_id for app_id, pause in self._failing.items() if pause.until_s <= now_s}
        if self._marked_due_s > now_s:
            reading = Reading(False, frozenset(again))
        else:
            reading = Reading(False, frozenset(self._marked | again), self._marked_at_s)
            self._forget_marked()
        for app_id in reading.app_ids & self._failing.keys():
            self._failing[app_id] = self._failing[app_id]._replace(until_s=inf)
        return reading

    def _forget_marked(self) -> None:
        self._marked, self._marked_at_s, self._marked_due_s = set(), None, inf
