"""From what Marathon said to what HAProxy should be given: store, quarantine, desired state and rendering in one call.

    store --quarantine--> forms --desired--> services --render--> Rendering

Pure but for the quarantine, which learns of apps that became unusable: those go on in their last good form.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from fastlb.desired import desired_state
from fastlb.quarantine import Quarantine, id_in_haproxy
from fastlb.services import ServiceMemo, Surroundings, may_be_wanted, names_to_resolve
from fastlb.store import order_matters

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fastlb.model import Rules
    from fastlb.render import Renderer, Rendering
    from fastlb.store import Store


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
        """Whether the tasks of ``app_id`` are of no interest here: it is an app of other groups, or a pod."""
        app = self.store.app(app_id)
        if app is None:
            return self.store.is_absent(app_id)
        return not order_matters(app) and not may_be_wanted(app, self._rules)

    def decide(self, only: Collection[str] | None = None) -> Rendering:
        """Return what HAProxy should be given; of apps that HAProxy knows by an id in ``only`` if that is given.

        An app whose new labels cost it services that its last good form had goes on in that form.
        """
        rendering = self._render(only)
        mistakes = mistakes_of(rendering)
        worse = [app for app in self.store.apps if self.quarantine.has_better(app, mistakes.get(app.id, 0))]
        if not worse or only is not None:
            return rendering
        for app in worse:
            reason = next(note.text for note in rendering.notes if note.mistake and note.app_id == app.id)
            self.quarantine.refuse_form(app, reason)
        return self._render(None)

    def accepted(self, rendering: Rendering) -> None:
        """Learn that ``rendering`` runs, so that its apps' forms count as good."""
        self.quarantine.accepted(self.store.apps, mistakes_of(rendering))

    def _render(self, only: Collection[str] | None) -> Rendering:
        forms = self.quarantine.forms(self.store.apps)
        if only is not None:
            forms = [app for app in forms if id_in_haproxy(app) in only]
        surroundings = Surroundings(self.addresses, self.store.known_alive)
        return self._renderer.render(desired_state(forms, self._rules, surroundings, self._memo))


def mistakes_of(rendering: Rendering) -> Counter[str]:
    """Count the services left out because their form cannot be used, by app id."""
    return Counter(note.app_id for note in rendering.notes if note.mistake)
