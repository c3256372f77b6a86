"""Which apps are read again after which events."""

from __future__ import annotations

from fastlb.events import mark_of
from fastlb.marks import MOST_PLANS, Marks, Reading

NOTHING = Reading()
EVERYTHING = Reading(everything=True)


def nobody(_app_id):
    return False


def everybody(_app_id):
    return True


def single(*app_ids):
    return Reading(app_ids=frozenset(app_ids))


def deployment(kind, version, *app_ids):
    actions = [{"action": "ScaleApplication", "app": app_id} for app_id in app_ids]
    return mark_of({"eventType": kind, "plan": {"version": version, "steps": [{"actions": actions}]}})


def group_change(version, group_id="/"):
    return mark_of({"eventType": "group_change_success", "groupId": group_id, "version": version})


def status(app_id):
    return mark_of({"eventType": "status_update_event", "appId": app_id})


def test_a_task_event_has_its_app_read_alone():
    assert Marks().asked_by(status("/a"), nobody) == single("/a")


def test_a_task_event_of_an_app_that_cannot_matter_costs_nothing():
    assert Marks().asked_by(status("/a"), lambda app_id: app_id == "/a") == NOTHING


def test_a_task_event_during_a_reading_is_looked_at_again_with_what_the_reading_tells():
    marks = Marks()
    marks.begin(EVERYTHING)
    marks.asked_by(status("/a"), everybody)
    marks.asked_by(status("/b"), everybody)
    assert marks.reconsider(None, lambda app_id: app_id == "/b") == {"/a"}


def test_an_answer_about_one_app_has_only_that_one_looked_at_again():
    marks = Marks()
    marks.asked_by(status("/a"), everybody)
    marks.asked_by(status("/b"), everybody)
    assert marks.reconsider(["/a", "/c"], nobody) == {"/a"}
    assert marks.reconsider(None, nobody) == {"/b"}


def test_a_task_event_before_a_reading_is_covered_by_it():
    for reading in (EVERYTHING, single("/a")):
        marks = Marks()
        marks.asked_by(status("/a"), everybody)
        marks.begin(reading)
        assert marks.reconsider(None, nobody) == set()


def test_a_task_event_before_a_reading_of_other_apps_is_not_covered_by_it():
    marks = Marks()
    marks.asked_by(status("/a"), everybody)
    marks.begin(single("/b"))
    assert marks.reconsider(None, nobody) == {"/a"}


def test_a_definition_event_is_read_even_of_an_app_that_could_not_matter_until_now():
    posted = mark_of({"eventType": "api_post_event", "appDefinition": {"id": "/a"}})
    assert Marks().asked_by(posted, everybody) == single("/a")


def test_the_apps_of_a_deployment_are_read_again_when_their_change_becomes_visible():
    marks = Marks()
    for mark in (
        deployment("deployment_info", "v1", "/a", "/b"),
        group_change("v1"),
        deployment("deployment_success", "v1", "/a", "/b"),
    ):
        assert marks.asked_by(mark, nobody) == single("/a", "/b")


def test_a_group_change_of_an_unknown_plan_has_everything_read():
    assert Marks().asked_by(group_change("nobody knows", "/shop"), nobody) == EVERYTHING


def test_a_deployment_of_pods_only_has_nothing_read():
    marks = Marks()
    assert marks.asked_by(deployment("deployment_info", "v1"), nobody) == NOTHING
    assert marks.asked_by(group_change("v1"), nobody) == NOTHING


def test_the_memory_of_plans_is_bounded_and_the_oldest_goes_first():
    marks = Marks()
    for number in range(MOST_PLANS + 1):
        marks.asked_by(deployment("deployment_info", f"v{number}", "/a"), nobody)
    assert marks.asked_by(group_change("v0"), nobody) == EVERYTHING
    assert marks.asked_by(group_change(f"v{MOST_PLANS}"), nobody) == single("/a")
