"""What reconcile does, without threads, clock and HAProxy; and what a process without a past makes of the same apps.

    events --mirroring--> reading --answer--> store --decide, refuse, accept--> rendering (`Loop`: the rooms themselves)
    the same answers --> documents that count --> rendering by new rooms                (`Memory`, `fresh_rendering`)

`Memory` says in terms of documents what is kept on purpose. It shares no code with the store and the quarantine.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from fastlb.capabilities import Capabilities
from fastlb.decision import Decider
from fastlb.diff import compare
from fastlb.events import mark_of
from fastlb.marks import Reading
from fastlb.mirroring import LONGEST_PAUSE_S, Mirroring
from fastlb.policy import known_as
from fastlb.policy_file import read_policy
from fastlb.running import Running
from fastlb.settings import map_paths
from fastlb.store import Store
from tests.fakes.apps import read_all, renderer_of, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastlb.render import Rendering
    from tests.fakes.apps import Json

GRACE_S = 100.0
MOST_SINGLE = 2
MOST_ROUNDS = 20
REFUSED_WORD = "refused"
"""A balance algorithm of which HAProxy would say that there is no such thing."""

LATE_FILE = "/late.pem"
"""A certificate that HAProxy refuses to do without, and that somebody may put in its place."""


def refused_by_haproxy(rendering: Rendering, files: Iterable[str]) -> set[str]:
    """Return the ids of the apps that HAProxy would complain about."""
    return {
        service.app_id
        for service in rendering.services
        if service.options.balance == REFUSED_WORD or (service.options.ssl_cert == LATE_FILE and LATE_FILE not in files)
    }


class Loop:
    """The rooms between Marathon's answers and what HAProxy is given, in the hands of one who has no time."""

    def __init__(self, argv: Sequence[str], files: set[str], *, expects_apps: bool) -> None:
        rules = rules_of(*argv)
        self.decider = Decider(Store(GRACE_S, expects_apps=expects_apps), renderer_of(*argv), rules)
        self.rendering: Rendering | None = None
        self.running = Running(60.0)
        self._map_paths = map_paths(rules)
        self._files = files
        self._mirroring = Mirroring(0.0, 0.0)
        self._mirroring.resync(0.0, repairs=False)
        self._grace_s = 0.0
        self._now_s = 0.0

    def hear(self, event: Json) -> None:
        mark = mark_of(event)
        for app_id in mark.app_ids if mark.ending else ():
            hap_id, places = self.decider.places(app_id, mark.ending)
            backends, _ = self.running.stop(hap_id, places)
            self.running.have_stopped(hap_id, backends)
        self._mirroring.note(mark_of(event), self._now_s, self.decider.cannot_matter)

    def resync(self) -> None:
        self.decider.quarantine.release_all()
        self._mirroring.resync(self._now_s, repairs=False)

    def use_policy(self, path: str) -> None:
        self.decider.use_policy(read_policy(path))
        self._reconcile()

    def take(self) -> Reading:
        """Return what is to be read when every quiet time and every pause is over."""
        self._now_s += 2 * LONGEST_PAUSE_S
        reading = self._mirroring.take(self._now_s, single=self.decider.store.complete) or Reading()
        return Reading(everything=True) if len(reading.app_ids) > MOST_SINGLE else reading

    def fail(self, reading: Reading) -> None:
        self._mirroring.failed(reading, self._now_s)

    def learn_everything(self, documents: Sequence[Json]) -> bool:
        """Return whether the answer was believed; if not, time passes."""
        taken = self.decider.store.take(documents, self._grace_s)
        self._settle(self.running.stopped)
        self._mirroring.answered_everything(taken.changed, self._now_s, self.decider.cannot_matter)
        if taken.held_back_s is not None:
            self._mirroring.want_everything(self._now_s)
            self._grace_s += taken.held_back_s
            return False
        self._reconcile()
        return True

    def learn_apps(self, answers: Mapping[str, Json | None]) -> bool:
        """Return whether a decision was made."""
        taken = self.decider.store.take_apps(answers, self._now_s)
        self._settle({self.decider.places(app_id, ())[0] for app_id in answers})
        self._mirroring.answered(answers.keys(), self._now_s, self.decider.cannot_matter)
        if taken.order_unknown:
            self._mirroring.want_everything(self._now_s)
            return False
        if taken.changed or self.decider.store.notes or self.running.stopped:
            self._reconcile()
            return True
        return False

    def _settle(self, hap_ids: Iterable[str]) -> None:
        for hap_id in hap_ids:
            self.running.settle(hap_id)

    def _reconcile(self) -> None:
        rendering = self.decider.decide().rendering()
        rounds = 0
        while refused := refused_by_haproxy(rendering, self._files):
            rounds += 1
            assert rounds < MOST_ROUNDS, "the search for forms that HAProxy accepts does not end"
            for app_id in sorted(refused):
                self.decider.quarantine.refuse(app_id, "no", self.decider.store.apps)
            rendering = self.decider.decide().rendering()
        self.rendering = rendering
        self._bring_about()

    def _bring_about(self) -> None:
        """Have a HAProxy that does all that is asked of it brought to what was decided."""
        document = self.decider.decide()
        plan = compare(self.running, document, self.decider.changed | self.running.stopped, self._map_paths)
        self.running.changed(document, plan.live.keys(), plan.changes, self._now_s)
        self.decider.accepted(plan.live.keys())
        if plan.reload:
            self.running.loaded(document)
            self.running.capabilities = Capabilities((2, 8, 8))
        self.decider.accepted()


class Good(NamedTuple):
    """A document that was in use, and how many services had to be left out even so."""

    document: Json
    mistakes: int


