"""Deployment groups: which app gives the definition, how many tasks drain, and who is left out of a broken group."""

from __future__ import annotations

import pytest

from fastlb.deployment import known_as, merge_groups
from fastlb.reading import read_app
from tests.fakes.apps import CHECK, app, task

OLD, NEW = "2020-01-01T00:00:00", "2021-01-01T00:00:00"


def colour(app_id, started, count, *, alive=True, labels=None, **members):
    """An app of group ``svc`` with ``count`` tasks and instances."""
    stamp = {} if started is None else {"HAPROXY_DEPLOYMENT_STARTED_AT": started}
    results = [{"alive": alive}]
    tasks = [task(f"{app_id[1:]}-{n}", healthCheckResults=results) for n in reversed(range(count))]
    given = {"HAPROXY_DEPLOYMENT_GROUP": "svc", **stamp, **(labels or {})}
    return app(app_id, labels=given, **{"tasks": tasks, "instances": count, **members})


def merged(*documents):
    apps, notes = merge_groups([read_app(document) for document in documents])
    return apps, [str(note) for note in notes]


def drained(*documents):
    """Return how many tasks drain, and the ids of all in their order."""
    (only,), notes = merged(*documents)
    assert not notes
    return sum(each.draining for each in only.tasks), [each.id.removeprefix("task.") for each in only.tasks]


def test_apps_without_the_label_come_first_and_groups_in_the_order_first_seen():
    second = app("/z", labels={"HAPROXY_DEPLOYMENT_GROUP": "/other"})
    apps, notes = merged(colour("/blue", OLD, 1), app("/plain"), second, colour("/green", NEW, 1))
    assert [each.id for each in apps] == ["/plain", "/svc", "/other"]
    assert not notes


@pytest.mark.parametrize("order", [1, -1])
def test_the_older_app_gives_definition_and_first_tasks_whatever_the_order(order):
    blue = colour("/blue", OLD, 2, ports=[10001])
    green = colour("/green", NEW, 1, ports=[10002])
    (only,), _ = merged(*[blue, green][::order])
    assert only.service_ports == (10001,)
    assert [each.id for each in only.tasks] == ["task.blue-0", "task.blue-1", "task.green-0"]


@pytest.mark.parametrize("dates", [(OLD, OLD), (None, None), (NEW, None)])
def test_with_equal_or_missing_dates_the_app_that_came_first_is_the_new_one(dates):
    (only,), _ = merged(colour("/blue", dates[0], 1, ports=[10001]), colour("/green", dates[1], 1, ports=[10002]))
    assert only.service_ports == (10002,)


@pytest.mark.parametrize(
    ("old", "new", "drains"),
    [
        (colour("/blue", OLD, 3), colour("/green", NEW, 2), 2),
        (colour("/blue", OLD, 1), colour("/green", NEW, 3), 1),
        (colour("/blue", OLD, 3), colour("/green", NEW, 0), 0),
        (colour("/blue", OLD, 3), colour("/green", NEW, 2, alive=False), 2),
        (colour("/blue", OLD, 3), colour("/green", NEW, 2, alive=False, healthChecks=[CHECK]), 0),
        (colour("/blue", OLD, 3), colour("/green", NEW, 2, healthChecks=[CHECK]), 2),
    ],
)
def test_as_many_old_tasks_drain_as_the_new_app_can_replace(old, new, drains):
    assert drained(old, new)[0] == drains


def test_presence_of_checks_in_the_app_that_came_second_decides_what_healthy_means():
    sick = colour("/green", NEW, 2, alive=False)
    assert drained(sick, colour("/blue", OLD, 3))[0] == 2
    assert drained(sick, colour("/blue", OLD, 3, healthChecks=[CHECK]))[0] == 0


@pytest.mark.parametrize(("states", "drains"), [(["TASK_STAGING"], 0), ([], 0), (["TASK_RUNNING"], 1), ([None], 1)])
def test_without_health_checks_a_new_task_replaces_an_old_one_once_it_runs(states, drains):
    tasks = [task(f"green-{number}", state=state) for number, state in enumerate(states)]
    assert drained(colour("/blue", OLD, 1), colour("/green", NEW, 1, tasks=tasks))[0] == drains


