"""How a run begins: fresh, going on, completing either way, or not at all (COMPAT.md 9.2)."""

from __future__ import annotations

import pytest

from fastlb.zdd.definitions import Sizes, first_colour, next_colour
from fastlb.zdd.machine import Aim
from fastlb.zdd.outcomes import Code, ZddError
from fastlb.zdd.start import Wish, begin

THEN, NOW = "2026-01-01T00:00:00.000000", "2026-01-02T00:00:00.000000"
LABELS = {"HAPROXY_DEPLOYMENT_GROUP": "web", "HAPROXY_DEPLOYMENT_ALT_PORT": "10001"}
FILE = {"id": "/api", "instances": 4, "labels": LABELS, "ports": [10000], "healthChecks": [{}]}
FRESH = Wish()
OTHER = FILE | {"cmd": "another version"}


def alone(**members):
    return first_colour(FILE, THEN) | members


def pair(*, split=0, **older):
    return [next_colour(OTHER, alone(), Sizes(1, split), NOW), alone(**older)]


def refused(apps, wish=FRESH, file=FILE):
    with pytest.raises(ZddError) as caught:
        begin(file, apps, wish, NOW)
    return caught.value


def test_the_first_app_of_a_group_is_created_and_that_is_all():
    start = begin(FILE, [], Wish(), NOW)
    assert start.definition["id"] == "/api-blue"
    assert start.aim is None


def test_a_second_one_takes_over_from_the_first():
    start = begin(OTHER, [alone()], Wish(linear=2), NOW)
    assert start.definition["id"] == "/api-green"
    assert start.aim == Aim("web", "/api-green", "/api-blue", 4, linear=2)
    assert start.sizes == (1, 4)


def test_a_split_is_capped_at_what_runs():
    assert begin(OTHER, [alone()], Wish(split=9), NOW).aim.split == 4


@pytest.mark.parametrize(
    ("wish", "aim"),
    [
        (Wish(resume=True), Aim("web", "/api-green", "/api-blue", 4, split=2)),
        (Wish(complete_newer=True), Aim("web", "/api-green", "/api-blue", 4)),
        (Wish(complete_older=True), Aim("web", "/api-blue", "/api-green", 4, forces=True)),
        (Wish(complete_newer=True, resume=True), Aim("web", "/api-green", "/api-blue", 4)),
    ],
)
def test_a_deployment_in_progress_goes_on_as_asked_whatever_the_file_says(wish, aim):
    start = begin(FILE, pair(split=2), wish, NOW)
    assert start.definition is None
    assert start.aim == aim


def test_a_deployment_in_progress_is_nothing_to_start_another_on():
    error = refused(pair())
    assert error.code == Code.UNEXPECTED
    assert "--resume" in str(error)


def test_three_apps_are_too_many_for_any_wish():
    error = refused([*pair(), alone(id="/third")], Wish(resume=True))
    assert error.code == Code.GROUP
    assert "/third" in str(error)


@pytest.mark.parametrize("apps", [[], [alone()]])
@pytest.mark.parametrize("wish", [Wish(complete_newer=True), Wish(complete_older=True)])
def test_without_two_apps_there_is_nothing_to_complete(apps, wish):
    assert refused(apps, wish).code == Code.NO_SPLIT


@pytest.mark.parametrize("wish", [Wish(resume=True), Wish(complete_newer=True), Wish(complete_older=True)])
def test_going_on_with_a_run_that_was_killed_when_all_was_done_does_nothing(wish):
    start = begin(OTHER, [alone()], wish._replace(left_by="/api-blue"), NOW)
    assert (start.definition, start.aim) == (None, None)
    assert start.over == start.wanted_id == "/api-blue"


def test_resuming_when_what_the_file_asks_for_is_in_place_does_nothing():
    assert begin(FILE, [alone()], Wish(resume=True), NOW).over == "/api-blue"


@pytest.mark.parametrize(
    ("file", "app", "wish"),
    [
        (FILE, alone(), Wish()),
        (OTHER, alone(), Wish(resume=True)),
        (FILE, alone(), Wish(resume=True, left_by="/api-green")),
        (FILE, alone(instances=3), Wish(resume=True)),
        (FILE, alone(labels=LABELS), Wish(resume=True)),
    ],
    ids=["not resumed", "another file", "a lock wants another", "fewer than asked for", "not by fastlb"],
)
def test_an_app_is_deployed_beside_one_that_may_not_be_what_is_wanted(file, app, wish):
    start = begin(file, [app], wish, NOW)
    assert start.definition["id"] == start.wanted_id == "/api-green"


def test_an_app_that_was_scaled_by_hand_stays_whole_and_cannot_be_split():
    start = begin(OTHER, [alone(instances=6)], Wish(), NOW)
    assert start.aim.total == 6
    assert not start.aim.thins
    assert any("stays until all" in note for note in start.notes)
    assert refused([alone(instances=6)], Wish(split=2), OTHER).code == Code.DEFINITION


def test_going_back_asks_for_what_the_newer_deployment_found():
    newer = next_colour(OTHER, alone(instances=6), Sizes(1, 0), NOW)
    assert begin(FILE, [newer, alone(instances=6)], Wish(complete_older=True), NOW).aim.total == 6


def test_no_instances_are_worth_a_word():
    start = begin(OTHER, [alone(instances=0)], Wish(), NOW)
    assert start.aim.total == 0
    assert any("nothing serves" in note for note in start.notes)
