"""After any sequence of events, resyncs, failures and restarts, what HAProxy is given is byte for byte what a process
without a past makes of the same apps.

What fastlb keeps on purpose is part of the expectation (`tests.fakes.incremental.Memory`), not left out of it:

- an app whose JSON cannot be read counts as it was last read;
- a health result that Marathon has forgotten counts as it was last read;
- an app whose new form HAProxy refuses, or costs services that its last good form had, goes on in its last good form
  with its present tasks; one without a good form is left out. A form of which HAProxy was given nothing proves
  nothing. Of a deployment group the members that are new or were defined anew are held responsible.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from fastlb.marks import Reading
from tests.fakes import incremental
from tests.fakes.apps import CHECK
from tests.fakes.incremental import LATE_FILE, REFUSED_WORD, Loop, Memory
from tests.fakes.small_marathon import UNREADABLE, SmallMarathon, definition

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fastlb.render import Rendering
    from tests.fakes.apps import Json

IDS = ("/a", "/b", "/c", "/dir/d")
SMALL_RANGE = ("--min-serv-port-ip-per-task", "10050", "--max-serv-port-ip-per-task", "10052")
POLICIES = tuple(str(Path(incremental.__file__).with_name(f"policy_{name}.toml")) for name in ("one", "two"))
FLAGS = [
    (),
    ("--haproxy-map",),
    ("--group-https-by-vhost",),
    ("--health-check",),
    ("--policy", POLICIES[0]),
    ("--conflicts", "first"),
]

LABELS = {
    "HAPROXY_0_VHOST": st.sampled_from(["a.test", "b.test,a.test"]),
    "HAPROXY_0_PATH": st.just("/p"),
    "HAPROXY_1_VHOST": st.just("a.test"),
}
GROUPED = {"HAPROXY_DEPLOYMENT_GROUP": st.just("pool")}
GROUP_LABELS = {
    "HAPROXY_DEPLOYMENT_STARTED_AT": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]),
    "HAPROXY_DEPLOYMENT_NEW_INSTANCES": st.just("1"),
    "HAPROXY_DEPLOYMENT_TARGET_INSTANCES": st.just("2"),
}
FAULTS = [
    {"HAPROXY_0_BALANCE": REFUSED_WORD},
    {"HAPROXY_0_SSL_CERT": LATE_FILE},
    {"HAPROXY_0_BACKEND_WEIGHT": "heavy"},
    {"HAPROXY_1_MODE": "two\nlines"},
    {"HAPROXY_0_BACKEND_SERVER_OPTIONS": "  server {nothing}\n"},
    {"HAPROXY_DEPLOYMENT_STARTED_AT": "no date"},
    {"HAPROXY_GROUP": 5},
]
alone = st.fixed_dictionaries({}, optional=LABELS)
grouped = st.fixed_dictionaries(GROUPED, optional={**LABELS, **GROUP_LABELS})
elsewhere = st.just({"HAPROXY_GROUP": "internal"})
faults = st.one_of(st.just({}), st.just({}), st.sampled_from(FAULTS))
instances = st.sampled_from([1, 2, 0])
definitions = st.builds(
    definition,
    st.builds(dict.__or__, st.one_of(alone, grouped, elsewhere), faults),
    ports=st.sampled_from([(10000,), (10001, 10002), None]),
    checks=st.sampled_from([[], [CHECK]]),
    instances=instances,
)
orders = st.permutations(IDS)
places = st.integers(0, len(IDS) - 1)
some_steps = st.sampled_from([100, 1, 2, 5])

CALM_EVENTS = 10
"""How many events have to come between two interruptions, after each of which everything is read."""


class Incremental(RuleBasedStateMachine):
    """One fastlb after another in front of one small Marathon."""

    argv: Sequence[str] = ()

    @initialize(order=orders, apps=st.dictionaries(st.sampled_from(IDS), definitions, min_size=2))
    def begin(self, order: Sequence[str], apps: dict[str, Json]) -> None:
        self.marathon = SmallMarathon(order)
        list(self.marathon.define(apps, posted=False))
        self.files: set[str] = set()
        self.policy = POLICIES[0]
        self.under_way: list[tuple[tuple[str, ...], Iterator[Json]]] = []
        self.loop = Loop(self.argv, self.files, expects_apps=False)
        self.memory = Memory(self.argv, self.files)
        self.deaf = False
        self.told = 0
        self.news = True
        self.asked: tuple[Reading, list[Json] | dict[str, Json | None]] | None = None
        self._settle()

    # What happens in Marathon.

    @rule(app_id=st.sampled_from(IDS), wanted=definitions, posted=st.booleans(), steps=some_steps)
    def define(self, app_id: str, wanted: Json, posted: bool, steps: int) -> None:
        if app_id not in self.marathon.locked:
            self._start((app_id,), self.marathon.define({app_id: wanted}, posted=posted), steps)

    @rule(wanted=st.dictionaries(st.sampled_from(IDS), definitions, min_size=2, max_size=3), steps=some_steps)
    def define_several(self, wanted: dict[str, Json], steps: int) -> None:
        if self.marathon.locked.isdisjoint(wanted):
            self._start(tuple(wanted), self.marathon.define(wanted, posted=False), steps)

    @rule(place=places, instances=instances, steps=some_steps)
    def scale(self, place: int, instances: int, steps: int) -> None:
        if app_id := self._an_app(place, unlocked=True):
            self._start((app_id,), self.marathon.scale(app_id, instances), steps)

    @rule(place=places, late=st.booleans(), steps=some_steps)
    def delete(self, place: int, late: bool, steps: int) -> None:
        if app_id := self._an_app(place, unlocked=True):
            self._start((app_id,), self.marathon.delete(app_id, terminated_late=late), steps)

    @precondition(lambda self: self.under_way)
    @rule(which=st.integers(0, 5), steps=some_steps)
    def go_on(self, which: int, steps: int) -> None:
        self._advance(which % len(self.under_way), steps)

    @rule(place=places, dies=st.booleans())
    def kill(self, place: int, dies: bool) -> None:
        app_id = self._an_app(place)
        if app_id and self.marathon.has_tasks(app_id):
            self._tell(self.marathon.kill(app_id, dies=dies))

    @rule(place=places, alive=st.booleans())
    def flip_health(self, place: int, alive: bool) -> None:
        app_id = self._an_app(place)
        if app_id and self.marathon.has_tasks(app_id):
            self._tell(self.marathon.tell_health(app_id, alive=alive))

    @rule(place=places, part=st.sampled_from(sorted(UNREADABLE)))
    def spoil_or_mend(self, place: int, part: str) -> None:
        if app_id := self._an_app(place):
            readable = self.marathon.is_readable(app_id)
            self._tell(self.marathon.spoil(app_id, part) if readable else self.marathon.mend(app_id))

    @rule(app_id=st.sampled_from(IDS))
    def a_pod_speaks(self, app_id: str) -> None:
        if app_id not in self.marathon.ids:
            self._tell(iter([{"eventType": "instance_changed_event", "runSpecId": app_id}]))

    # What happens to fastlb.

    @precondition(lambda self: self.asked is None and self.news)
    @rule()
    def ask(self) -> None:
        self.news = False
        reading = self.loop.take()
        if reading.everything:
            self.asked = reading, self.marathon.everything()
        elif reading.app_ids:
            self.asked = reading, {app_id: self.marathon.one(app_id) for app_id in sorted(reading.app_ids)}

    @precondition(lambda self: self.asked is None and self.news)
    @rule()
    def read(self) -> None:
        self.ask()
        if self.asked is not None:
            self.get_an_answer(failing=frozenset())

    @precondition(lambda self: self.asked is not None)
    @rule(failing=st.just(frozenset()) | st.frozensets(st.sampled_from(IDS)))
    def get_an_answer(self, failing: frozenset[str]) -> None:
        """Get the answer that Marathon gave when it was asked; a single app may fail alone, everything only as one."""
        assert self.asked is not None
        (reading, answer), self.asked = self.asked, None
        if isinstance(answer, dict):
            self._learn_apps({app_id: each for app_id, each in answer.items() if app_id not in failing})
            self.loop.fail(Reading(everything=False, app_ids=reading.app_ids & failing))
        elif failing:
            self.loop.fail(reading)
        else:
            self._learn_everything(answer)

    @precondition(lambda self: self.told >= CALM_EVENTS)
    @rule(kind=st.sampled_from(["deaf", "resync", "leader", "accident", "file", "policy", "restart"]), order=orders)
    def interrupt(self, kind: str, order: Sequence[str]) -> None:
        """Let happen what has everything read, but not so often that nothing is ever read alone."""
        self.told, self.news = 0, True
        match kind:
            case "deaf":
                self.deaf = True
            case "resync":
                self._resync()
            case "leader":
                self.marathon.change_leader(order)
                self._resync()
            case "accident":
                self._answer_that_there_are_no_apps()
            case "file":
                self.files.add(LATE_FILE)
                self._resync()
            case "policy" if POLICIES[0] in self.argv:
                self._settle()
                self.policy = POLICIES[1] if self.policy == POLICIES[0] else POLICIES[0]
                self.loop.use_policy(self.policy)
                self.memory.use(self._argv_now())
                self.memory.decide(self.marathon.order)
            case "restart":
                self.deaf, self.asked = False, None
                self.loop = Loop(self._argv_now(), self.files, expects_apps=True)
                self.memory = Memory(self._argv_now(), self.files)

    @precondition(lambda self: self.news)
    @rule()
    def settle(self) -> None:
        """Let all end that is under way, then compare."""
        self._settle()
        assert self.loop.rendering is not None
        self.memory.learn_everything(self.marathon.everything())
        fresh = self.memory.decide(self.marathon.order)
        assert self.loop.rendering.config == fresh.config
        assert self.loop.rendering.domain_map == fresh.domain_map
        assert self.loop.rendering.app_map == fresh.app_map
        self.compare_with_haproxy(fresh)

    def compare_with_haproxy(self, fresh: Rendering) -> None:
        """Demand that all that was done live and by reloads comes to the same."""
        running, document = self.loop.running, self.loop.running.document
        assert document is not None
        assert document.rendering().texts == fresh.texts
        for app_id in document.app_ids_written:
            for written in document.part(app_id).written:
                assert running.backend(written) == running.backend_of(written)

    def teardown(self) -> None:
        if hasattr(self, "marathon"):
            self.settle()

    def _settle(self) -> None:
        while self.under_way:
            self._advance(0, 1)
        if self.deaf:
            self._resync()
        while True:
            if self.asked is not None:
                self.get_an_answer(failing=frozenset())
            self.ask()
            if self.asked is None:
                return

    def _argv_now(self) -> Sequence[str]:
        return [self.policy if word == POLICIES[0] else word for word in self.argv]

    def _resync(self) -> None:
        self.deaf = False
        self.loop.resync()
        self.memory.release_all()

    def _learn_apps(self, answers: dict[str, Json | None]) -> None:
        self.memory.learn_apps(answers)
        if self.loop.learn_apps(answers):
            self.memory.decide(self.marathon.order)

    def _learn_everything(self, documents: list[Json]) -> None:
        if self.loop.learn_everything(documents):
            self.memory.learn_everything(documents)
            self.memory.decide(self.marathon.order)

    def _answer_that_there_are_no_apps(self) -> None:
        """Be a Marathon that has only just started."""
        self._settle()
        before = self.loop.rendering
        self._resync()
        if len(self.loop.decider.store.apps) > 1:
            assert self.loop.take().everything
            assert not self.loop.learn_everything([])
            assert self.loop.rendering is before

    def _an_app(self, place: int, *, unlocked: bool = False) -> str | None:
        ids = [app_id for app_id in self.marathon.ids if not (unlocked and app_id in self.marathon.locked)]
        return ids[place % len(ids)] if ids else None

    def _start(self, app_ids: tuple[str, ...], events: Iterator[Json], steps: int) -> None:
        self.marathon.locked.update(app_ids)
        self.under_way.append((app_ids, events))
        self._advance(len(self.under_way) - 1, steps)

    def _advance(self, which: int, steps: int) -> None:
        app_ids, events = self.under_way[which]
        for _ in range(steps):
            event = next(events, None)
            if event is None:
                self.marathon.locked.difference_update(app_ids)
                del self.under_way[which]
                return
            self._tell(iter([event]))

    def _tell(self, events: Iterator[Json]) -> None:
        for event in events:
            self.told += 1
            self.news = True
            if not self.deaf:
                self.loop.hear(event)


@pytest.mark.parametrize("argv", FLAGS, ids=" ".join)
def test_what_haproxy_is_given_is_what_a_process_without_a_past_makes_of_the_same_apps(kernel_twin, argv):
    machine = type("Incremental", (Incremental,), {"argv": (*argv, *SMALL_RANGE)})
    if settings.default.derandomize:  # the same sequences in every run, but others for each case
        machine = seed(f"{kernel_twin.__name__} {argv}")(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
