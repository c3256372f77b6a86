"""What comes next: one step at a time, and whole deployments in worlds that help, lag, fail and crash."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb.zdd.draining import Verdict
from fastlb.zdd.machine import Delete, Done, Kill, Limit, Scale, Stuck, Wait, foreseen, grown, next_step
from tests.fakes.zdd_world import aim_of, cluster


def finish(made, aim):
    """Play to the end in a world that helps; return the steps that changed something."""
    steps = []
    for _ in range(200):
        step = next_step(aim, made.scene())
        if isinstance(step, Done):
            return [*steps, step]
        if not isinstance(step, Wait):
            steps.append(step)
        before = made.healthy()
        made.do(step)
        assert made.healthy() >= min(before, aim.total)
        if isinstance(step, Delete):
            return steps
        made.settle()
    pytest.fail(f"no end after {steps}")


def test_a_swap_grows_by_half_kills_what_is_replaced_and_deletes_the_rest():
    made = cluster(1, 10, 10)
    sizes = [step.then.instances for step in finish(made, aim_of(made))[:-1]]
    assert sizes == [2, 3, 5, 10]
    assert set(made.apps) == {"/new"}


def test_linear_growth_takes_equal_steps():
    made = cluster(1, 10, 10)
    sizes = [step.then.instances for step in finish(made, aim_of(made, linear=3))[:-1]]
    assert sizes == [4, 7, 10]


def test_what_is_foreseen_is_what_happens():
    made = cluster(1, 10, 10)
    aim = aim_of(made)
    told = list(foreseen(aim, 1, 10))
    seen = [(1, 10)]
    while not isinstance(step := next_step(aim, made.scene()), Delete):
        if isinstance(step, Kill):
            seen.append((step.then.instances, made.old.instances - len(step.task_ids)))
        made.do(step)
        made.settle()
    assert told[:-1] == seen
    assert told[-1] == (10, 0)


def test_a_split_stops_at_its_number_and_keeps_the_rest():
    made = cluster(1, 10, 10)
    finish(made, aim_of(made, split=4))
    assert (made.new.instances, made.old.instances) == (4, 6)


def test_a_finished_split_needs_no_waiting():
    made = cluster(4, 6, 10)
    assert next_step(aim_of(made, split=4), made.scene()) == Done()


@pytest.mark.parametrize("new", [1, 4, 9])
def test_a_split_can_be_completed(new):
    made = cluster(new, 10 - new, 10)
    finish(made, aim_of(made))
    assert set(made.apps) == {"/new"}
    assert made.new.instances == 10


def test_an_old_app_of_unknown_target_stays_whole_until_its_successor_is_complete():
    made = cluster(1, 10, 10, old_target=None)
    steps = finish(made, aim_of(made))
    assert steps == [Scale("/new", 10), Delete("/old", tuple(f"/old.{n:03d}" for n in range(1, 11)))]


def test_nothing_is_asked_for_and_nothing_is_waited_for():
    made = cluster(0, 0, 0)
    assert next_step(aim_of(made), made.scene()) == Delete("/old", ())


def test_no_initial_instances_still_grow():
    made = cluster(0, 3, 3)
    finish(made, aim_of(made))
    assert made.new.instances == 3


def test_a_task_that_one_of_two_load_balancers_still_serves_is_not_killed():
    made = cluster(2, 10, 10, views=2)
    made.views[1] = dict.fromkeys(made.views[1], False)
    step = next_step(aim_of(made), made.scene())
    assert isinstance(step, Wait)
    assert step.limit is Limit.DRAIN
    assert next_step(aim_of(made), made.scene(late=True)) == Stuck(
        "2 of /old have to be out in every load balancer, but lb1 has 0"
    )


def test_an_old_app_is_not_deleted_while_one_of_two_load_balancers_serves_a_task_of_it():
    made = cluster(3, 2, 3, views=2)
    made.views[1]["/old.002"] = False
    assert next_step(aim_of(made), made.scene()).limit is Limit.DRAIN
    assert isinstance(next_step(aim_of(made), made.scene(late=True)), Stuck)
    made.follow(1)
    assert next_step(aim_of(made), made.scene()) == Delete("/old", ("/old.001", "/old.002"))


def test_a_split_takes_its_last_tasks_together_or_not_at_all():
    """A part of them would make the old app the one scaled last, and nothing would turn that round."""
    made = cluster(2, 10, 10)
    made.old.healthy["/old.010"] = False
    scene = made.scene()
    assert next_step(aim_of(made, split=2), scene).limit is Limit.DRAIN
    assert isinstance(next_step(aim_of(made, split=2), scene._replace(late=True)), Stuck)


def test_a_drained_task_that_holds_a_connection_is_waited_for_until_its_time_is_up():
    made = cluster(2, 10, 10)
    made.held = {"/old.001": 3}
    assert next_step(aim_of(made), made.scene()).limit is Limit.DRAIN
    assert next_step(aim_of(made), made.scene(late=True)).task_ids == ("/old.002", "/old.001")


def test_new_tasks_that_get_no_requests_yet_kill_nobody():
    made = cluster(2, 10, 10, views=2)
    del made.views[1]["/new.002"]
    step = next_step(aim_of(made), made.scene())
    assert step == Wait(Limit.HEALTH, "1 of 2 of /new get no requests yet")


def test_new_tasks_that_are_not_healthy_kill_nobody():
    made = cluster(3, 10, 10)
    made.new.healthy["/new.002"] = False
    made.follow(0)
    assert next_step(aim_of(made), made.scene()) == Wait(Limit.HEALTH, "2 of 3 of /new are healthy")


def test_a_deployment_that_runs_is_waited_for():
    made = cluster(2, 10, 10)
    made.new.instances = 3
    assert next_step(aim_of(made), made.scene()).limit is Limit.HEALTH


def test_an_old_app_with_sick_tasks_loses_only_as_many_healthy_ones_as_can_be_spared():
    made = cluster(3, 10, 10)
    made.old.healthy |= {"/old.001": False, "/old.010": False}
    made.follow(0)
    step = next_step(aim_of(made), made.scene())
    assert step.task_ids == ("/old.001", "/old.002")
    made.do(step)
    assert made.healthy() == 10


def test_a_run_that_died_between_killing_and_scaling_is_made_up_for_before_anything_else():
    made = cluster(3, 9, 10, old_target=20)  # by its label nobody would drain while the old app is the one scaled last
    made.old.scaled_at = made.time = 9
    made.settle()
    assert next_step(aim_of(made), made.scene()) == Scale("/new", 5)
    finish(made, aim_of(made))
    assert set(made.apps) == {"/new"}


def test_draining_that_goes_the_wrong_way_is_turned_with_a_drained_task():
    made = cluster(10, 3, 10)
    made.old.scaled_at = 9
    made.time = 9
    made.settle()
    step = next_step(aim_of(made), made.scene())
    assert step == Kill("/new", ("/new.001",))
    finish(made, aim_of(made))
    assert set(made.apps) == {"/new"}


def test_a_new_version_that_never_gets_healthy_can_be_deleted_at_once():
    made = cluster(10, 2, 10)  # going back: what is called new is the former one
    made.new.scaled_at, made.old.scaled_at = 1, 2
    made.old.healthy = dict.fromkeys(made.old.healthy, False)
    made.follow(0)
    assert isinstance(next_step(aim_of(made, forces=True), made.scene()), Delete)


def test_tasks_that_are_being_killed_are_not_killed_once_more():
    """Marathon lists them as running, and would lower the instances again, killing whom it likes."""
    made = cluster(5, 8, 10)
    aim = aim_of(made, forces=True)
    made.do(next_step(aim, made.scene()), dies_after_kill=True)
    made.do(Scale("/new", 6))
    made.new.launch()
    made.new.healthy = dict.fromkeys(made.new.healthy, True)
    made.follow(0)
    assert next_step(aim, made.scene()).limit is Limit.LOCK


def test_a_version_whose_tasks_all_fail_is_abandoned_though_load_balancers_serve_it():
    """By the rule nobody stands in for tasks that fail, so that waiting for them to drain would be in vain."""
    made = cluster(10, 2, 10)
    scene = made.scene()
    failing = tuple(task._replace(healthy=False, sick=True) for task in scene.old.tasks)
    scene = scene._replace(old=scene.old._replace(tasks=failing))
    seen = {task: made._seen(task)._replace(up=("lb0",), ready=("lb0",), out=()) for task in made.old.healthy}
    scene = scene._replace(seen=Verdict({**scene.seen.tasks, **seen}, ()))
    assert isinstance(next_step(aim_of(made, forces=True), scene), Delete)
    assert isinstance(next_step(aim_of(made), scene), Wait)
    busy = {task: each._replace(sessions=1) for task, each in scene.seen.tasks.items()}
    assert isinstance(next_step(aim_of(made, forces=True), scene._replace(seen=Verdict(busy, ()))), Wait)


@pytest.mark.parametrize(("now", "old", "size"), [(1, 10, 2), (2, 9, 3), (3, 8, 5), (5, 5, 10), (7, 3, 10)])
def test_growth_is_by_half_and_then_the_rest(now, old, size):
    assert grown(aim_of(cluster(1, 10, 10)), now, old) == size


def disturb(made, draw):
    """One thing that goes wrong or lags; what Marathon has of tasks is put right by `settle` only."""
    views = draw(st.sets(st.sampled_from(range(len(made.views)))))
    for app in made.apps.values():
        if draw(st.booleans()):
            app.bury()
        while len(app.healthy) - len(app.dying) < app.instances and draw(st.booleans()):
            app.launch()
        for task in sorted(app.healthy):
            if draw(st.integers(0, 5)) == 0:
                app.healthy[task] = not app.healthy[task]
    for view in views:
        made.follow(view)
    tasks = [task for app in made.apps.values() for task in sorted(app.healthy)]
    made.held = {task: 1 for task in tasks if draw(st.integers(0, 3)) == 0}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_lags_fails_or_crashes_no_kill_leaves_too_few_and_every_end_is_reached(data):
    total = data.draw(st.integers(0, 8))
    new = data.draw(st.integers(0, total))
    made = cluster(new, data.draw(st.integers(total - new, total)), total, views=data.draw(st.integers(1, 2)))
    split = data.draw(st.integers(0, total))
    aim = aim_of(
        made, split=split if new <= split else 0, linear=data.draw(st.integers(0, 3)), forces=data.draw(st.booleans())
    )
    for _ in range(data.draw(st.integers(0, 12))):
        scene = made.scene(late=data.draw(st.booleans()))
        step = next_step(aim, scene)
        before, idle = made.healthy(), not scene.late
        if isinstance(step, Kill | Delete):
            gone = made.new.dying | made.old.dying
            lost = [task for task in step.task_ids if task in made.running() and task not in gone]
            assert before - len(lost) >= min(before, aim.total)
            assert not [task for task in lost if idle and made.held.get(task)]
            assert not made.serving() & set(lost)
        if isinstance(step, Done | Delete):
            break
        made.do(step, dies_after_kill=data.draw(st.booleans()))
        disturb(made, data.draw)
    made.settle()
    if aim.old_id in made.apps:
        finish(made, aim)
    assert made.healthy() >= aim.total or made.new.instances < aim.goal
