"""What Marathon last said: every app, in Marathon's order, and what is known about its tasks' health.

Mutable, but without clock or I/O: the time comes with each answer. An answer is the truth unless it cannot be read or
cannot be believed:

- one app that cannot be read keeps its last good form, alone;
- an answer without any app, after there were several, is held back for a grace period: Marathon answers that by
  accident while it starts (COMPAT.md quirk 34 asks for no second fetch, operators ask for no outage);
- health results that Marathon has forgotten (a change of its leader) are remembered (MARATHON.md 3.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb.errors import AppError, bug
from fastlb.model import App, Note
from fastlb.reading import app_id_of, read_app

if TYPE_CHECKING:
    from collections.abc import Sequence


class Taken(NamedTuple):
    """What became of one full answer: apps whose value changed, notes, and how long an empty one is held back yet.

    ``held_back_s`` is None for an answer that was taken.
    """

    changed: frozenset[str]
    notes: tuple[Note, ...]
    held_back_s: float | None


class Store:
    """The apps of the cluster.

    ``empty_grace_s``: how long a sudden answer without apps is not believed. ``expects_apps``: HAProxy was left routing
    to some by an earlier run, so that even a first answer without any is sudden.
    """

    def __init__(self, empty_grace_s: float, *, expects_apps: bool = False) -> None:
        self._empty_grace_s = empty_grace_s
        self._expects_apps = expects_apps
        self._empty_since_s: float | None = None
        self._apps: dict[str, App] = {}
        self._verdicts: dict[str, bool] = {}

    @property
    def apps(self) -> tuple[App, ...]:
        """Return every app, in the order of Marathon's last answer."""
        return tuple(self._apps.values())

    @property
    def known_alive(self) -> frozenset[str]:
        """Return the ids of the tasks whose last health verdict was good."""
        return frozenset(task_id for task_id, alive in self._verdicts.items() if alive)

    def take(self, documents: Sequence[Any], now_s: float) -> Taken:
        """Replace everything by a full answer of Marathon, the elements of its ``apps``, at ``now_s`` (monotonic)."""
        held_back_s = self._disbelief(documents, now_s)
        if held_back_s is not None:
            return Taken(frozenset(), (), held_back_s)
        apps: dict[str, App] = {}
        notes: list[Note] = []
        for document in documents:
            try:
                app = read_app(document)
            except AppError as error:
                self._keep_last_form(document, str(error), apps, notes)
                continue
            except Exception as error:  # noqa: BLE001 - one app must never cost the others anything
                self._keep_last_form(document, bug(error), apps, notes)
                continue
            known = self._apps.get(app.id)
            apps[app.id] = known if known == app and known is not None else app
        present = apps.keys() | self._apps.keys()
        changed = frozenset(app_id for app_id in present if apps.get(app_id) is not self._apps.get(app_id))
        self._apps = apps
        self._remember_health()
        return Taken(changed, tuple(notes), None)

    def _disbelief(self, documents: Sequence[Any], now_s: float) -> float | None:
        """Return for how many more seconds an empty answer is held back; None if the answer is to be believed."""
        if documents or (len(self._apps) < 2 and not self._expects_apps):
            self._empty_since_s, self._expects_apps = None, False
            return None
        if self._empty_since_s is None:
            self._empty_since_s = now_s
        left = self._empty_since_s + self._empty_grace_s - now_s
        return left if left > 0 else None

    def _keep_last_form(self, document: object, problem: str, apps: dict[str, App], notes: list[Note]) -> None:
        app_id = app_id_of(document)
        known = self._apps.get(app_id) if app_id else None
        if known is None:
            notes.append(Note(app_id or "without id", problem, mistake=True))
            return
        apps[known.id] = known
        notes.append(Note(known.id, f"{problem}; its last good form stays", left_out=False))

    def _remember_health(self) -> None:
        """Keep the last verdict of each task that is still there, so that the memory is bounded by the cluster."""
        before = self._verdicts
        self._verdicts = {}
        for app in self._apps.values():
            for task in app.tasks if app.health_checks else ():
                verdict = before.get(task.id) if task.alive is None else task.alive
                if verdict is not None:
                    self._verdicts[task.id] = verdict
