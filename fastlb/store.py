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

from fastlb.deployment import GROUP
from fastlb.errors import AppError, bug
from fastlb.model import App, Note
from fastlb.reading import app_id_of, read_app

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet


class Taken(NamedTuple):
    """What became of an answer: apps whose value changed, and how long an empty one is held back yet.

    ``held_back_s`` is None for an answer that was taken. ``order_unknown``: the place of an app among
    the others matters and did not before (COMPAT.md 3.2, 3.5), which only a full answer tells.
    """

    changed: frozenset[str]
    held_back_s: float | None = None
    order_unknown: bool = False


class Changes(NamedTuple):
    """Ids of apps that changed, came or went, and whether the order of apps may be another one."""

    app_ids: frozenset[str]
    reordered: bool


class Store:
    """The apps of the cluster.

    ``empty_grace_s``: how long a sudden answer without apps is not believed. ``expects_apps``: HAProxy was left routing
    to some by an earlier run, so that even a first answer without any is sudden.
    """

    def __init__(self, empty_grace_s: float, *, expects_apps: bool = False) -> None:
        self._empty_grace_s = empty_grace_s
        self._expects_apps = expects_apps
        self._empty_since_s: float | None = None
        self.complete = False
        """Whether everything was read once; until then the apps are not the cluster."""
        self._apps: dict[str, App] = {}
        self._alive: set[str] = set()
        self._undecided: set[str] = set()
        self._order_undecided = False
        self._notes: dict[str, Note] = {}
        self._absent: set[str] = set()

    @property
    def notes(self) -> tuple[Note, ...]:
        """Return what is to be said about apps that could not be read."""
        return tuple(self._notes.values())

    def app(self, app_id: str) -> App | None:
        """Return one app."""
        return self._apps.get(app_id)

    def is_unreadable(self, app_id: str) -> bool:
        """Whether the last answer about this app could not be read, so that less is known of it than it seems."""
        return app_id in self._notes

    def is_absent(self, app_id: str) -> bool:
        """Whether Marathon answered, since the last full answer, that it has no app of this id (a pod, mostly)."""
        return app_id in self._absent

    @property
    def apps(self) -> tuple[App, ...]:
        """Return every app, in the order of Marathon's last answer."""
        return tuple(self._apps.values())

    @property
    def count(self) -> int:
        """Return how many apps there are."""
        return len(self._apps)

    @property
    def known_alive(self) -> AbstractSet[str]:
        """Return the ids of the tasks whose last health verdict was good; it changes with every answer."""
        return self._alive

    def take_changes(self) -> Changes:
        """Return which apps have changed since this was last asked."""
        changes = Changes(frozenset(self._undecided), self._order_undecided)
        self._undecided, self._order_undecided = set(), False
        return changes

    def take(self, documents: Sequence[Any], now_s: float) -> Taken:
        """Replace everything by a full answer of Marathon, the elements of its ``apps``, at ``now_s`` (monotonic)."""
        held_back_s = self._disbelief(documents, now_s)
        if held_back_s is not None:
            return Taken(frozenset(), held_back_s)
        self.complete = True
        self._notes, self._absent = {}, set()
        apps: dict[str, App] = {}
        for document in documents:
            app = self._read(document, app_id_of(document))
            if app is not None:
                apps[app.id] = app
        present = apps.keys() | self._apps.keys()
        changed = frozenset(app_id for app_id in present if apps.get(app_id) is not self._apps.get(app_id))
        self._apps = apps
        self._undecided |= changed
        self._order_undecided = True
        self._forget_health()
        return Taken(changed)

    def take_apps(self, answers: Mapping[str, Any]) -> Taken:
        """Replace single apps by Marathon's answers: their JSON by id, None for an app that is not there."""
        changed = set()
        order_unknown = False
        for app_id, document in answers.items():
            before = self._apps.get(app_id)
            self._notes.pop(app_id, None)
            if document is None:
                self._absent.add(app_id)
                self._apps.pop(app_id, None)
                after = None
            else:
                self._absent.discard(app_id)
                after = self._read(document, app_id)
            if after is not None:
                self._apps[app_id] = after
                starts_to_matter = before is None or not order_matters(before)
                order_unknown = order_unknown or (starts_to_matter and order_matters(after))
            if after is not before:
                changed.add(app_id)
                self._forget_health_of(before, after)
        self._undecided |= changed
        return Taken(frozenset(changed), order_unknown=order_unknown)

    def _disbelief(self, documents: Sequence[Any], now_s: float) -> float | None:
        """Return for how many more seconds an empty answer is held back; None if the answer is to be believed."""
        if documents or (len(self._apps) < 2 and not self._expects_apps):
            self._empty_since_s, self._expects_apps = None, False
            return None
        if self._empty_since_s is None:
            self._empty_since_s = now_s
        left = self._empty_since_s + self._empty_grace_s - now_s
        if left > 0:
            return left
        self._empty_since_s = None
        return None

    def _read(self, document: object, app_id: str | None) -> App | None:
        """Return the app of a document; the one of before if they are equal, or if the new one cannot be read."""
        known = self._apps.get(app_id) if app_id else None
        try:
            app = read_app(document)
        except AppError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - one app must never cost the others anything
            problem = bug(error)
        else:
            if app.id == app_id:
                self._remember_health(app)
                return known if known == app else app
            problem = f"Marathon was asked for it and answered with app {app.id}"
        if known is None:
            note = Note(app_id or "without id", problem, mistake=True)
        else:
            note = Note(known.id, f"{problem}; its last good form stays", left_out=False)
        self._notes[app_id or f"without id, {len(self._notes)}"] = note
        return known

    def _remember_health(self, app: App) -> None:
        for task in app.tasks if app.health_checks else ():
            if task.alive:
                self._alive.add(task.id)
            elif task.alive is not None:
                self._alive.discard(task.id)

    def _forget_health(self) -> None:
        """Drop the verdicts of tasks that are gone, so that the memory is bounded by the cluster."""
        self._alive &= {task.id for app in self._apps.values() for task in app.tasks}

    def _forget_health_of(self, before: App | None, after: App | None) -> None:
        """Drop the verdicts of tasks that one app has no more."""
        gone = {task.id for task in before.tasks} if before is not None else set()
        self._alive -= gone.difference(task.id for task in after.tasks) if after is not None else gone


def order_matters(app: App) -> bool:
    """Whether it matters where among the others ``app`` comes: in a deployment group, or asking for assigned ports."""
    return app.labels.get(GROUP) is not None or (app.mode == "container" and not app.service_ports)
