"""What Marathon last said: every app, in Marathon's order, and what is known about its tasks' health.

Mutable, but without clock or I/O: the time comes with each answer. An answer is the truth unless it cannot be read or
cannot be believed:

- one app that cannot be read keeps its last good form, alone;
- an answer that names no app, after there were several, is held back for a grace period: Marathon answers that by
  accident while it starts (COMPAT.md quirk 34 asks for no second fetch, operators ask for no outage);
- apps and tasks that are missing all at once are kept for a while as well (`shrink`), while all else is followed, but
  for tasks whose place somebody else has taken meanwhile;
- health results that Marathon has forgotten (a change of its leader) are remembered (MARATHON.md 3.3).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb.deployment import GROUP
from fastlb.errors import AppError, bug
from fastlb.keeping import Followed
from fastlb.model import App, Note
from fastlb.reading import app_id_of, read_app

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from fastlb.keeping import Keeping


class Taken(NamedTuple):
    """What became of an answer: apps whose value changed, and how long an empty one is held back yet.

    ``held_back_s`` is None for an answer that was taken. ``kept_s``: for how much longer what is missing in it is kept,
    None if all of it was followed. ``order_unknown``: the place of an app among
    the others matters and did not before (COMPAT.md 3.2, 3.5), which only a full answer tells.
    """

    changed: frozenset[str]
    held_back_s: float | None = None
    kept_s: float | None = None
    order_unknown: bool = False


class Changes(NamedTuple):
    """Ids of apps that changed, came or went, and whether the order of apps may be another one."""

    app_ids: frozenset[str]
    reordered: bool


class Store:
    """The apps of the cluster.

    ``empty_grace_s``: how long a sudden answer without apps is not believed. ``expects_apps``: HAProxy was left routing
    to some by an earlier run, so that even a first answer without any is sudden. ``keeping``: what is kept of apps and
    tasks that are missing all at once; without it nothing is.
    """

    def __init__(
        self,
        empty_grace_s: float,
        *,
        expects_apps: bool = False,
        keeping: Keeping | None = None,
    ) -> None:
        self._empty_grace_s = empty_grace_s
        self._keeping = keeping
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
    def kept(self) -> AbstractSet[str]:
        """Return the ids of apps that are kept, or some tasks of them, although Marathon names them no more."""
        return self._keeping.app_ids if self._keeping is not None else frozenset()

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
        """Replace everything by a full answer of Marathon, the elements of its ``apps``, at ``now_s`` (monotonic).

        They may have been read already, here and in the next: an App stands for its document.
        """
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
        changes: dict[str, App | None] = {}
        changes |= {app_id: app for app_id, app in apps.items() if app is not self._apps.get(app_id)}
        changes |= dict.fromkeys(self._apps.keys() - apps.keys())
        changes, kept_s = self._follow_all(changes, now_s, believed=not documents)
        if kept_s is not None:
            forms = {app_id: changes.get(app_id) or self._apps[app_id] for app_id in self.kept}
            apps = _with_kept(self._apps, apps, forms)
        self._apps = apps
        self._undecided |= changes.keys()
        self._order_undecided = True
        self._forget_health()
        return Taken(frozenset(changes), kept_s=kept_s)

    def release(self) -> None:
        """Believe the next full answer, whatever is missing in it: somebody says that it is meant."""
        if self._empty_since_s is not None:
            self._empty_since_s = -inf
        if self._keeping is not None:
            self._keeping.release()

    def take_apps(self, answers: Mapping[str, Any], now_s: float) -> Taken:
        """Replace single apps by Marathon's answers: their JSON by id, None for an app that is not there."""
        changed: set[str] = set()
        order_unknown, kept_s = False, None
        for app_id, document in answers.items():
            self._notes.pop(app_id, None)
            self._absent.discard(app_id)
            app = self._read(document, app_id) if document is not None else None
            if document is None:
                self._absent.add(app_id)
            change, kept_now_s = self._follow_one(app_id, app, now_s)
            kept_s = kept_now_s if kept_s is None else kept_s
            for after in change.values():
                order_unknown = self._put(app_id, after) or order_unknown
                changed.add(app_id)
        self._undecided |= changed
        return Taken(frozenset(changed), kept_s=kept_s, order_unknown=order_unknown)

    def _follow_all(self, changes: dict[str, App | None], now_s: float, *, believed: bool) -> Followed:
        if self._keeping is None:
            return Followed(changes)
        return self._keeping.follow_all(self._apps, changes, now_s, believed=believed)

    def _follow_one(self, app_id: str, app: App | None, now_s: float) -> Followed:
        if self._keeping is not None:
            return self._keeping.follow_one(self._apps, app_id, app, now_s)
        return Followed({} if app is self._apps.get(app_id) else {app_id: app})

    def _put(self, app_id: str, after: App | None) -> bool:
        """Replace one app; return whether its place among the others matters and did not before."""
        before = self._apps.get(app_id)
        self._forget_health_of(before, after)
        if after is None:
            del self._apps[app_id]
            return False
        self._apps[app_id] = after
        return order_matters(after) and (before is None or not order_matters(before))

    def _disbelief(self, documents: Sequence[Any], now_s: float) -> float | None:
        """Return for how many more seconds an empty answer is held back; None if the answer is to be believed."""
        if any(map(app_id_of, documents)) or (len(self._apps) < 2 and not self._expects_apps):
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
            app = document if isinstance(document, App) else read_app(document)
            is_same = known == app
        except AppError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - one app must never cost the others anything
            problem = bug(error)
        else:
            if app.id == app_id:
                self._remember_health(app)
                return known if is_same else app
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


def _with_kept(known: Mapping[str, App], apps: Mapping[str, App], kept: Mapping[str, App]) -> dict[str, App]:
    """Return the apps of an answer, kept ones among them; all that were known in their old places, new ones last."""
    found = {**apps, **kept}
    return {app_id: found[app_id] for app_id in (*known, *found) if app_id in found}


def order_matters(app: App) -> bool:
    """Whether it matters where among the others ``app`` comes: in a deployment group, or asking for assigned ports."""
    return app.labels.get(GROUP) is not None or (app.mode == "container" and not app.service_ports)
