"""From what Marathon said to what HAProxy should be given: store, quarantine, desired state and rendering in one call.

    store --quarantine--> forms --desired--> services --render--> Rendering

Pure but for the quarantine, which learns of apps that became unusable: those go on in their last good form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.desired import desired_state
from fastlb.quarantine import Quarantine, id_in_haproxy
from fastlb.services import ServiceMemo, Surroundings, may_be_wanted, names_to_resolve
from fastlb.store import order_matters

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fastlb.model import App, Rules
    from fastlb.render import Renderer, Rendering
    from fastlb.store import Store

SPOILT_GROUP = "with it, another app of its deployment group cannot be used"


class Decider:
    """Decides what should run; `addresses` is filled by whoever can resolve host names."""

    def __init__(self, store: Store, renderer: Renderer, rules: Rules) -> None:
        self.store = store
        self.quarantine = Quarantine()
        self.addresses: Mapping[str, str] = {}
        self._renderer = renderer
        self._rules = rules
        self._memo = ServiceMemo(rules)

    def names_to_resolve(self) -> set[str]:
        """Return the host names whose addresses the next decision needs."""
        return set().union(*map(names_to_resolve, self.store.apps))

    def cannot_matter(self, app_id: str) -> bool:
        """Whether the tasks of ``app_id`` are of no interest here: it is an app of other groups, or a pod.

        Of an app that goes on in an older form than its newest one, they are.
        """
        app = self.store.app(app_id)
        if app is None:
            return self.store.is_absent(app_id)
        if self.store.is_unreadable(app_id) or app_id in self.quarantine.refused:
            return False
        return not order_matters(app) and not may_be_wanted(app, self._rules)

    def decide(self, only: Collection[str] | None = None) -> Rendering:
        """Return what HAProxy should be given; of apps that HAProxy knows by an id in ``only`` if that is given.

        An app whose new labels cost it services that its last good form had goes on in that form. That form may get in
        the way of another app's new one, so this is looked at until no app is worse off.
        """
        rendering = self._render(only)
        while only is None and (worse := self._worse(rendering)):
            for app, reason in worse:
                self.quarantine.refuse_form(app, reason)
            rendering = self._render(None)
        return rendering

    def accepted(self, rendering: Rendering) -> None:
        """Learn that ``rendering`` runs, so that its apps' forms count as good."""
        mistakes = {app_id: len(texts) for app_id, texts in self._mistakes(rendering).items()}
        self.quarantine.accepted(self.store.apps, mistakes)

    def _worse(self, rendering: Rendering) -> list[tuple[App, str]]:
        """Return the apps to blame for services that were there before and are not now, each with the reason."""
        mistakes = self._mistakes(rendering)
        worse = self.quarantine.worse(self.store.apps, {app_id: len(texts) for app_id, texts in mistakes.items()})
        return [(app, mistakes.get(app.id, [SPOILT_GROUP])[0]) for app in worse]

    def _mistakes(self, rendering: Rendering) -> dict[str, list[str]]:
        """Return by app why services of it cannot be used; those of a deployment group count for each member."""
        texts = mistakes_of(rendering)
        if not texts:
            return {}
        known_as = {app.id: dict.fromkeys((app.id, id_in_haproxy(app))) for app in self.store.apps}
        by_app = {app_id: [text for each in ids for text in texts.get(each, ())] for app_id, ids in known_as.items()}
        return {app_id: found for app_id, found in by_app.items() if found}

    def _render(self, only: Collection[str] | None) -> Rendering:
        forms = self.quarantine.forms(self.store.apps)
        if only is not None:
            forms = [app for app in forms if id_in_haproxy(app) in only]
        surroundings = Surroundings(self.addresses, self.store.known_alive)
        return self._renderer.render(desired_state(forms, self._rules, surroundings, self._memo))


def mistakes_of(rendering: Rendering) -> dict[str, list[str]]:
    """Return why services were left out because their form cannot be used, by the app id that HAProxy knows."""
    texts: dict[str, list[str]] = {}
    for note in rendering.notes:
        if note.mistake:
            texts.setdefault(note.app_id, []).append(note.text)
    return texts
