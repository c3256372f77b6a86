"""Old workers against their limits: who waits, who goes, in which order."""

from __future__ import annotations

import pytest

from fastlb.generations import MIB, End, OldWorker, Postpone, ReloadNow, WorkerLimits, at_rest, before_reload, cheapest

LIMITS = WorkerLimits(most=3, age_s=1800, resident_bytes=600 * MIB, patience_s=5)
SERVING = 100 * MIB


def worker(pid: int, **more) -> OldWorker:
    return OldWorker(pid, **{"age_s": 60, "resident_bytes": 100 * MIB, "connections": 1, "idle_s": 0} | more)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_below_every_limit_nothing_stands_in_the_way(count):
    assert before_reload([worker(pid) for pid in range(count)], SERVING, LIMITS, 0) == ReloadNow()


@pytest.mark.parametrize(("waited_s", "seconds"), [(0, 0.5), (4.9, 0.1)])
def test_a_reload_that_would_leave_too_many_waits_as_long_as_it_has_patience(waited_s, seconds):
    decision = before_reload([worker(pid) for pid in range(3)], SERVING, LIMITS, waited_s)
    assert isinstance(decision, Postpone)
    assert decision.seconds == pytest.approx(seconds)
    assert decision.why == "after a reload there would be 4 old workers, more than 3 (--max-old-workers)"


def test_when_patience_is_over_one_goes_and_the_next_look_lets_the_reload_through():
    old = [worker(pid) for pid in range(3)]
    decision = before_reload(old, SERVING, LIMITS, 5)
    assert isinstance(decision, End)
    assert before_reload([one for one in old if one != decision.worker], SERVING, LIMITS, 5) == ReloadNow()


def test_the_memory_that_the_serving_worker_will_keep_counts():
    old = [worker(1, resident_bytes=300 * MIB)]
    assert before_reload(old, 300 * MIB, LIMITS, 0) == ReloadNow()
    decision = before_reload(old, 301 * MIB, LIMITS, 9)
    assert isinstance(decision, End)
    assert "2 old workers with 601 MiB, more than 600 MiB (--max-old-workers-memory)" in decision.why


def test_a_serving_worker_above_the_limit_alone_does_not_forbid_reloads_for_ever():
    assert before_reload([], 700 * MIB, LIMITS, 0) == ReloadNow()


@pytest.mark.parametrize(
    ("cheap", "dear"),
    [
        ({"connections": 1}, {"connections": 2, "idle_s": 1000, "age_s": 1000}),
        ({"idle_s": 20}, {"idle_s": 10, "age_s": 1000}),
        ({"age_s": 20}, {"age_s": 10}),
        ({"connections": 500}, {"connections": 1, "kept": 1}),
        ({"kept": 1, "connections": 9}, {"kept": 2, "connections": 2}),
        ({"connections": 500}, {"connections": None}),
        ({"connections": None}, {"connections": 1, "kept": 1}),
    ],
)
def test_the_one_whose_end_costs_least_goes_first(cheap, dear):
    assert cheapest([worker(2, **dear), worker(1, **cheap)]).pid == 1
    assert cheapest([worker(1, **cheap), worker(2, **dear)]).pid == 1


def test_at_rest_nobody_goes_within_the_limits():
    assert at_rest([worker(pid, age_s=1800) for pid in range(3)], LIMITS) is None


def test_at_rest_too_many_and_too_big_are_reduced():
    too_many = at_rest([worker(pid) for pid in range(4)], LIMITS)
    too_big = at_rest([worker(1, resident_bytes=500 * MIB), worker(2, resident_bytes=101 * MIB)], LIMITS)
    assert too_many is not None
    assert too_many.why.startswith("there are 4 old workers, more than 3")
    assert too_big is not None
    assert too_big.why.startswith("there are 2 old workers with 601 MiB")


def test_the_only_old_worker_is_not_too_big_but_may_be_too_old():
    assert at_rest([worker(1, resident_bytes=700 * MIB)], LIMITS) is None
    decision = at_rest([worker(1, age_s=1801), worker(2)], LIMITS)
    assert decision is not None
    assert (decision.worker.pid, "--max-old-worker-age" in decision.why) == (1, True)


def test_who_holds_connections_to_be_kept_is_not_too_old_and_without_a_limit_nobody_is():
    assert at_rest([worker(1, age_s=9999, kept=1)], LIMITS) is None
    assert at_rest([worker(1, age_s=9999)], LIMITS._replace(age_s=0)) is None


def test_a_worker_says_what_it_holds():
    said = str(worker(7, connections=3, kept=2, idle_s=12.4, resident_bytes=205 * MIB, age_s=61))
    assert said == "old worker 7 (3 connection(s), 2 of them to be kept, silent for 12 s, 205 MiB, 61 s old)"
    assert "connections unknown" in str(worker(7, connections=None))
