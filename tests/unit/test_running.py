"""What is known of the running HAProxy: servers that are stopped ahead of the document, and what a load forgets."""

from __future__ import annotations

import pytest

from fastlb.capabilities import Capabilities
from fastlb.diff import compare
from fastlb.running import Running
from tests.fakes.apps import app, document_of, task

PLACES = [("127.0.0.2", 31001), ("127.0.0.2", 31002), ("127.0.0.2", 31003)]


def web(*numbers):
    return app("/web", [10000], tasks=[task(number, ports=[31000 + number]) for number in numbers])


@pytest.fixture
def running():
    """A HAProxy with three servers that was just loaded."""
    known = Running(60.0)
    known.loaded(document_of([web(1, 2, 3)]))
    known.capabilities = Capabilities((2, 8))
    return known


def stop(running, *places):
    backends, commands = running.stop("/web", set(places))
    running.have_stopped("/web", backends)
    return [command.line for command in commands]


def test_servers_of_tasks_that_end_are_taken_out_once(running):
    assert stop(running, PLACES[0]) == ["set server web_10000/127_0_0_2_31001 state maint"]
    assert stop(running, PLACES[0]) == []


def test_the_last_servers_of_a_backend_are_left_in(running):
    assert stop(running, *PLACES) == []
    assert len(stop(running, *PLACES[:2])) == 2
    assert stop(running, PLACES[2]) == []


def steps(running, document, app_ids=("/web",)):
    return [step.line for phase in compare(running, document, app_ids, {}).phases for step in phase]


def test_what_was_stopped_stays_out_whatever_is_desired_until_marathon_has_answered(running):
    stop(running, PLACES[0])
    assert steps(running, document_of([web(1, 2, 3)])) == []
    grown = document_of([web(1, 2, 3, 4)])
    assert [line.split()[2].rpartition("_")[2] for line in steps(running, grown)] == ["31004"] * 2
    plan = compare(running, grown, {"/web"}, {})
    running.changed(grown, plan.live.keys(), plan.changes, 5.0)
    assert (steps(running, grown), running.stopped) == ([], {"/web"})
    running.settle("/web")
    assert steps(running, grown) == ["set server web_10000/127_0_0_2_31001 state ready"]


def test_a_new_worker_is_told_what_was_stopped(running):
    stop(running, PLACES[0])
    running.loaded(running.document)
    assert running.stopped == {"/web"}
    assert steps(running, running.document) == ["set server web_10000/127_0_0_2_31001 state maint"]


def test_what_was_stopped_does_not_stay_out_if_nothing_else_is_left(running):
    stop(running, PLACES[0])
    left = document_of([web(1)])
    assert "set server web_10000/127_0_0_2_31001 state ready" in steps(running, left)


def test_what_was_stopped_for_nothing_comes_back(running):
    stop(running, PLACES[0])
    running.settle("/web")
    plan = compare(running, document_of([web(1, 2, 3)]), running.stopped, {})
    assert [step.line for phase in plan.phases for step in phase] == [
        "set server web_10000/127_0_0_2_31001 state ready"
    ]


def test_what_was_stopped_and_is_gone_is_deleted(running):
    stop(running, PLACES[0])
    running.settle("/web")
    after = document_of([web(2, 3)])
    plan = compare(running, after, {"/web"}, {})
    running.changed(after, plan.live.keys(), plan.changes, 5.0)
    assert (plan.reasons, list(running.leaving.of("web_10000")), running.stopped) == (
        (),
        ["127_0_0_2_31001"],
        set(),
    )


def test_a_new_worker_has_none_of_it_once_marathon_has_answered(running):
    stop(running, PLACES[0])
    running.settle("/web")
    running.loaded(running.document)
    assert (running.stopped, len(running.leaving)) == (set(), 0)


def test_nothing_is_stopped_while_it_is_not_known_what_runs(running):
    running.unknown("a doubt")
    assert running.stop("/web", set(PLACES[:1])) == ({}, [])
