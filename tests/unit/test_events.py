from __future__ import annotations

import pytest

from fastlb.errors import MarathonAnswerError
from fastlb.events import SUBSCRIPTION, Mark, mark_of

VERSION = "2019-03-01T12:00:00.123Z"


def deployment(kind, *actions, version=VERSION):
    steps = [{"actions": [action]} for action in actions]
    return {"eventType": kind, "plan": {"id": "867ed450", "version": version, "steps": steps}}


@pytest.mark.parametrize(
    "event",
    [
        {"eventType": "status_update_event", "appId": "/a", "taskStatus": "TASK_RUNNING"},
        {"eventType": "health_status_changed_event", "appId": "/a", "alive": False},
        {"eventType": "app_terminated_event", "appId": "/a"},
        {"eventType": "unhealthy_task_kill_event", "appId": "/a"},
        {"eventType": "unhealthy_instance_kill_event", "appId": "/a"},
        {"eventType": "instance_changed_event", "runSpecId": "/a", "host": None},
        {"eventType": "instance_health_changed_event", "runSpecId": "/a", "healthy": None},
        {"eventType": "unknown_instance_terminated_event", "runSpecId": "/a"},
        {"eventType": "unknown_task_terminated_event", "runSpecId": "/a"},
        {"eventType": "unknown_task_terminated_event", "appId": "/a"},
        {"eventType": "api_post_event", "uri": "//v2/apps", "appDefinition": {"id": "/a"}},
    ],
    ids=lambda event: event["eventType"],
)
def test_an_event_about_one_app_marks_that_app(event):
    assert mark_of(event) == Mark(event["eventType"], ("/a",))


@pytest.mark.parametrize("kind", [kind for kind in SUBSCRIPTION if kind.startswith("deployment_")])
def test_a_deployment_marks_each_app_of_its_plan_once_and_names_the_plan(kind):
    event = deployment(
        kind,
        {"action": "StartApplication", "app": "/b"},
        {"type": "ScaleApplication", "app": "/a"},
        {"action": "ScaleApplication", "app": "/b"},
        {"action": "StartPod", "pod": "/p"},
    )
    assert mark_of(event) == Mark(kind, ("/b", "/a"), VERSION)


def test_a_deployment_without_steps_still_names_its_plan():
    assert mark_of(deployment("deployment_success")) == Mark("deployment_success", (), VERSION)


def test_steps_in_a_form_nobody_has_seen_name_no_app():
    event = deployment("deployment_info")
    event["plan"]["steps"] = [None, [], {"actions": None}, {"actions": [None, {"app": 7}, {"app": "/a"}]}]
    assert mark_of(event).app_ids == ("/a",)


def test_a_group_change_names_its_group_and_its_plan():
    event = {"eventType": "group_change_success", "groupId": "/shop", "version": VERSION}
    assert mark_of(event) == Mark("group_change_success", (), VERSION, "/shop")


def test_a_change_of_the_root_group_concerns_everything():
    event = {"eventType": "group_change_success", "groupId": "/", "version": VERSION}
    assert mark_of(event).everything


def test_the_attachment_is_the_barrier():
    assert mark_of({"eventType": "event_stream_attached", "remoteAddress": "10.0.0.1"}).barrier


@pytest.mark.parametrize(
    "kind", ["failed_health_check_event", "add_health_check_event", "event_stream_detached", "from_the_future"]
)
def test_events_that_cannot_matter_mark_nothing(kind):
    mark = mark_of({"eventType": kind, "appId": "/a"})
    assert mark == Mark(kind)
    assert mark.marks_nothing


@pytest.mark.parametrize("kind", SUBSCRIPTION)
def test_everything_subscribed_to_marks_something(kind):
    event = {
        "eventType": kind,
        "appId": "/a",
        "runSpecId": "/a",
        "appDefinition": {"id": "/a"},
        "groupId": "/g",
        "version": VERSION,
        "plan": {"version": VERSION, "steps": []},
    }
    assert not mark_of(event).marks_nothing


@pytest.mark.parametrize(
    ("event", "ending"),
    [
        ({"eventType": "status_update_event", "taskStatus": "TASK_KILLING", "taskId": "a.1"}, ("a.1",)),
        ({"eventType": "status_update_event", "taskStatus": "TASK_FAILED", "taskId": "a.1"}, ("a.1",)),
        ({"eventType": "status_update_event", "taskStatus": "TASK_RUNNING", "taskId": "a.1"}, ()),
        ({"eventType": "status_update_event", "taskStatus": "TASK_UNREACHABLE", "taskId": "a.1"}, ()),
        ({"eventType": "status_update_event", "taskStatus": ["TASK_KILLED"], "taskId": "a.1"}, ()),
        ({"eventType": "status_update_event", "taskStatus": "TASK_KILLED"}, ()),
        (
            {"eventType": "instance_changed_event", "condition": "Killing", "instanceId": "a.instance-1"},
            ("a.instance-1",),
        ),
        ({"eventType": "instance_changed_event", "condition": "Gone", "instanceId": "instance [a.i-1]"}, ("a.i-1",)),
        ({"eventType": "instance_changed_event", "condition": "Unreachable", "instanceId": "a.instance-1"}, ()),
        ({"eventType": "unhealthy_task_kill_event", "taskId": "a.1"}, ("a.1",)),
    ],
)
def test_a_task_that_is_being_ended_is_named(event, ending):
    assert mark_of({"appId": "/a", "runSpecId": "/a", **event}).ending == ending


def test_the_name_on_the_stream_stands_in_for_a_missing_event_type():
    assert mark_of({"appId": "/a"}, "status_update_event") == Mark("status_update_event", ("/a",))


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        [],
        7,
        {},
        {"eventType": None},
        {"eventType": ["x"]},
        {"eventType": "status_update_event"},
        {"eventType": "status_update_event", "appId": 7},
        {"eventType": "instance_changed_event", "appId": "/a"},
        {"eventType": "api_post_event", "appDefinition": None},
        {"eventType": "api_post_event", "appDefinition": {}},
        {"eventType": "deployment_info"},
        {"eventType": "deployment_info", "plan": {"steps": []}},
        {"eventType": "group_change_success", "groupId": "/"},
    ],
)
def test_an_event_that_makes_no_sense_is_refused(garbage):
    with pytest.raises(MarathonAnswerError, match=r"^an? "):
        mark_of(garbage)