def hybrid(target, new_instances="0"):
    return {"HAPROXY_DEPLOYMENT_TARGET_INSTANCES": target, "HAPROXY_DEPLOYMENT_NEW_INSTANCES": new_instances}


def scaled(at):
    return {"versionInfo": {"lastScalingAt": at}}


def test_the_target_counts_only_with_the_new_instances_label():
    target = {"HAPROXY_DEPLOYMENT_TARGET_INSTANCES": "5"}
    assert drained(colour("/blue", OLD, 3), colour("/green", NEW, 2, labels=target))[0] == 2
    with_both = colour("/green", NEW, 2, labels=hybrid("4"), **scaled("2"))
    assert drained(colour("/blue", OLD, 3, **scaled("1")), with_both)[0] == 1


def test_nothing_drains_while_both_together_are_below_the_target():
    green = colour("/green", NEW, 1, labels=hybrid("9"), **scaled("2"))
    assert drained(colour("/blue", OLD, 2, **scaled("1")), green)[0] == 0


def test_with_the_new_instances_label_the_app_that_was_scaled_last_is_the_new_one():
    blue = colour("/blue", OLD, 2, labels=hybrid("3"), ports=[10001], **scaled("2"))
    green = colour("/green", NEW, 2, labels=hybrid("3"), ports=[10002], **scaled("1"))
    (only,), _ = merged(blue, green)
    assert only.service_ports == (10002,)
    assert [each.draining for each in only.tasks] == [True, False, False, False]


def test_a_third_app_merges_with_the_result():
    count, ids = drained(colour("/a", OLD, 1), colour("/b", NEW, 1), colour("/c", "2022-01-01", 1))
    assert (count, ids) == (1, ["a-0", "b-0", "c-0"])


def test_draining_in_the_json_is_honoured():
    (only,), _ = merged(app(tasks=[task(draining=True)]))
    assert only.tasks[0].draining


def test_a_date_that_cannot_be_read_matters_only_where_there_is_something_to_merge():
    assert merged(colour("/blue", "garbage", 1))[1] == []


@pytest.mark.parametrize(
    ("documents", "guilty", "words"),
    [
        ([colour("/b", OLD, 1, labels={"HAPROXY_DEPLOYMENT_GROUP": ""})], "/b", "HAPROXY_DEPLOYMENT_GROUP is ''"),
        ([colour("/b", OLD, 1, labels={"HAPROXY_DEPLOYMENT_GROUP": 5})], "/b", "HAPROXY_DEPLOYMENT_GROUP is 5"),
        ([colour("/b", "garbage", 1), colour("/g", NEW, 1)], "/b", "STARTED_AT is 'garbage', which is no date"),
        ([colour("/b", OLD, 1), colour("/g", 5, 1)], "/g", "STARTED_AT is 5, which is no date"),
        ([colour("/b", OLD, 1), colour("/g", NEW + "Z", 1)], "/g", "time zone in one app"),
        ([colour("/b", OLD, 1), colour("/g", NEW, 1, labels=hybrid("1"))], "/g", "no versionInfo.lastScalingAt"),
        (
            [colour("/b", OLD, 1, **scaled("1")), colour("/g", NEW, 1, labels=hybrid("many"), **scaled("2"))],
            "/g",
            "HAPROXY_DEPLOYMENT_TARGET_INSTANCES of app /g is 'many'",
        ),
        ([colour("/b", OLD, 1), colour("/g", NEW, 1, instances=None)], "/g", "app /g has no instances member"),
    ],
)
def test_an_app_that_breaks_its_group_is_left_out_alone(documents, guilty, words):
    apps, notes = merged(*documents)
    assert len(apps) == len(documents) - 1
    assert len(notes) == 1
    assert notes[0].startswith(f"app {guilty}: ")
    assert words in notes[0]


@pytest.mark.parametrize(("group", "known"), [("shop", "/shop"), ("/shop", "/shop"), ("", "/blue"), (5, "/blue")])
def test_the_id_of_an_app_in_haproxy_is_that_of_its_deployment_group(group, known):
    assert known_as(read_app(app("/blue", labels={"HAPROXY_DEPLOYMENT_GROUP": group}))) == known
