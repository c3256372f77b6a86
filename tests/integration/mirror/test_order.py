"""Answers that overlap, events out of order, ids and sizes at their limits."""

from __future__ import annotations

import signal

import pytest

from tests.fakes.front_door import until
from tests.fakes.marathon_http import json_answer
from tests.integration.mirror.scene import (
    HUGE,
    LONG_ID,
    deployment,
    group_change,
    path_of,
    posted,
    status,
)

pytestmark = pytest.mark.haproxy


def test_an_app_that_changes_while_it_is_read_is_read_again(scene):
    with scene.marathon.held(path_of("/a")) as release:
        scene.marathon.tell(status("/a"))
        until(lambda: "/a" in scene.asked())
        scene.change("/a")
        assert scene.settle() == ["/a"]
        release.set()
        scene.wait_until_it_follows("/a")
    assert scene.asked().count("/a") == 2


def test_an_answer_that_is_older_than_a_full_read_does_not_overwrite_it(scene):
    with scene.marathon.held(path_of("/a")) as release:
        scene.marathon.tell(status("/a"))
        until(lambda: "/a" in scene.asked())
        scene.move("/a")
        scene.door.process.send_signal(signal.SIGHUP)
        scene.wait_until_it_follows("/a")
        release.set()
        assert scene.settle() == ["/a", "everything"]
    assert scene.follows("/a")


def test_an_app_that_changes_during_a_full_read_is_followed_at_once_and_stays_so(scene):
    with scene.marathon.held("/v2/apps") as release:
        scene.door.process.send_signal(signal.SIGHUP)
        until(lambda: "everything" in scene.asked())
        scene.change("/a")
        scene.wait_until_it_follows("/a")
        release.set()
        scene.door.wait_for("fetched", scene.start, asked="everything")
        scene.settle()
    assert scene.follows("/a")


def test_a_full_read_that_fails_does_not_hold_up_single_apps(scene):
    before = len(scene.door.lines("Marathon can be read again"))
    scene.marathon.answers["/v2/apps"] = json_answer({}, 503)
    scene.door.process.send_signal(signal.SIGHUP)
    scene.door.wait_for("fetch_failed", scene.start)
    scene.change("/a")
    scene.wait_until_it_follows("/a")
    assert len(scene.door.lines("Marathon can be read again")) == before
    scene.marathon.obey()
    until(lambda: len(scene.door.lines("Marathon can be read again")) == before + 1)


def test_a_deployment_that_is_announced_before_its_app_is_there_leads_to_it_in_any_order_of_events(scene):
    scene.marathon.tell(deployment("deployment_info", "/early", "v1"))
    until(lambda: "/early" in scene.asked())
    scene.define("/early")
    scene.marathon.tell(group_change("v1"))
    scene.wait_until_it_follows("/early")
    scene.marathon.tell(status("/late"), deployment("deployment_success", "/late", "v2"))
    until(lambda: "/late" in scene.asked())
    scene.define("/late")
    scene.marathon.tell(group_change("v2"), deployment("deployment_info", "/late", "v2"), posted("/late"))
    scene.wait_until_it_follows("/early", "/late")
    assert "everything" not in scene.asked()


def test_a_change_that_nobody_names_has_everything_read(scene):
    scene.move("/a")
    scene.marathon.tell(group_change("nobody knows"))
    scene.wait_until_it_follows("/a")
    assert scene.asked() == ["everything"]


def test_events_about_a_deleted_app_that_come_late_do_not_bring_it_back(scene):
    scene.define("/short")
    scene.marathon.tell(posted("/short"))
    scene.wait_until_it_follows("/short")
    del scene.marathon.apps["/short"]
    scene.marathon.tell({"eventType": "app_terminated_event", "appId": "/short"}, status("/short"), posted("/short"))
    until(lambda: "backend short_" not in scene.door.config(), said=scene.door.log)
    scene.marathon.tell(status("/short"))
    scene.settle()
    assert "backend short_" not in scene.door.config()
    assert all(map(scene.follows, ("/a", "/b", "/settle")))


def test_an_app_with_two_thousand_tasks_is_followed_and_costs_the_others_nothing(scene):
    document = scene.define("/huge")
    document["tasks"] = [scene.task("/huge") for _ in range(HUGE)]
    scene.marathon.tell(posted("/huge"))
    scene.wait_until_it_follows("/huge", "/a")
    scene.marathon.apps["/huge"] = {**document, "tasks": [*document["tasks"][1:], scene.task("/huge")]}
    scene.marathon.tell(status("/huge"))
    scene.change("/b")
    scene.wait_until_it_follows("/huge", "/a", "/b")
    assert "everything" not in scene.asked()
    del scene.marathon.apps["/huge"]


def test_an_id_of_every_allowed_character_is_read_alone_under_its_own_path(scene):
    scene.define(LONG_ID)
    scene.marathon.tell(posted(LONG_ID))
    scene.wait_until_it_follows(LONG_ID)
    scene.change(LONG_ID)
    scene.wait_until_it_follows(LONG_ID)
    assert set(scene.asked()) == {LONG_ID}
