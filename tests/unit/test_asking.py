"""What is asked of Marathon when, and which answers may be used."""

from __future__ import annotations

import pytest

from fastlb.asking import Ask, Asking
from fastlb.marks import Reading

MOST = 3
EVERYTHING = Reading(everything=True)


def single(*app_ids, marked_at_s=None):
    return Reading(False, frozenset(app_ids), marked_at_s)


def document(app_id, version=1):
    return {"id": app_id, "version": version}


def asking_for(*readings):
    """Return an `Asking` that has begun with each of these in turn."""
    asking = Asking(MOST)
    for reading in readings:
        asking.want(reading)
        asking.begin()
    return asking


def test_apps_are_asked_for_alone_and_once():
    asking = Asking(MOST)
    asking.want(single("/a", "/b"))
    ask = asking.begin()
    assert (ask.everything, set(ask.app_ids)) == (False, {"/a", "/b"})
    assert asking.begin() == Ask()
    for app_id in ("/a", "/b"):
        assert not asking.idle
        asking.answered(app_id, document(app_id))
    assert asking.idle


def test_an_app_that_is_wanted_while_it_is_asked_for_is_asked_for_again_afterwards_and_others_at_once():
    asking = asking_for(single("/a"))
    asking.want(single("/a", "/b"))
    assert asking.begin() == Ask(app_ids=("/b",))
    asking.answered("/a", document("/a"))
    assert asking.begin() == Ask(app_ids=("/a",))


def test_an_app_that_was_wanted_again_is_asked_for_again_after_a_failure_too():
    asking = asking_for(single("/a"))
    asking.want(single("/a"))
    asking.failed("/a")
    assert asking.begin() == Ask(app_ids=("/a",))


def test_an_answer_tells_when_its_app_was_first_marked():
    asking = asking_for(single("/a", marked_at_s=1.0))
    asking.want(single("/a", marked_at_s=2.0))
    asking.want(single("/a", marked_at_s=3.0))
    assert asking.answered("/a", None) == 1.0
    asking.begin()
    assert asking.answered("/a", None) == 2.0


def test_more_apps_than_the_threshold_are_read_as_everything():
    asking = Asking(MOST)
    asking.want(single("/a", "/b", marked_at_s=7.0))
    asking.begin()
    asking.want(single("/c", "/d", marked_at_s=8.0))
    assert asking.begin() == Ask(everything=True)
    assert asking.begin() == Ask()
    assert asking.answered_everything([]).marked_at_s == 8.0


@pytest.mark.parametrize("app_id", ["/shop/tasks", "/shop/versions", "/restart"])
def test_everything_is_read_for_an_app_whose_id_asks_for_something_else(app_id):
    asking = Asking(MOST)
    asking.want(single("/a", app_id, marked_at_s=3.0))
    assert asking.begin() == Ask(everything=True)
    asking.want(single(app_id))
    assert asking.begin() == Ask()
    assert asking.answered_everything([document("/a")]).marked_at_s == 3.0
    assert asking.begin() == Ask(everything=True)


def test_an_id_that_only_begins_like_that_is_asked_for_alone():
    asking = Asking(MOST)
    asking.want(single("/tasks/a", "/mytasks"))
    assert set(asking.begin().app_ids) == {"/tasks/a", "/mytasks"}


def test_more_apps_than_the_threshold_while_everything_is_read_have_it_read_again_afterwards():
    asking = asking_for(EVERYTHING)
    asking.want(single("/a", "/b", "/c", "/d"))
    assert asking.begin() == Ask()
    asking.answered_everything([])
    assert asking.begin() == Ask(everything=True)


def test_what_is_wanted_when_everything_begins_is_covered_by_it():
    asking = Asking(MOST)
    asking.want(single("/a"))
    asking.want(EVERYTHING)
    assert asking.begin() == Ask(everything=True)
    asking.answered_everything([])
    assert asking.idle


def test_an_app_marked_again_while_it_is_asked_for_is_not_covered_since_its_answer_may_be_the_older_one():
    asking = asking_for(single("/a"))
    asking.want(single("/a"))
    asking.want(EVERYTHING)
    assert asking.begin() == Ask(everything=True)
    asking.answered("/a", document("/a", 1))
    assert asking.begin() == Ask(app_ids=("/a",))


def test_everything_is_asked_for_once_at_a_time():
    asking = asking_for(EVERYTHING)
    asking.want(EVERYTHING)
    assert asking.begin() == Ask()
    asking.answered_everything([])
    assert asking.begin() == Ask(everything=True)


def test_single_apps_are_asked_for_while_everything_is_read():
    asking = asking_for(EVERYTHING)
    asking.want(single("/a"))
    assert asking.begin() == Ask(app_ids=("/a",))


def test_an_app_that_was_answered_while_everything_was_read_keeps_that_answer_in_its_place():
    asking = asking_for(EVERYTHING, single("/b", "/new", "/gone"))
    asking.answered("/b", document("/b", 2))
    asking.answered("/new", document("/new", 2))
    asking.answered("/gone", None)
    documents = asking.answered_everything([document(app_id) for app_id in ("/a", "/gone", "/b", "/c")]).documents
    assert documents == [document("/a"), document("/b", 2), document("/c"), document("/new", 2)]


def test_an_answer_of_before_is_no_newer_than_everything():
    asking = asking_for(single("/a"))
    asking.answered("/a", document("/a", 1))
    asking.want(EVERYTHING)
    asking.begin()
    assert asking.answered_everything([document("/a", 2)]).documents == [document("/a", 2)]


def test_an_answer_with_another_id_takes_nobodys_place():
    asking = asking_for(EVERYTHING, single("/a"))
    asking.answered("/a", document("/b", 2))
    everything = [document("/a"), document("/b")]
    assert asking.answered_everything(everything).documents == everything


def test_an_entry_without_an_id_takes_nobodys_place():
    asking = asking_for(EVERYTHING, single("/a"))
    asking.answered("/a", document("/a", 2))
    odd = [{"id": ["/a"]}, {}]
    assert asking.answered_everything(odd).documents == [*odd, document("/a", 2)]


def test_a_request_that_began_before_everything_and_outlasts_it_is_dropped():
    asking = asking_for(single("/a"), EVERYTHING)
    assert asking.answered_everything([document("/a")]).dropped == ("/a",)
    assert asking.idle


def test_a_request_that_began_during_everything_and_outlasts_it_is_dropped_and_sent_again():
    asking = asking_for(EVERYTHING, single("/a", marked_at_s=5.0))
    assert asking.answered_everything([document("/a")]).dropped == ("/a",)
    assert asking.begin() == Ask(app_ids=("/a",))
    assert asking.answered("/a", document("/a", 2)) == 5.0


def test_a_failed_reading_of_everything_names_the_apps_that_relied_on_it():
    asking = Asking(MOST)
    asking.want(single("/a", marked_at_s=3.0))
    asking.want(EVERYTHING)
    asking.begin()
    assert asking.failed_everything() == Reading(True, frozenset({"/a"}), 3.0)
    assert asking.idle
