"""Finding the apps that HAProxy refuses: by what it says, by halves where it says nothing, and never for ever.

`Oracle` stands where trials are made, so that complaints of any shape can be played; real ones are in the integration
tests.
"""

from __future__ import annotations

import pytest

from fastlb.acceptance import find_acceptable
from fastlb.decision import Decider
from fastlb.store import Store
from fastlb.validation import Complaint, Verdict
from tests.fakes.apps import app, renderer_of, rules_of


class Oracle:
    """Refuses documents in which a word of ``bad`` stands; speaks as ``says`` tells it to."""

    def __init__(self, bad, says=lambda _config, _word: None):
        self.bad = bad
        self.says = says
        self.count = 0

    def run(self, rendering):
        self.count += 1
        found = [word for word in self.bad if word in rendering.config]
        complaints = tuple(filter(None, (self.says(rendering.config, word) for word in found)))
        return Verdict(not found, complaints, "refused" if found else "", 0.0)


def pointing(config, word):
    """Name the line, as HAProxy mostly does."""
    before = config[: config.index(word)]
    return Complaint(before.count("\n") + 1, (), f"unknown word {word}", fatal=True)


def deciding(documents):
    store = Store(0.0)
    store.take(documents, 0.0)
    return Decider(store, renderer_of(), rules_of())


def balanced(number, balance="roundrobin"):
    return app(f"/a{number:02}", [10000 + number], {"HAPROXY_0_BALANCE": balance})


def written(rendering):
    return [service.app_id for service in rendering.services]


CLUSTER = [balanced(number, {3: "bad1", 8: "bad2", 9: "bad3"}.get(number, "roundrobin")) for number in range(16)]
GUILTY = ["/a03", "/a08", "/a09"]
INNOCENT = [document["id"] for document in CLUSTER if document["id"] not in GUILTY]


def test_what_is_accepted_costs_one_trial():
    decider = deciding([balanced(0)])
    accepted = find_acceptable(decider, Oracle([]), decider.decide().rendering(), find_culprits=True)
    assert (written(accepted.rendering), accepted.trials) == (["/a00"], 1)


def test_apps_that_are_pointed_at_are_found_in_two_trials():
    decider, oracle = deciding(CLUSTER), Oracle(["bad1", "bad2", "bad3"], pointing)
    accepted = find_acceptable(decider, oracle, decider.decide().rendering(), find_culprits=True)
    assert (written(accepted.rendering), accepted.trials) == (INNOCENT, 2)
    assert {app_id: one.reason for app_id, one in decider.quarantine.refused.items()} == {
        "/a03": "HAProxy refuses it: unknown word bad1",
        "/a08": "HAProxy refuses it: unknown word bad2",
        "/a09": "HAProxy refuses it: unknown word bad3",
    }


def test_apps_that_nobody_points_at_are_found_by_halves():
    decider, oracle = deciding(CLUSTER), Oracle(["bad1", "bad2", "bad3"])
    accepted = find_acceptable(decider, oracle, decider.decide().rendering(), find_culprits=True)
    assert written(accepted.rendering) == INNOCENT
    assert sorted(decider.quarantine.refused) == GUILTY
    assert accepted.trials < 2 * len(CLUSTER)


def test_apps_that_are_bad_only_together_cost_one_of_them():
    class Clash(Oracle):
        def run(self, rendering):
            self.count += 1
            clash = "bad1" in rendering.config and "bad2" in rendering.config
            return Verdict(not clash, (), "clash" if clash else "", 0.0)

    decider = deciding(CLUSTER)
    accepted = find_acceptable(decider, Clash([]), decider.decide().rendering(), find_culprits=True)
    assert sorted(decider.quarantine.refused) == ["/a08"]
    assert len(written(accepted.rendering)) == len(CLUSTER) - 1


def test_what_is_refused_even_without_any_app_blames_nobody():
    decider = deciding(CLUSTER)
    refused = find_acceptable(decider, Oracle(["global"]), decider.decide().rendering(), find_culprits=True)
    assert (refused.rendering, refused.refusal, refused.trials) == (None, "refused", 2)
    assert not decider.quarantine.refused


def test_without_the_search_one_trial_refuses_all():
    decider, oracle = deciding(CLUSTER), Oracle(["bad1"], pointing)
    refused = find_acceptable(decider, oracle, decider.decide().rendering(), find_culprits=False)
    assert (refused.rendering, refused.refusal, refused.trials) == (None, "unknown word bad1", 1)
    assert not decider.quarantine.refused


def test_an_app_that_was_good_is_tried_in_its_last_good_form():
    decider = deciding(CLUSTER[4:8])
    decider.decide()
    decider.accepted()
    decider.store.take([*CLUSTER[4:7], balanced(7, "bad1")], 1.0)
    accepted = find_acceptable(decider, Oracle(["bad1"], pointing), decider.decide().rendering(), find_culprits=True)
    assert written(accepted.rendering) == ["/a04", "/a05", "/a06", "/a07"]
    assert not decider.quarantine.refused["/a07"].entirely


@pytest.mark.parametrize("times", [3])
def test_mistakes_that_show_one_after_the_other_are_all_found(times):
    """HAProxy checks in phases: the next phase's mistakes show when those of the one before are gone."""

    def one_at_a_time(config, word):
        first = next(each for each in ("bad1", "bad2", "bad3") if each in config)
        return pointing(config, word) if word == first else None

    decider, oracle = deciding(CLUSTER), Oracle(["bad1", "bad2", "bad3"], one_at_a_time)
    accepted = find_acceptable(decider, oracle, decider.decide().rendering(), find_culprits=True)
    assert (written(accepted.rendering), accepted.trials) == (INNOCENT, times + 1)


def test_an_app_that_runs_is_not_refused_for_what_a_new_one_writes_into_its_name():
    """HAProxy points at the second of two equal names, whoever was there first."""
    decider = deciding([balanced(1)])
    decider.decide()
    decider.accepted()
    intruder = {"HAPROXY_0_BACKEND_HEAD": "\nbackend a01_10001\n  balance {balance}\n  mode {mode}\n"}
    decider.store.take([app("/a00", [10000], intruder), balanced(1), balanced(2)], 1.0)

    def twice(rendering):
        config = rendering.config
        second = config.rfind("\nbackend a01_10001") + 1
        if config.count("\nbackend a01_10001") < 2:
            return Verdict(True, (), "", 0.0)
        return Verdict(False, (Complaint(config[:second].count("\n") + 1, (), "equal names", fatal=True),), "", 0.0)

    oracle = Oracle([])
    oracle.run = twice
    oracle.count = 0
    accepted = find_acceptable(decider, oracle, decider.decide().rendering(), find_culprits=True)
    assert written(accepted.rendering) == ["/a01", "/a02"]
    assert list(decider.quarantine.refused) == ["/a00"]
