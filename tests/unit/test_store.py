"""What Marathon last said, whatever it said in between."""

from __future__ import annotations

import orjson
import pytest

from fastlb.store import Store
from tests.fakes.apps import CHECK, app, task

GRACE_S = 100.0


def taken(*documents, now_s=0.0, store=None):
    store = store or Store(GRACE_S)
    store.take(documents, now_s)
    return store


def ids(store):
    return [each.id for each in store.apps]


def test_an_app_that_did_not_change_stays_the_same_object():
    store = taken(app("/a"), app("/b"))
    before = store.app("/a")
    assert store.take([app("/a"), app("/b", [10001])], 1.0).changed == {"/b"}
    assert store.app("/a") is before


def test_an_app_that_cannot_be_read_keeps_its_last_good_form_alone():
    store = taken(app("/a"), app("/b"))
    store.take([app("/a", labels=None) | {"labels": None}, app("/b", [10001])], 1.0)
    assert ids(store) == ["/a", "/b"]
    assert [(note.app_id, note.left_out) for note in store.notes] == [("/a", False)]
    assert "its last good form stays" in store.notes[0].text


def test_an_app_that_never_could_be_read_is_left_out_with_its_reason():
    store = taken({"id": "/a"}, app("/b"), 7)
    assert ids(store) == ["/b"]
    assert [note.app_id for note in store.notes if note.mistake] == ["/a", "without id"]


def test_a_sudden_answer_without_apps_is_held_back_for_the_grace_period():
    store = taken(app("/a"), app("/b"))
    assert store.take([], 10.0).held_back_s == GRACE_S
    assert ids(store) == ["/a", "/b"]
    assert store.take([], 10.0 + GRACE_S).held_back_s is None
    assert ids(store) == []


def test_an_answer_whose_entries_are_no_apps_is_one_without_apps():
    store = taken(app("/a"), app("/b"))
    assert store.take([{"id": 7}, {}, None], 10.0).held_back_s == GRACE_S
    assert ids(store) == ["/a", "/b"]


def test_apps_that_come_back_within_the_grace_period_start_it_anew():
    store = taken(app("/a"), app("/b"))
    store.take([], 0.0)
    store.take([app("/a"), app("/b")], 50.0)
    assert store.take([], 2 * GRACE_S).held_back_s == GRACE_S


def test_the_last_app_may_go_at_once():
    store = taken(app("/a"))
    assert store.take([], 1.0).held_back_s is None
    assert ids(store) == []


def test_a_first_answer_without_apps_is_held_back_where_an_earlier_run_left_routes():
    store = Store(GRACE_S, expects_apps=True)
    assert store.take([], 0.0).held_back_s == GRACE_S
    assert store.take([], GRACE_S).held_back_s is None


def test_a_single_answer_replaces_its_app_in_its_place():
    store = taken(app("/a"), app("/b"))
    assert store.take_apps({"/a": app("/a", [10009])}, 0.0).changed == {"/a"}
    assert ids(store) == ["/a", "/b"]
    assert store.app("/a").service_ports == (10009,)


def test_a_single_answer_that_says_the_same_changes_nothing():
    store = taken(app("/a"))
    assert store.take_apps({"/a": app("/a")}, 0.0).changed == frozenset()


def test_an_app_that_is_not_there_any_more_is_removed():
    store = taken(app("/a"), app("/b"))
    assert store.take_apps({"/a": None}, 0.0).changed == {"/a"}
    assert ids(store) == ["/b"]


def test_what_is_no_app_is_remembered_until_everything_is_read():
    store = taken(app("/a"))
    assert store.take_apps({"/pod": None}, 0.0).changed == frozenset()
    assert store.is_absent("/pod")
    store.take([app("/a")], 1.0)
    assert not store.is_absent("/pod")


def test_an_answer_about_another_app_than_asked_for_is_refused():
    store = taken(app("/a"))
    store.take_apps({"/a": app("/b")}, 0.0)
    assert ids(store) == ["/a"]
    assert "answered with app /b" in store.notes[0].text


@pytest.mark.parametrize(
    "document",
    [app("/new", labels={"HAPROXY_DEPLOYMENT_GROUP": "g"}), app("/new", [], networks=[{"mode": "container"}])],
)
def test_a_new_app_whose_place_matters_asks_for_a_full_answer(document):
    store = taken(app("/a"))
    assert store.take_apps({"/new": document}, 0.0).order_unknown
    assert not store.take_apps({"/new": document}, 0.0).order_unknown


def test_an_app_whose_place_begins_to_matter_asks_for_a_full_answer():
    store = taken(app("/a"))
    grouped = app("/a", labels={"HAPROXY_DEPLOYMENT_GROUP": "g"})
    assert store.take_apps({"/a": grouped}, 0.0).order_unknown
    assert not store.take_apps({"/a": {**grouped, "instances": 2}}, 0.0).order_unknown


def test_each_sudden_answer_without_apps_has_a_grace_period_of_its_own():
    store = taken(app("/a"), app("/b"))
    store.take([], 0.0)
    store.take([], GRACE_S)
    store.take_apps({"/c": app("/c"), "/d": app("/d")}, 0.0)
    assert store.take([], 3 * GRACE_S).held_back_s == GRACE_S


def test_a_verdict_that_marathon_forgot_is_remembered_while_the_task_is_there():
    sick = app("/a", healthChecks=[CHECK], tasks=[task(1, healthCheckResults=[{"alive": True}]), task(2)])
    silent = app("/a", healthChecks=[CHECK], tasks=[task(1, healthCheckResults=[]), task(2)])
    store = taken(sick)
    store.take([silent], 1.0)
    assert store.known_alive == {"task.1"}
    store.take([app("/a", healthChecks=[CHECK], tasks=[task(2)])], 2.0)
    assert store.known_alive == frozenset()


def test_labels_too_deep_to_be_compared_cost_that_app_alone():
    def deep():
        return app("/deep") | {"labels": {"x": orjson.loads(b"[" * 1010 + b"]" * 1010)}}

    store = taken(deep(), app("/a"))
    found = store.take([deep(), app("/a", [10001])], 1.0)
    assert (found.changed, [note.app_id for note in store.notes]) == ({"/a"}, ["/deep"])
