"""Which apps of Marathon are one app to HAProxy: those of a deployment group (COMPAT.md 3.2), all others alone.

Mutable, without clock or I/O. It knows each app in the form to use and its place among the others, so that the members
of a family come in Marathon's order; what they are merged to is for `deployment`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.deployment import known_as

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastlb.model import App


class Families:
    """The apps by the id under which HAProxy knows them. An app that was not there before comes last."""

    def __init__(self) -> None:
        self._apps: dict[str, App] = {}
        self._known_as: dict[str, str] = {}
        self._members: dict[str, tuple[str, ...]] = {}
        self._places: dict[str, int] = {}
        self._next_place = 0

    def knows(self, app_id: str) -> bool:
        """Whether the app is there."""
        return app_id in self._apps

    def known_as(self, app_id: str) -> str:
        """Return the id under which HAProxy knows the app of this id; the same for an app that is not there."""
        return self._known_as.get(app_id, app_id)

    def members(self, known_as: str) -> list[App]:
        """Return the apps that HAProxy knows under this id, in Marathon's order."""
        return [self._apps[app_id] for app_id in self._members.get(known_as, ())]

    def only_member(self, known_as: str) -> App | None:
        """Return the app that HAProxy knows under this id if it is a single one."""
        members = self._members.get(known_as, ())
        return self._apps[members[0]] if len(members) == 1 else None

    def place(self, app_id: str) -> int:
        """Return the place of an app that is there: the smaller, the earlier Marathon names it."""
        return self._places[app_id]

    def take(self, forms: Mapping[str, App | None]) -> set[str]:
        """Take apps in the form to use, None for those that are gone; return the ids that this concerns."""
        concerned = set()
        for app_id, form in forms.items():
            if app_id in self._apps:
                concerned.add(self._known_as[app_id])
            if form is None:
                self._drop(app_id)
            else:
                concerned.add(self._put(form))
        return concerned

    def arrange(self, order: Iterable[str]) -> set[str]:
        """Learn Marathon's order of app ids; return the ids that several apps share, which it may concern."""
        self._places = {app_id: place for place, app_id in enumerate(order) if app_id in self._apps}
        self._next_place = len(self._places)
        for app_id in self._apps.keys() - self._places.keys():
            self._seat(app_id)
        shared = {hap_id: members for hap_id, members in self._members.items() if len(members) > 1}
        self._members |= {hap_id: self._in_order(members) for hap_id, members in shared.items()}
        return set(shared)

    def _put(self, form: App) -> str:
        known_before, known_now = self._known_as.get(form.id), known_as(form)
        if known_before != known_now:
            if known_before is not None:
                self._leave(form.id, known_before)
            if form.id not in self._places:
                self._seat(form.id)
            self._known_as[form.id] = known_now
            others = self._members.get(known_now)
            self._members[known_now] = (form.id,) if others is None else self._in_order((*others, form.id))
        self._apps[form.id] = form
        return known_now

    def _drop(self, app_id: str) -> None:
        if self._apps.pop(app_id, None) is not None:
            self._leave(app_id, self._known_as.pop(app_id))
            del self._places[app_id]

    def _leave(self, app_id: str, known_as: str) -> None:
        left = tuple(each for each in self._members[known_as] if each != app_id)
        if left:
            self._members[known_as] = left
        else:
            del self._members[known_as]

    def _seat(self, app_id: str) -> None:
        self._places[app_id] = self._next_place
        self._next_place += 1

    def _in_order(self, app_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(app_ids, key=self._places.__getitem__))
