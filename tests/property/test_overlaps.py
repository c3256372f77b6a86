"""Whatever overlaps with whatever: what is known of an app never goes back in time, and ends at the newest there is.

Marathon here is a number for each app, which grows. A request sees the number of the moment in which Marathon works on
it, anywhere between its begin and its end; everything is read app by app, so that other things happen in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from fastlb.asking import Asking
from fastlb.marks import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 2
IDS = ("/a", "/b", "/c")
ids = st.sampled_from(IDS)


class Overlapping(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.asking = Asking(MOST)
        self.truth = dict.fromkeys(IDS, 1)
        self.known = dict.fromkeys(IDS, 0)
        self.single: dict[str, int | None] = {}
        self.everything: dict[str, int] | None = None

    @initialize()
    def begin(self) -> None:
        self.asking.want(Reading(everything=True))
        self._ask()

    @rule(app_id=ids)
    def change(self, app_id: str) -> None:
        """Something happens to an app, and its event arrives."""
        self.truth[app_id] += 1
        self.asking.want(Reading(app_ids=frozenset({app_id})))
        self._ask()

    @rule(app_ids=st.sets(ids))
    def change_several(self, app_ids: set[str]) -> None:
        for app_id in app_ids:
            self.truth[app_id] += 1
        self.asking.want(Reading(app_ids=frozenset(app_ids)))
        self._ask()

    @rule()
    def resync(self) -> None:
        self.asking.want(Reading(everything=True))
        self._ask()

    @rule(app_id=ids)
    def work_on_one(self, app_id: str) -> None:
        """Marathon writes the answer about a single app; it has not arrived yet."""
        if app_id in self.single and self.single[app_id] is None:
            self.single[app_id] = self.truth[app_id]

    @rule(app_ids=st.sets(ids))
    def work_on_everything(self, app_ids: set[str]) -> None:
        """Marathon writes a part of the answer about everything."""
        if self.everything is not None:
            self.everything |= {app_id: self.truth[app_id] for app_id in app_ids - self.everything.keys()}

    @rule(app_id=ids)
    def answer_one(self, app_id: str) -> None:
        if app_id in self.single:
            self.work_on_one(app_id)
            number = self.single.pop(app_id)
            self.asking.answered(app_id, {"id": app_id, "number": number})
            self._learn([{"id": app_id, "number": number}])
            self._ask()

    @rule(app_id=ids)
    def fail_one(self, app_id: str) -> None:
        if self.single.pop(app_id, self) is not self:
            self.asking.failed(app_id)
            self.asking.want(Reading(app_ids=frozenset({app_id})))
            self._ask()

    @precondition(lambda self: self.everything is not None)
    @rule()
    def answer_everything(self) -> None:
        self.work_on_everything(set(IDS))
        answer, self.everything = self.everything or {}, None
        documents = [{"id": app_id, "number": number} for app_id, number in answer.items()]
        everything = self.asking.answered_everything(documents)
        for app_id in everything.dropped:
            del self.single[app_id]
        self._learn(everything.documents)
        self._ask()

    @precondition(lambda self: self.everything is not None)
    @rule()
    def fail_everything(self) -> None:
        self.everything = None
        self.asking.want(self.asking.failed_everything())
        self._ask()

    def teardown(self) -> None:
        while not self.asking.idle:
            assert self.single or self.everything is not None, "something is wanted and nobody asks for it"
            for app_id in tuple(self.single):
                self.answer_one(app_id)
            if self.everything is not None:
                self.answer_everything()
        assert self.known == self.truth

    def _ask(self) -> None:
        ask = self.asking.begin()
        assert not self.single.keys() & ask.app_ids, "it is being asked for"
        assert len(self.single) + len(ask.app_ids) <= MOST
        self.single |= dict.fromkeys(ask.app_ids)
        if ask.everything:
            assert self.everything is None, "it is being read"
            self.everything = {}

    def _learn(self, documents: Iterable[dict[str, Any]]) -> None:
        for document in documents:
            assert document["number"] >= self.known[document["id"]], "an older answer overwrites a newer one"
            self.known[document["id"]] = document["number"]


TestOverlapping = Overlapping.TestCase
TestOverlapping.settings = settings(deadline=None, max_examples=400, stateful_step_count=40)