class Memory:
    """What is kept on purpose, of readable answers, health results, and forms that were in use."""

    def __init__(self, argv: Sequence[str], files: set[str]) -> None:
        self._argv = argv
        self._files = files
        self._read: dict[str, Json] = {}
        self._verdicts: dict[str, bool] = {}
        self._good: dict[str, Good] = {}
        self._refused: dict[str, tuple[Json, bool]] = {}

    def release_all(self) -> None:
        self._refused.clear()

    def use(self, argv: Sequence[str]) -> None:
        """Go by other flags from now on."""
        self._argv = argv

    def learn_everything(self, documents: Iterable[Json]) -> None:
        """Learn a full answer, which also says what there is not."""
        answers = {document["id"]: document for document in documents}
        before, self._read = self._read, {}
        for app_id, document in answers.items():
            self._learn(app_id, document, before.get(app_id))

    def learn_apps(self, answers: Mapping[str, Json | None]) -> None:
        for app_id, document in answers.items():
            before = self._read.pop(app_id, None)
            if document is not None:
                self._learn(app_id, document, before)

    def decide(self, order: Sequence[str]) -> Rendering:
        """Return what a process without a past would give HAProxy; learn which forms it accepts."""
        for app_id, (refused, entirely) in list(self._refused.items()):
            document = self._read.get(app_id)
            if document is None or not (document == refused if entirely else same_definition(document, refused)):
                del self._refused[app_id]
        rendering = self._rendering(order)
        while blamed := self._to_blame(rendering):
            for app_id in blamed:
                self._refuse(app_id)
            rendering = self._rendering(order)
        mistakes = self._mistakes(rendering)
        written = {service.app_id for service in rendering.services}
        proven = {
            app_id
            for app_id, each in self._read.items()
            if app_id not in self._refused and self._known_as(each) in written
        }
        kept = {app_id: good for app_id, good in self._good.items() if app_id in self._read.keys() - proven}
        fine = {app_id: Good(self._read[app_id], mistakes[app_id]) for app_id in proven}
        self._good = kept | fine
        return rendering

    def _learn(self, app_id: str, document: Json, before: Json | None) -> None:
        if read_all([document])[0]:
            self._read[app_id] = document
            for task in document["tasks"] if document["healthChecks"] else ():
                for result in task.get("healthCheckResults", ()):
                    self._verdicts[task["id"]] = result["alive"]
        elif before is not None:
            self._read[app_id] = before

    def _to_blame(self, rendering: Rendering) -> set[str]:
        """Return whose definition is not to be used: it costs services that were there, or HAProxy refuses it."""
        poorer = {
            self._known_as(self._read[app_id])
            for app_id, mistakes in self._mistakes(rendering).items()
            if app_id in self._good and self._good[app_id].mistakes < mistakes
        }
        spoilt = {app_id for app_id, document in self._read.items() if self._known_as(document) in poorer}
        worse = {app_id for app_id in spoilt if app_id not in self._refused and self._is_new(app_id)}
        return worse or set().union(*map(self._suspects, refused_by_haproxy(rendering, self._files)))

    def _suspects(self, hap_id: str) -> set[str]:
        """Return what HAProxy's refusal of ``hap_id`` is about: members defined anew, else changed ones, else all."""
        forms = {app_id: self._form(app_id) for app_id in self._read}
        members = {app_id for app_id, form in forms.items() if form is not None and self._known_as(form) == hap_id}
        good = {app_id: good.document for app_id, good in self._good.items()}
        changed = {app_id for app_id in members if good.get(app_id) != self._read[app_id]}
        return (
            {app_id for app_id in changed if app_id not in self._refused and self._is_new(app_id)} or changed or members
        )

    def _is_new(self, app_id: str) -> bool:
        good = self._good.get(app_id)
        return good is None or not same_definition(good.document, self._read[app_id])

    def _mistakes(self, rendering: Rendering) -> dict[str, int]:
        """Count the services left out, by app; those of a deployment group count for each member."""
        counts = Counter(note.app_id for note in rendering.notes if note.mistake)
        names = {app_id: {app_id, self._known_as(document)} for app_id, document in self._read.items()}
        return {app_id: sum(counts[name] for name in each) for app_id, each in names.items()}

    def _refuse(self, app_id: str) -> None:
        substitute = app_id in self._good and app_id not in self._refused and self._is_new(app_id)
        self._refused[app_id] = (self._read[app_id], not substitute)

    def _known_as(self, document: Json) -> str:
        """Return the id that HAProxy knows an app by."""
        (app,), _ = read_all([document])
        return known_as(app, rules_of(*self._argv).policy)

    def _rendering(self, order: Sequence[str]) -> Rendering:
        forms = [form for app_id in order if app_id in self._read and (form := self._form(app_id)) is not None]
        return fresh_rendering(forms, self._verdicts, self._argv)

    def _form(self, app_id: str) -> Json | None:
        if app_id not in self._refused:
            return self._read[app_id]
        if self._refused[app_id][1]:
            return None
        return {**self._good[app_id].document, "tasks": self._read[app_id]["tasks"]}


def fresh_rendering(documents: Sequence[Json], verdicts: Mapping[str, bool], argv: Sequence[str]) -> Rendering:
    """Render with rooms that are new; the only past they are given is the health results, through an earlier answer."""
    decider = Decider(Store(0.0), renderer_of(*argv), rules_of(*argv))
    earlier = copy.deepcopy(list(documents))
    for task in (task for document in earlier for task in document["tasks"] if task["id"] in verdicts):
        task["healthCheckResults"] = [{"alive": verdicts[task["id"]]}]
    decider.store.take(earlier, 0.0)
    decider.store.take(documents, 0.0)
    return replace(decider.decide().rendering(), notes=tuple(decider.notes))


def same_definition(one: Json, other: Json) -> bool:
    return {**one, "tasks": ()} == {**other, "tasks": ()}
