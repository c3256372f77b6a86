"""Which apps are read again after which events."""

from __future__ import annotations

from fastlb.events import mark_of
from fastlb.marks import MOST_PLANS, Marks, Reading


def nobody(_app_id):
    return False


def deployment(kind, version, *app_ids):
    actions = [{"action": "ScaleApplication", "app": app_id} for app_id in app_ids]
    return mark_of({"eventType": kind, "plan": {"version": version, "steps": [{"actions": actions}]}})


def group_change(version, group_id="/"):
    return mark_of({"eventType": "group_change_success", "groupId": group_id, "version": version})


def status(app_id):
    return mark_of({"eventType": "status_update_event", "appId": app_id})


def test_a_task_event_has_its_app_read_alone():
    marks = Marks(50)
    assert marks.note(status("/a"), nobody)
    assert marks.take() == Reading(everything=False, app_ids=frozenset({"/a"}))
    assert marks.take() == Reading(everything=False, app_ids=frozenset())


def test_a_task_event_of_an_app_that_cannot_matter_costs_nothing():
    marks = Marks(50)
    assert not marks.note(status("/a"), lambda app_id: app_id == "/a")
    assert marks.take().app_ids == frozenset()


def test_a_task_event_during_a_reading_is_looked_at_again_with_what_the_reading_tells():
    marks = Marks(50)
    marks.take()
    assert not marks.note(status("/a"), lambda _: True)
    assert not marks.note(status("/b"), lambda _: True)
    assert marks.reconsider(lambda app_id: app_id == "/b")
    assert marks.take().app_ids == {"/a"}


def test_a_task_event_before_a_reading_is_covered_by_it():
    marks = Marks(50)
    marks.note(status("/a"), lambda _: True)
    marks.take()
    assert not marks.reconsider(nobody)


def test_a_definition_event_is_read_even_of_an_app_that_could_not_matter_until_now():
    marks = Marks(50)
    posted = mark_of({"eventType": "api_post_event", "appDefinition": {"id": "/a"}})
    assert marks.note(posted, lambda _: True)
    assert marks.take().app_ids == {"/a"}


def test_the_apps_of_a_deployment_are_read_again_when_their_change_becomes_visible():
    marks = Marks(50)
    marks.note(deployment("deployment_info", "v1", "/a", "/b"), nobody)
    marks.take()
    assert marks.note(group_change("v1"), nobody)
    assert marks.take() == Reading(everything=False, app_ids=frozenset({"/a", "/b"}))
    assert marks.note(deployment("deployment_success", "v1", "/a", "/b"), nobody)
    assert marks.take().app_ids == {"/a", "/b"}


def test_a_group_change_of_an_unknown_plan_has_everything_read():
    marks = Marks(50)
    assert marks.note(group_change("nobody knows", "/shop"), nobody)
    assert marks.take().everything


def test_a_deployment_of_pods_only_has_nothing_read():
    marks = Marks(50)
    assert not marks.note(deployment("deployment_info", "v1"), nobody)
    assert not marks.note(group_change("v1"), nobody)
    assert marks.take() == Reading(everything=False, app_ids=frozenset())


def test_more_apps_than_the_threshold_are_read_as_everything():
    marks = Marks(2)
    for app_id in ("/a", "/b"):
        marks.note(status(app_id), nobody)
    assert not marks.take().everything
    for app_id in ("/a", "/b", "/c"):
        marks.note(status(app_id), nobody)
    assert marks.take() == Reading(everything=True, app_ids=frozenset())


def test_a_reading_that_failed_is_not_forgotten():
    marks = Marks(50)
    marks.again(Reading(everything=False, app_ids=frozenset({"/a"})))
    marks.note(status("/b"), nobody)
    assert marks.take().app_ids == {"/a", "/b"}
    marks.again(Reading(everything=True, app_ids=frozenset()))
    assert marks.take().everything


def test_the_memory_of_plans_is_bounded_and_the_oldest_goes_first():
    marks = Marks(50)
    for number in range(MOST_PLANS + 1):
        marks.note(deployment("deployment_info", f"v{number}", "/a"), nobody)
    marks.take()
    marks.note(group_change("v0"), nobody)
    assert marks.take().everything
    marks.note(group_change(f"v{MOST_PLANS}"), nobody)
    assert not marks.take().everything
