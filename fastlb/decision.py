"""From what Marathon said to what HAProxy should be given: store, quarantine, desired state and document in one call.

    changed apps --quarantine--> forms --desired--> services of those concerned --render--> parts --> Document

Every room on the way is brought up to date for what changed and keeps the rest, so that the cost is that of the change.
Pure but for the quarantine, which learns of apps that became unusable: those go on in their last good form.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastlb.desired import Desired
from fastlb.document import Document
from fastlb.hosts import Hosts
from fastlb.policy import known_as
from fastlb.quarantine import Quarantine
from fastlb.services import Surroundings, may_be_wanted, names_to_resolve, places_of
from fastlb.store import order_matters

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from fastlb.model import App, Note, Policy, Rules
    from fastlb.render import Renderer
    from fastlb.store import Store

    Place = tuple[str, int]

SPOILT_GROUP = "with it, another app of its deployment group cannot be used"


class Decider:
    """Decides what should run; `learn_addresses` is for whoever can resolve host names."""

    def __init__(self, store: Store, renderer: Renderer, rules: Rules) -> None:
        self.store = store
        self.quarantine = Quarantine(lambda app: known_as(app, self.rules.policy))
        self.changed: set[str] = set()
        """Ids, as HAProxy knows apps, of those that contribute something else than when `accepted` was last called."""
        self.rules = rules
        self.desired = Desired(rules)
        """What should run, as last decided."""
        self.document = Document(renderer)
        """What HAProxy should be given, as last decided."""
        self._renderer = renderer
        self._forms: dict[str, App | None] = {}
        self._reordered = False
        self._apps_changed: set[str] = set()
        self._hosts = Hosts()
        self._moved: set[str] = set()
        self._once_more: set[str] = set()

    @property
    def notes(self) -> list[Note]:
        """Return what is to be said about apps: what could not be read, what is left out, and remarks."""
        return [*self.store.notes, *self.desired.notes, *self.document.notes]

    @property
    def warning(self) -> str | None:
        """Return a sentence if the wanted ``maxconn`` does not fit."""
        return self.document.warning

    @property
    def surroundings(self) -> Surroundings:
        """Return what is known now of host names and tasks."""
        return Surroundings(self._hosts.addresses, self.store.known_alive)

    def use_policy(self, policy: Policy | None) -> None:
        """Go by another policy from now on: every app is decided about again."""
        if policy != self.rules.policy:
            self.rules = replace(self.rules, policy=policy)
            self.desired.use_policy(policy)
            self._once_more.update(app.id for app in self.store.apps)

    def names_to_resolve(self) -> set[str]:
        """Return the host names that the next decision needs and whose addresses are not known."""
        self._look_at_changes()
        return set(self._hosts.unresolved)

    def learn_addresses(self, addresses: Mapping[str, str]) -> None:
        """Learn what was found out about the names to resolve."""
        self._moved |= self._hosts.learn(addresses)

    def cannot_matter(self, app_id: str) -> bool:
        """Whether the tasks of ``app_id`` are of no interest here: it is an app of other groups, or a pod.

        Of an app that goes on in an older form than its newest one, they are.
        """
        app = self.store.app(app_id)
        if app is None:
            return self.store.is_absent(app_id)
        if self.store.is_unreadable(app_id) or app_id in self.quarantine.refused:
            return False
        return not order_matters(app) and not may_be_wanted(app, self.rules)

    def decide(self) -> Document:
        """Return what HAProxy should be given; it is the same object at every call, brought up to date.

        An app whose new labels cost it services that its last good form had goes on in that form. That form may get in
        the way of another app's new one, so this is looked at until no app is worse off.
        """
        concerned = self._bring_up_to_date()
        while worse := self._worse(concerned):
            for app, reason in worse:
                self.quarantine.refuse_form(app, reason)
            concerned |= self._bring_up_to_date()
        return self.document

    def only(self, hap_ids: Iterable[str]) -> Document:
        """Return what HAProxy would be given if there were only these apps, by the ids under which it knows them."""
        return self.document.only(hap_ids)

    def places(self, app_id: str, task_ids: Collection[str]) -> tuple[str, set[Place]]:
        """Return under which id HAProxy knows an app of Marathon, and where tasks of it listen, as last read.

        ``task_ids`` may also be the ids of their instances.
        """
        app = self.store.app(app_id)
        tasks = [task for task in app.tasks if _is_one_of(task.id, task_ids)] if app is not None else []
        found = (places_of(app, task, self._hosts.addresses) for task in tasks if app is not None)
        return self.desired.known_as(app_id), set().union(*found)

    def accepted(self, hap_ids: Collection[str] | None = None) -> None:
        """Learn that what was decided runs, of some apps or of all, so that their forms count as good.

        Apps that changed without making a difference are among them. What is not written (an app without tasks) has
        not been tried, so its form proves nothing.
        """
        accepted = self.changed & set(hap_ids) if hap_ids is not None else set(self.changed)
        self.changed -= accepted
        members = {app.id for hap_id in accepted for app in self.desired.members(hap_id)}
        settled = {app_id for app_id in self._apps_changed if self.desired.known_as(app_id) not in self.changed}
        self._apps_changed -= settled
        apps = {app_id: self.store.app(app_id) for app_id in settled | members}
        apps = {app_id: app for app_id, app in apps.items() if app is None or self._is_written(app_id)}
        mistakes = self._mistakes({self.desired.known_as(app_id) for app_id in apps})
        self.quarantine.accepted(apps, {app_id: len(texts) for app_id, texts in mistakes.items()})

    def _is_written(self, app_id: str) -> bool:
        return bool(self.document.part(self.desired.known_as(app_id)).written)

    def _look_at_changes(self) -> None:
        """Take over what store and quarantine say that has changed."""
        changes = self.store.take_changes()
        self._reordered = self._reordered or changes.reordered
        self._apps_changed |= changes.app_ids
        once_more, self._once_more = self._once_more, set()
        for app_id in sorted(changes.app_ids | self.quarantine.take_changes() | once_more):
            app = self.store.app(app_id)
            form = None if app is None else self.quarantine.form(app)
            if not self._reordered and form is not None and order_matters(form) and not self.desired.knows(app_id):
                self._reordered = True  # while it was left out, it had no place among the others
            self._forms[app_id] = form
            self._hosts.need(app_id, names_to_resolve(form) if form is not None else ())

    def _bring_up_to_date(self) -> set[str]:
        """Decide about all that has changed; return the ids, as HAProxy knows the apps, that this concerned.

        Among them is what comes out as before: an app may have joined a group of which nothing can be used.
        """
        self._look_at_changes()
        order = tuple(app.id for app in self.store.apps) if self._reordered else None
        concerned = self.desired.update(self._forms, self.surroundings, moved=self._moved, order=order)
        looked_at = {self.desired.known_as(app_id) for app_id in self._forms}
        self._forms, self._moved, self._reordered = {}, set(), False
        parts = {
            hap_id: self._renderer.part(self.desired.services(hap_id), self.document.plain_part(hap_id))
            for hap_id in sorted(concerned)
        }
        differing = self.document.update(parts)
        self.changed |= differing
        return concerned | differing | looked_at

    def _worse(self, concerned: Iterable[str]) -> list[tuple[App, str]]:
        """Return the apps to blame for services that were there before and are not now, each with the reason."""
        mistakes = self._mistakes(concerned)
        if not mistakes:
            return []
        members = [app.id for hap_id in concerned for app in self.desired.members(hap_id)]
        apps = [app for app_id in members if (app := self.store.app(app_id)) is not None]
        worse = self.quarantine.worse(apps, {app_id: len(texts) for app_id, texts in mistakes.items()})
        return [(app, mistakes.get(app.id, [SPOILT_GROUP])[0]) for app in worse]

    def _mistakes(self, concerned: Iterable[str]) -> dict[str, list[str]]:
        """Return by app why services of it cannot be used; those of a deployment group count for each member."""
        found: dict[str, list[str]] = {}
        for hap_id in concerned:
            notes = (*self.desired.notes_of(hap_id), *self.document.part(hap_id).notes)
            texts = mistakes_in(notes) if notes else {}
            for app in self.desired.members(hap_id) if texts else ():
                mine = [text for each in dict.fromkeys((app.id, hap_id)) for text in texts.get(each, ())]
                if mine:
                    found[app.id] = mine
        return found


def _is_one_of(task_id: str, named: Iterable[str]) -> bool:
    """Whether a task is named; the id of an instance is the beginning of that of its task (MARATHON.md 3)."""
    return any(task_id == name or task_id.startswith(f"{name}.") for name in named)


def mistakes_in(notes: Iterable[Note]) -> dict[str, list[str]]:
    """Return why services were left out because their form cannot be used, by the app id that the notes name."""
    texts: dict[str, list[str]] = {}
    for note in notes:
        if note.mistake:
            texts.setdefault(note.app_id, []).append(note.text)
    return texts
