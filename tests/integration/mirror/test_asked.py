"""What is asked of Marathon for which events, and with which flags."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from tests.fakes.front_door import until
from tests.integration.mirror.scene import (
    FOREIGN,
    posted,
    status,
)

pytestmark = pytest.mark.haproxy


def test_a_task_event_costs_one_request_of_that_app_only(scene):
    scene.change("/a")
    scene.wait_until_it_follows("/a")
    assert scene.asked() == ["/a"]


CANNOT_MATTER = [
    {"eventType": kind, "appId": "/a", "runSpecId": "/a", "plan": {"version": "v", "steps": []}, "reason": "none"}
    for kind in (
        "add_health_check_event",
        "remove_health_check_event",
        "failed_health_check_event",
        "group_change_failed",
        "pod_created_event",
        "pod_updated_event",
        "pod_deleted_event",
        "framework_message_event",
        "scheduler_registered_event",
        "scheduler_reregistered_event",
        "scheduler_disconnected_event",
        "event_stream_attached",
        "event_stream_detached",
        "subscribe_event",
        "unsubscribe_event",
        "an_event_of_tomorrow",
    )
]


def test_events_of_kinds_that_cannot_matter_cost_no_request(scene):
    scene.marathon.tell(*CANNOT_MATTER)
    assert scene.settle() == []


def test_a_task_event_of_an_app_of_another_group_costs_no_request(scene):
    scene.marathon.tell(status("/foreign"), status("/foreign"))
    assert scene.settle() == []


def test_a_pod_costs_one_request_and_then_none(scene):
    for _ in range(3):
        scene.marathon.tell({"eventType": "instance_changed_event", "runSpecId": "/pod"})
        scene.settle()
    assert scene.settle() == ["/pod"]


def test_an_app_never_seen_that_only_its_tasks_tell_of_is_served(scene):
    scene.define("/unseen")
    scene.marathon.tell(status("/unseen"))
    scene.wait_until_it_follows("/unseen")
    assert scene.asked() == ["/unseen"]


def test_a_thousand_events_in_a_second_are_one_request_for_each_app_and_quiet_period(own):
    settle_max_s, app_ids = 0.5, [f"/busy-{number}" for number in range(300)]
    for app_id in app_ids:
        own.define(app_id)
    own.up("--settle", "0.1", "--settle-max", str(settle_max_s), "--bulk-threshold", "1000")
    controller, began_s = own.door.controller(), time.monotonic()
    before = controller.cpu_times()
    for number in range(1000):
        own.change(app_ids[number * 7 % len(app_ids)])
        time.sleep(max(0.0, began_s + number / 1000 - time.monotonic()))
    told_s = time.monotonic() - began_s
    own.wait_until_it_follows(*app_ids)
    after, wall_s = controller.cpu_times(), time.monotonic() - began_s
    asked = Counter(own.asked())
    assert asked.keys() == set(app_ids)
    assert max(asked.values()) <= told_s / settle_max_s + 2
    assert asked.total() < 1000
    assert after.user + after.system - before.user - before.system < wall_s, "it needs more than one core"


def test_many_changed_apps_are_read_together(own):
    app_ids = [f"/busy-{number}" for number in range(60)]
    for app_id in app_ids:
        own.define(app_id)
    own.up().change(*app_ids)
    own.wait_until_it_follows(*app_ids)
    assert own.asked().count("everything") == 1
    assert len(own.asked()) <= 51


def test_with_selecting_by_group_everything_is_asked_for_by_label_and_what_leaves_the_group_is_gone(own):
    own.up("--select-by-group")
    assert any("label=HAPROXY_GROUP%20in%20%28external%29" in path for path in own.marathon.paths())
    assert len(own.door.lines("--select-by-group: only apps with the label HAPROXY_GROUP in (external)")) == 1
    moved = own.marathon.apps["/a"]
    own.marathon.apps["/a"] = {**moved, "labels": FOREIGN}
    own.marathon.tell(posted("/a"))
    until(lambda: "backend a_" not in own.door.config(), said=own.door.log)
    own.marathon.apps["/a"] = moved
    own.marathon.tell(posted("/a"))
    own.wait_until_it_follows("/a", "/b")
    assert own.asked() == ["/a", "/a"]


def test_a_warning_about_the_settings_is_said_once_although_two_processes_read_them(own):
    (own.door.folder / "templates" / "HAPROXY_BACKEND_HEAD").mkdir(parents=True)
    own.up("--insecure")
    assert len(own.door.lines("--insecure: ")) == 1
    assert len(own.door.lines("templates/HAPROXY_BACKEND_HEAD cannot be read")) == 1
