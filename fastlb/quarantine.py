"""Apps whose newest form is refused, and the last form of each app that was good.

An app that was good keeps its last good form, with its present tasks, while its new form is refused; one that never was
is left out. When its definition changes it is tried again; if even the substitute was refused, any change of the app
counts. Mutable, without clock or I/O: the loop tells it what was refused and what was applied.

Deployment groups are one app to HAProxy and several to Marathon: what is refused under the group's id is kept under the
ids of its members.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from fastlb import deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fastlb.model import App


@dataclass(frozen=True, slots=True)
class Refused:
    """The form that was refused and why; ``entirely`` if its substitute was refused as well, or there was none.

    ``harmful``: HAProxy ended on it, so that it is not tried again unasked.
    """

    form: App
    reason: str
    entirely: bool
    harmful: bool = False


class _Good(NamedTuple):
    """A form that was applied, and how many of its services had to be left out even so."""

    form: App
    mistakes: int


class Quarantine:
    """Decides which form of each app is tried; ``known_as`` says under which id HAProxy knows one."""

    def __init__(self, known_as: Callable[[App], str] = deployment.known_as) -> None:
        self._known_as = known_as
        self._refused: dict[str, Refused] = {}
        self._good: dict[str, _Good] = {}
        self._recent: dict[str, _Good | None] = {}
        """Of apps whose definition has changed since HAProxy last proved itself: the good form of before."""
        self._earlier: dict[str, _Good | None] = {}
        """The same of those that had changed when it did, since the time before."""
        self._touched: set[str] = set()

    @property
    def refused(self) -> Mapping[str, Refused]:
        """Return what is refused at present, by app id."""
        return self._refused

    def take_changes(self) -> set[str]:
        """Return the ids of the apps whose form to try may be another one than when this was last asked."""
        touched, self._touched = self._touched, set()
        return touched

    def form(self, app: App) -> App | None:
        """Return the form of ``app`` to try: as it is, in its last good form with its tasks of now, or not at all."""
        refused = self._refused.get(app.id)
        if refused is None:
            return app
        any_change = refused.entirely and not refused.harmful
        unchanged = app == refused.form if any_change else _same_definition(app, refused.form)
        if not unchanged:
            del self._refused[app.id]
            return app
        return None if refused.entirely else self._good[app.id].form._replace(tasks=app.tasks)

    def worse(self, apps: Sequence[App], mistakes: Mapping[str, int]) -> list[App]:
        """Return the apps whose newest definition costs services that were there before; ``mistakes`` counts by app id.

        A deployment group is worse off if one of its members is, by the doing of those that are new or have changed.
        """
        poorer = {
            self._known_as(app)
            for app in apps
            if app.id in mistakes and app.id in self._good and self._good[app.id].mistakes < mistakes[app.id]
        }
        suspects = [app for app in apps if self._known_as(app) in poorer] if poorer else []
        return [app for app in suspects if app.id not in self._refused and self._is_newly_defined(app)]

    def unproven(self, apps: Iterable[App]) -> set[str]:
        """Return the ids, as HAProxy knows them, of apps whose present form has never been applied."""
        return {
            self._known_as(app)
            for app in apps
            if app.id not in self._refused and (app.id not in self._good or self._good[app.id].form != app)
        }

    def refuse_new(self, reason: str, apps: Sequence[App], *, harmful: bool) -> list[str]:
        """Refuse all that is newly defined, since HAProxy does not run on some of it; return the ids of these apps.

        Where everything is new nobody is refused: nothing would be left.
        """
        new = [app for app in apps if app.id not in self._refused and self._is_newly_defined(app)]
        if len(new) == len(apps):
            return []
        for app in new:
            self.refuse_form(app, reason)
            self._refused[app.id] = replace(self._refused[app.id], harmful=harmful)
        return [app.id for app in new]

    def refuse(self, hap_id: str, reason: str, apps: Sequence[App]) -> list[str]:
        """Refuse what HAProxy knows as ``hap_id``; return the ids of the apps of Marathon that this concerns.

        Of a deployment group those members are refused that are new or were defined anew; if none was, those that have
        changed at all; if none has, all. Who is left out already is not to blame.
        """
        members = [app for app in apps if (form := self.form(app)) is not None and self._known_as(form) == hap_id]
        changed = [app for app in members if app.id not in self._good or self._good[app.id].form != app]
        defined = [app for app in changed if app.id not in self._refused and self._is_newly_defined(app)]
        suspects = defined or changed or members
        for app in suspects:
            self.refuse_form(app, reason)
        return [app.id for app in suspects]

    def refuse_form(self, app: App, reason: str) -> None:
        """Refuse ``app`` as it is now."""
        substitute = app.id in self._good and app.id not in self._refused and self._is_newly_defined(app)
        self._refused[app.id] = Refused(app, reason, entirely=not substitute)
        self._touched.add(app.id)

    def release_all(self, *, harmful: bool = False) -> None:
        """Forget refusals, so that every app is tried as it is; ``harmful``: those too on which HAProxy ended."""
        self.release([app_id for app_id, refused in self._refused.items() if harmful or not refused.harmful])

    def release(self, app_ids: Iterable[str]) -> None:
        """Forget the refusals of these apps, as far as there are any."""
        released = self._refused.keys() & set(app_ids)
        self._touched |= released
        for app_id in released:
            del self._refused[app_id]

    def go_back(self, reason: str, apps: Sequence[App]) -> list[str]:
        """Refuse every app whose definition HAProxy took but lately, in favour of the one before; return their ids.

        It did take them, so that they are not tried again unasked.
        """
        before = self._recent | self._earlier
        self._recent, self._earlier = {}, {}
        back = []
        for app in apps:
            if app.id not in before or app.id in self._refused:
                continue
            self._good.pop(app.id, None)
            if good := before[app.id]:
                self._good[app.id] = good
            if self._is_newly_defined(app):
                self.refuse_form(app, reason)
                self._refused[app.id] = replace(self._refused[app.id], harmful=True)
                back.append(app.id)
        return back

    def prove(self) -> None:
        """Learn that HAProxy has run for long: what was new when that was last learnt is new no more."""
        self._recent, self._earlier = {}, self._recent

    def accepted(self, apps: Mapping[str, App | None], mistakes: Mapping[str, int]) -> None:
        """Learn that ``apps`` were applied as they are, but for those refused; ``mistakes`` counts by app id.

        None stands for an app that is gone. What is not among them is as it was the last time. What comes first of all
        has no form of before: it is what there is.
        """
        is_first = not self._good
        for app_id, app in apps.items():
            if app is None:
                self._refused.pop(app_id, None)
                self._good.pop(app_id, None)
                self._recent.pop(app_id, None)
                self._earlier.pop(app_id, None)
            elif app_id not in self._refused:
                if not is_first and self._is_newly_defined(app):
                    self._recent.setdefault(app_id, self._good.get(app_id))
                self._good[app_id] = _Good(app, mistakes.get(app_id, 0))

    def _is_newly_defined(self, app: App) -> bool:
        good = self._good.get(app.id)
        return good is None or not _same_definition(good.form, app)


def _same_definition(one: App, other: App) -> bool:
    return one._replace(tasks=()) == other._replace(tasks=())
