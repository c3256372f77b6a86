"""How much of what is routed may go within a short time before it is an accident rather than a wish.

    sizes, as answers would make them --judge--> believed, or held back for so many seconds

Mutable, but without clock or I/O: the time comes with each question. It sees sizes only; what is kept of an answer that
is held back is for `store`. Sizes are compared with the largest of the last minute, so that neither one full answer nor
a flood of single ones can empty HAProxy at once, while what comes back in time (a rolling upgrade) never counts.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fastlb.model import App

WINDOW_S = 60.0
"""Within so long what goes is added up."""


class Size(NamedTuple):
    """How many apps that are wanted have a task, and how many tasks they have."""

    apps: int
    tasks: int


class Sizes:
    """How many tasks each app has, kept up to date app by app; ``weigh`` says how many of one app's count."""

    def __init__(self, weigh: Callable[[App], int]) -> None:
        self._weigh = weigh
        self._tasks: dict[str, int] = {}
        self.size = Size(0, 0)

    def after(self, changes: Mapping[str, App | None]) -> Size:
        """Return the size that these changes would lead to; None stands for an app that is gone."""
        return self._sum(changes, {app_id: self._of(app) for app_id, app in changes.items()})

    def put(self, changes: Mapping[str, App | None]) -> None:
        """Take over changes."""
        tasks = {app_id: self._of(app) for app_id, app in changes.items()}
        self.size = self._sum(changes, tasks)
        self._tasks |= tasks
        for app_id in (app_id for app_id, count in tasks.items() if not count):
            del self._tasks[app_id]

    def _of(self, app: App | None) -> int:
        return 0 if app is None else self._weigh(app)

    def _sum(self, app_ids: Iterable[str], tasks: Mapping[str, int]) -> Size:
        before = [self._tasks.get(app_id, 0) for app_id in app_ids]
        apps = sum(map(bool, tasks.values())) - sum(map(bool, before))
        return Size(self.size.apps + apps, self.size.tasks + sum(tasks.values()) - sum(before))


class ShrinkGuard:
    """Holds back what would remove too much.

    Args:
        share: of the apps or of the tasks, more than which is not believed at once; 1 turns the guard off.
        least: fewer apps (or tasks) than that are not protected.
        grace_s: after so long it is believed.

    """

    def __init__(self, share: float, least: int, grace_s: float) -> None:
        self._share = share
        self._least = least
        self._grace_s = grace_s
        self._largest: deque[tuple[float, Size]] = deque()
        self._held_since_s: float | None = None
        self._released = False

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return self._held_since_s is not None

    def release(self) -> None:
        """Believe the next full answer (an operator says that it is meant)."""
        self._released = self.holds

    def judge(self, before: Size, after: Size, now_s: float, *, single: bool = False) -> float | None:
        """Return for how many more seconds a change from ``before`` to ``after`` is held back; None to believe it.

        ``single``: by answers about single apps, of which tasks may go as they like; what an operator says, or time
        that has passed, counts for full answers only.
        """
        self._note(before, now_s)
        if not self._is_too_much(after, single=single):
            return None
        since_s = now_s if self._held_since_s is None else self._held_since_s
        left_s = since_s + self._grace_s - now_s
        if not single and (self._released or left_s <= 0):
            self.end()
            self._largest.clear()
            return None
        self._held_since_s = since_s
        return max(0.0, left_s)

    def end(self) -> None:
        """Take note that nothing is held back any more: Marathon names it all again, or what went was believed."""
        self._held_since_s, self._released = None, False

    def _note(self, size: Size, now_s: float) -> None:
        """Remember the largest size of each second; while something is held back, what it is compared with stays."""
        while self._largest and not self.holds and self._largest[0][0] <= now_s - WINDOW_S:
            self._largest.popleft()
        if self._largest and now_s < self._largest[-1][0] + 1.0:
            at_s, other = self._largest.pop()
            self._largest.append((at_s, Size(*map(max, other, size))))
        else:
            self._largest.append((now_s, size))

    def _is_too_much(self, after: Size, *, single: bool) -> bool:
        apps = max(size.apps for _, size in self._largest)
        tasks = max(size.tasks for _, size in self._largest)
        return self._exceeds(apps, after.apps) or (not single and self._exceeds(tasks, after.tasks))

    def _exceeds(self, largest: int, left: int) -> bool:
        return largest >= self._least and largest - left > self._share * largest
