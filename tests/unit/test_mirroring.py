"""When what is read: the quiet time, resyncs, and pauses after failures. Times are small numbers of seconds."""

from __future__ import annotations

import pytest

from fastlb.events import mark_of
from fastlb.marks import Reading
from fastlb.mirroring import FIRST_PAUSE_S, LONGEST_PAUSE_S, Mirroring

SETTLE_S, SETTLE_MAX_S = 0.1, 0.5
LATER_S = 1000.0


def nobody(_app_id):
    return False


def everybody(_app_id):
    return True


def status(app_id):
    return mark_of({"eventType": "status_update_event", "appId": app_id})


def group_change(version):
    return mark_of({"eventType": "group_change_success", "groupId": "/", "version": version})


def single(*app_ids, marked_at_s=None):
    return Reading(False, frozenset(app_ids), marked_at_s)


@pytest.fixture
def mirroring():
    return Mirroring(SETTLE_S, SETTLE_MAX_S)


def note(mirroring, app_id, at_s):
    assert mirroring.note(status(app_id), at_s, nobody)


def take(mirroring, now_s):
    return mirroring.take(now_s, single=True)


def test_what_is_marked_is_read_after_a_quiet_time_and_knows_when_it_was_marked(mirroring):
    note(mirroring, "/a", 10.0)
    note(mirroring, "/b", 10.05)
    assert mirroring.due_s(single=True) == pytest.approx(10.15)
    assert take(mirroring, 10.14) is None
    assert take(mirroring, 10.15) == single("/a", "/b", marked_at_s=10.0)
    assert take(mirroring, LATER_S) is None


def test_events_without_end_put_a_reading_off_no_longer_than_the_maximum(mirroring):
    for tick in range(8):
        note(mirroring, "/a", 10.0 + tick * 0.07)
    assert mirroring.due_s(single=True) == pytest.approx(10.0 + SETTLE_MAX_S)


def test_an_event_that_asks_for_nothing_makes_nothing_due(mirroring):
    assert not mirroring.note(status("/a"), 10.0, everybody)
    assert take(mirroring, LATER_S) is None


def test_what_is_marked_while_something_is_read_is_due_as_well(mirroring):
    note(mirroring, "/a", 10.0)
    take(mirroring, 10.1)
    note(mirroring, "/a", 10.2)
    assert take(mirroring, 10.3) == single("/a", marked_at_s=10.2)


def test_before_everything_was_read_once_no_app_is_read_alone(mirroring):
    note(mirroring, "/a", 10.0)
    assert mirroring.take(LATER_S, single=False) is None
    mirroring.resync(11.0, repairs=False)
    assert mirroring.take(11.0, single=False) == Reading(True, frozenset({"/a"}), 10.0)


def test_a_change_that_nobody_named_has_everything_read_and_what_is_marked_with_it(mirroring):
    note(mirroring, "/a", 10.0)
    mirroring.note(group_change("unknown"), 10.01, nobody)
    assert take(mirroring, 10.11) == Reading(True, frozenset({"/a"}), 10.0)
    assert take(mirroring, LATER_S) is None


def test_an_app_that_fails_is_read_again_after_pauses_that_grow(mirroring):
    mirroring.answered(["/x"], 9.0, nobody)
    now_s, pauses = 10.0, []
    for _ in range(9):
        mirroring.failed(single("/a"), now_s)
        due_s = mirroring.due_s(single=True)
        pauses.append(due_s - now_s)
        now_s = due_s
        assert take(mirroring, now_s) == single("/a")
        assert take(mirroring, LATER_S) is None, "it is being read"
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_S, LONGEST_PAUSE_S)


def test_a_pause_is_short_again_after_an_answer(mirroring):
    for now_s in (10.0, 11.0, 13.0):
        mirroring.failed(single("/a"), now_s)
    mirroring.answered(["/a"], 20.0, nobody)
    assert take(mirroring, LATER_S) is None
    mirroring.failed(single("/a"), 30.0)
    assert mirroring.due_s(single=True) == 30.0 + FIRST_PAUSE_S


def test_an_app_that_fails_alone_holds_up_no_other_however_often_it_fails(mirroring):
    mirroring.answered(["/b"], 9.0, nobody)
    for now_s in (10.0, 20.0, 30.0):
        mirroring.failed(single("/a"), now_s)
    note(mirroring, "/b", 30.1)
    assert take(mirroring, 30.3) == single("/b", marked_at_s=30.1)


def test_an_event_about_an_app_that_fails_has_it_read_at_once(mirroring):
    mirroring.answered(["/b"], 9.0, nobody)
    mirroring.failed(single("/a"), 10.0)
    note(mirroring, "/a", 10.1)
    assert take(mirroring, 10.2) == single("/a", marked_at_s=10.1)


