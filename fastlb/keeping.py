"""What is kept of apps and tasks that are missing all at once in what Marathon answers.

    known apps, changes --ShrinkGuard--> changes as they are, or with what is missing put back

Mutable, but without clock or I/O. What is missing is put back into the newest form of its app, so that all else that an
answer says is followed. A task that Marathon still names, in whatever state, is not missing: then it is known what
became of it. A place that somebody else's task has taken by now is given up, or his requests would go astray.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastlb.shrink import Sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from fastlb.model import App, Task
    from fastlb.shrink import ShrinkGuard

    Changes = Mapping[str, App | None]


class Followed(NamedTuple):
    """The changes to follow; ``kept_s``: for how many more seconds something missing is kept, None if nothing is."""

    changes: dict[str, App | None]
    kept_s: float | None = None


class Keeping:
    """Decides what of each answer is followed; ``weigh`` says how many tasks of an app count, 0 if it is not wanted."""

    def __init__(self, guard: ShrinkGuard, weigh: Callable[[App], int]) -> None:
        self._guard = guard
        self._weigh = weigh
        self._sizes = Sizes(weigh)
        self.app_ids: frozenset[str] = frozenset()
        """Apps that are kept, entirely or some of their tasks."""

    def release(self) -> None:
        """Follow the next full answer in everything."""
        self._guard.release()

    def follow_all(
        self, known: Mapping[str, App], changes: Changes, now_s: float, *, believed: bool = False
    ) -> Followed:
        """Return what to follow of a full answer; None in ``changes`` stands for an app that is not named.

        ``believed``: whether it is clear already that all of it is to be followed.
        """
        judged = None if believed else self._guard.judge(self._sizes.size, self._sizes.after(changes), now_s)
        kept = {} if judged is None else self._kept(known, changes, _taken_places({**known, **changes}))
        self.app_ids = frozenset(kept)
        if not kept:
            self._guard.end()
        return self._followed(known, changes, kept, judged)

    def follow_one(self, known: Mapping[str, App], app_id: str, app: App | None, now_s: float) -> Followed:
        """Return what to follow of an answer about one app."""
        change = {app_id: app} if app is not known.get(app_id) else {}
        judged = self._guard.judge(self._sizes.size, self._sizes.after(change), now_s, single=True)
        kept = {} if judged is None else self._kept(known, change, {})
        self.app_ids = self.app_ids | kept.keys() if kept else self.app_ids - {app_id}
        return self._followed(known, change, kept, judged)

    def _kept(self, known: Mapping[str, App], changes: Changes, taken: Mapping[object, str]) -> dict[str, App]:
        kept = {}
        for app_id, app in changes.items():
            before = known.get(app_id)
            if before is not None and self._weigh(before):
                missing = tuple(_missing(before, app, taken))
                if missing:
                    kept[app_id] = (app or before)._replace(tasks=(*(app.tasks if app else ()), *missing))
        return kept

    def _followed(
        self, known: Mapping[str, App], changes: Changes, kept: Mapping[str, App], kept_s: float | None
    ) -> Followed:
        followed = {**changes, **kept}
        self._sizes.put(followed)
        as_before = {app_id for app_id, app in kept.items() if app == known[app_id]}
        left = {app_id: app for app_id, app in followed.items() if app_id not in as_before}
        return Followed(left, kept_s if kept else None)


def _missing(before: App, now: App | None, taken: Mapping[object, str]) -> list[Task]:
    """Return the tasks that are named no more and whose places nobody else has."""
    named: Container[str] = {task.id for task in now.tasks} if now is not None else ()
    return [
        task
        for task in before.tasks
        if task.id not in named and all(taken.get(place, task.id) == task.id for place in _places(before, task))
    ]


def _taken_places(apps: Changes) -> dict[object, str]:
    return {
        place: task.id for app in apps.values() if app is not None for task in app.tasks for place in _places(app, task)
    }


def _places(app: App, task: Task) -> list[object]:
    """Return what nobody else can have while the task has it: its own address, or ports of its host."""
    if app.mode == "container":
        return [task.address] if task.address else []
    return [(task.host, port) for port in task.ports]
