"""What of apps and tasks that are missing all at once is kept, for how long, and what is followed meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlb.keeping import Keeping
from fastlb.shrink import WINDOW_S, ShrinkGuard
from fastlb.store import Store
from tests.fakes.apps import CHECK, app, task

GRACE_S = 100.0
SHARE = 0.5
LEAST = 4
IDS = [f"/app{number}" for number in range(8)]


def one(app_id, *tasks, **members):
    number = IDS.index(app_id)
    tasks = tasks or (listed(app_id),)
    return app(app_id, [10000 + number], tasks=list(tasks), **members)


def listed(app_id, number=0, **members):
    usual = {"id": f"{app_id}.{number}", "host": f"127.0.1.{IDS.index(app_id) + 1}", "ports": (31000 + number,)}
    return task(**usual | members)


def cluster(*app_ids):
    return [one(app_id) for app_id in app_ids or IDS]


def guarded(documents=None, share=SHARE, least=LEAST):
    keeping = Keeping(ShrinkGuard(share, least, GRACE_S), lambda each: len(each.tasks) if wanted(each) else 0)
    store = Store(GRACE_S, keeping=keeping)
    store.take(documents or cluster(), 0.0)
    return store


def wanted(each):
    return each.labels.get("HAPROXY_GROUP") != "internal"


def ids(store):
    return [each.id for each in store.apps]


def tasks_of(store, app_id):
    return [each.id for each in store.app(app_id).tasks]


def test_apps_that_are_missing_all_at_once_are_kept_and_given_up_after_the_grace_period():
    store = guarded()
    assert store.take(cluster(*IDS[:3]), 10.0).kept_s == GRACE_S
    assert ids(store) == IDS
    assert store.kept == set(IDS[3:])
    assert store.take(cluster(*IDS[:3]), 9.0 + GRACE_S).kept_s == 1.0
    assert store.take(cluster(*IDS[:3]), 10.0 + GRACE_S).kept_s is None
    assert ids(store) == IDS[:3]
    assert not store.kept


def test_what_is_kept_is_no_change():
    store = guarded()
    store.take_changes()
    assert store.take(cluster(*IDS[:3]), 10.0).changed == frozenset()
    assert store.take(cluster(*IDS[:3]), 20.0).changed == frozenset()
    assert store.take_changes().app_ids == frozenset()


def test_all_else_that_such_an_answer_says_is_followed():
    store = guarded(cluster(*IDS[:7]))
    changed = one("/app0", labels={"HAPROXY_0_VHOST": "new.test"})
    assert store.take([changed, one("/app1"), one("/app7")], 10.0).changed == {"/app0", "/app7"}
    assert store.app("/app0").labels == {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "new.test"}
    assert ids(store) == IDS


def test_half_of_the_apps_may_go_at_once():
    store = guarded()
    assert store.take(cluster(*IDS[:4]), 10.0).kept_s is None
    assert ids(store) == IDS[:4]


@pytest.mark.parametrize(("share", "least"), [(1.0, 1), (SHARE, 9)])
def test_a_guard_that_is_off_and_a_cluster_that_is_small_keep_nothing(share, least):
    store = guarded(share=share, least=least)
    assert store.take(cluster("/app0"), 10.0).kept_s is None


def test_a_first_answer_is_believed_however_small_it_is():
    store = guarded(cluster("/app0"))
    assert ids(store) == ["/app0"]


def test_apps_that_come_back_were_never_gone_and_the_next_time_has_a_grace_period_of_its_own():
    store = guarded()
    store.take(cluster(*IDS[:3]), 0.0)
    assert store.take(cluster(), 50.0).changed == frozenset()
    assert not store.kept
    assert store.take(cluster(*IDS[:3]), GRACE_S).kept_s == GRACE_S


def test_the_next_full_answer_after_an_operator_says_so_is_believed():
    store = guarded()
    store.take(cluster(*IDS[:3]), 0.0)
    store.release()
    assert store.take_apps(dict.fromkeys(IDS[3:]), 1.0).kept_s is not None
    assert store.take(cluster(*IDS[:3]), 1.0).kept_s is None
    assert ids(store) == IDS[:3]


def test_what_an_operator_says_while_nothing_is_missing_is_not_remembered():
    store = guarded()
    store.release()
    assert store.take(cluster(*IDS[:3]), 1.0).kept_s == GRACE_S


def test_an_answer_without_apps_is_believed_when_an_operator_says_so():
    store = guarded()
    assert store.take([], 0.0).held_back_s == GRACE_S
    store.release()
    assert store.take([], 1.0).held_back_s is None
    assert ids(store) == []


def test_single_apps_may_go_until_there_are_too_many_of_them():
    store = guarded()
    answers = [store.take_apps({app_id: None}, 1.0).kept_s for app_id in IDS[:6]]
    assert answers == [None] * 4 + [GRACE_S] * 2
    assert ids(store) == IDS[4:]
    assert store.kept == {"/app4", "/app5"}
    assert store.take(cluster("/app6", "/app7"), 1.0 + GRACE_S).kept_s is None
    assert ids(store) == ["/app6", "/app7"]


def test_apps_that_go_one_after_the_other_over_a_longer_time_are_no_accident():
    store = guarded()
    for number, app_id in enumerate(IDS):
        assert store.take_apps({app_id: None}, number * WINDOW_S / 2).kept_s is None
    assert ids(store) == []


def test_tasks_of_a_single_app_may_go_however_many_they_are():
    many = [listed("/app0", number) for number in range(100)]
    store = guarded([one("/app0", *many), *cluster(*IDS[1:])])
    store.take_apps({"/app0": one("/app0")}, 1.0)
    assert tasks_of(store, "/app0") == ["/app0.0"]


def test_tasks_that_are_missing_all_at_once_are_kept_beside_the_new_ones():
    store = guarded()
    bare = [app(app_id, [10000 + number], tasks=[]) for number, app_id in enumerate(IDS)]
    bare[0] = one("/app0", listed("/app0", 1))
    assert store.take(bare, 10.0).kept_s == GRACE_S
    assert tasks_of(store, "/app0") == ["/app0.1", "/app0.0"]
    assert tasks_of(store, "/app5") == ["/app5.0"]


def test_a_task_whose_end_marathon_tells_is_not_missing():
    store = guarded()
    failed = [one(app_id, listed(app_id, state="TASK_FAILED", ports=[])) for app_id in IDS]
    assert store.take(failed, 10.0).kept_s is None
    assert store.app("/app0").tasks[0].state == "TASK_FAILED"


def test_a_rolling_upgrade_of_everything_replaces_tasks_and_is_followed():
    store = guarded()
    for now_s in range(1, 5):
        upgraded = [one(app_id, listed(app_id, now_s)) for app_id in IDS]
        assert store.take(upgraded, float(now_s)).kept_s is None
    assert tasks_of(store, "/app3") == ["/app3.4"]


def test_a_place_that_somebody_else_has_by_now_is_given_up():
    store = guarded()
    heir = one("/app0", listed("/app0"), task(host="127.0.1.8", ports=(31000,), id="heir"))
    store.take([heir], 10.0)
    assert tasks_of(store, "/app6") == ["/app6.0"]
    assert store.app("/app7") is None


def test_apps_of_other_groups_are_not_protected_and_protect_nobody():
    internal = {"labels": {"HAPROXY_GROUP": "internal"}}
    store = guarded([*cluster(*IDS[:4]), *(one(app_id, **internal) for app_id in IDS[4:])])
    assert store.take(cluster(*IDS[:4]), 1.0).kept_s is None
    assert store.take(cluster("/app0"), 2.0).kept_s == GRACE_S


def test_apps_that_somebody_takes_out_by_their_labels_go_at_once():
    store = guarded()
    assert store.take([one(app_id, labels={"HAPROXY_GROUP": "internal"}) for app_id in IDS], 1.0).kept_s is None


def test_a_new_leader_that_has_forgotten_all_health_drops_nothing():
    verdict = {"healthCheckResults": [{"alive": True}]}
    store = guarded([one(app_id, listed(app_id, **verdict), healthChecks=[CHECK]) for app_id in IDS])
    forgetful = [one(app_id, listed(app_id), healthChecks=[CHECK]) for app_id in reversed(IDS)]
    assert store.take(forgetful, 1.0).kept_s is None
    assert store.known_alive == {f"{app_id}.0" for app_id in IDS}


def test_what_is_remembered_of_sizes_is_bounded():
    guard = ShrinkGuard(SHARE, LEAST, GRACE_S)
    store = Store(GRACE_S, keeping=Keeping(guard, lambda each: len(each.tasks)))
    store.take(cluster(), 0.0)
    for step in range(1000):
        store.take_apps({"/app0": None if step % 2 else one("/app0")}, step / 10)
    assert len(guard._largest) <= WINDOW_S + 2


answers = st.lists(
    st.tuples(st.booleans(), st.sets(st.sampled_from(IDS)), st.sampled_from([0.5, 5.0, GRACE_S])), max_size=12
)


@given(answers)
def test_whatever_was_kept_in_between_the_store_ends_at_what_marathon_says(history):
    store, now_s, kept_s = guarded(), 0.0, None
    named = set(IDS)
    for whole, app_ids, seconds in history:
        now_s += seconds
        if whole:
            named = set(app_ids)
            store.take([one(app_id) for app_id in sorted(named)], now_s)
        else:
            named -= app_ids
            store.take_apps(dict.fromkeys(app_ids), now_s)
    for _ in range(2):
        taken = store.take([one(app_id) for app_id in sorted(named)], now_s)
        kept_s = taken.kept_s if taken.held_back_s is None else taken.held_back_s
        now_s += kept_s or 0.0
    assert kept_s is None
    assert set(ids(store)) == named
    assert not store.kept