def test_when_marathon_answers_for_nobody_events_do_not_hurry_it_more_and_more_rarely(mirroring):
    now_s, waits = 10.0, []
    for number in range(4):
        mirroring.failed(single(f"/app-{number}"), now_s)
        note(mirroring, f"/app-{number + 1}", now_s)
        waits.append(mirroring.due_s(single=True) - now_s)
        now_s += waits[-1]
        take(mirroring, now_s)
    assert waits == [FIRST_PAUSE_S * factor for factor in (1, 2, 4, 8)]
    mirroring.answered(["/app-4"], now_s, nobody)
    note(mirroring, "/b", now_s)
    assert mirroring.due_s(single=True) == pytest.approx(now_s + SETTLE_S)


def test_a_failed_reading_of_everything_is_read_again_after_a_pause_and_holds_up_no_single_app(mirroring):
    mirroring.resync(10.0, repairs=False)
    mirroring.failed(take(mirroring, 10.0), 12.0)
    note(mirroring, "/a", 12.1)
    assert take(mirroring, 12.2) == single("/a", marked_at_s=12.1)
    assert take(mirroring, 12.9) is None
    assert take(mirroring, 12.0 + FIRST_PAUSE_S).everything


def test_a_resync_begins_with_short_pauses_anew(mirroring):
    for now_s in (10.0, 20.0, 30.0):
        mirroring.failed(Reading(everything=True), now_s)
    mirroring.resync(40.0, repairs=False)
    mirroring.failed(take(mirroring, 40.0), 41.0)
    assert mirroring.due_s(single=True) == 41.0 + FIRST_PAUSE_S


def test_a_change_that_nobody_named_does_not_hurry_a_reading_of_everything_that_failed(mirroring):
    mirroring.resync(10.0, repairs=False)
    mirroring.failed(take(mirroring, 10.0), 12.0)
    mirroring.note(group_change("unknown"), 12.1, nobody)
    assert mirroring.due_s(single=True) == 12.0 + FIRST_PAUSE_S


def test_apps_that_relied_on_everything_are_read_alone_when_it_fails(mirroring):
    note(mirroring, "/a", 9.9)
    mirroring.resync(10.0, repairs=False)
    mirroring.failed(take(mirroring, 10.0), 12.0)
    mirroring.failed(take(mirroring, 13.0), 15.0)
    assert take(mirroring, 15.0 + FIRST_PAUSE_S) == single("/a")


def test_a_task_event_that_was_passed_over_during_a_reading_that_makes_its_app_matter_is_read_again(mirroring):
    mirroring.resync(10.0, repairs=False)
    take(mirroring, 10.0)
    assert not mirroring.note(status("/a"), 10.5, everybody)
    mirroring.answered_everything(frozenset({"/a"}), 11.0, nobody)
    assert take(mirroring, 11.0 + SETTLE_S) == single("/a", marked_at_s=11.0)


# Repairs


def test_what_a_periodic_reading_finds_changed_and_no_event_told_of_is_a_repair(mirroring):
    note(mirroring, "/told", 9.0)
    take(mirroring, 9.5)
    mirroring.resync(10.0, repairs=True)
    take(mirroring, 10.0)
    note(mirroring, "/meanwhile", 10.5)
    changed = frozenset({"/told", "/meanwhile", "/missed"})
    assert mirroring.answered_everything(changed, 11.0, nobody) == {"/missed"}


def test_an_app_that_was_read_after_its_event_can_be_missed_the_next_time(mirroring):
    note(mirroring, "/a", 9.0)
    take(mirroring, 9.5)
    mirroring.answered(["/a"], 9.6, nobody)
    mirroring.resync(10.0, repairs=True)
    take(mirroring, 10.0)
    assert mirroring.answered_everything(frozenset({"/a"}), 11.0, nobody) == {"/a"}


def test_what_a_new_stream_finds_changed_is_no_repair(mirroring):
    mirroring.resync(10.0, repairs=True)
    take(mirroring, 10.0)
    mirroring.resync(10.5, repairs=False)
    assert mirroring.answered_everything(frozenset({"/a"}), 11.0, nobody) == frozenset()


def test_what_a_change_of_a_group_may_have_changed_is_no_repair(mirroring):
    mirroring.resync(10.0, repairs=True)
    take(mirroring, 10.0)
    mirroring.note(group_change("unknown"), 10.5, nobody)
    assert mirroring.answered_everything(frozenset({"/a"}), 11.0, nobody) == frozenset()
