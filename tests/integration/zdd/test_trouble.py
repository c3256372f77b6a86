"""Load balancers, Marathon and new versions that are in trouble."""

from __future__ import annotations

import threading

import pytest

from fastlb.simulator.faults import Fault
from fastlb.simulator.world import Delays
from fastlb.zdd.outcomes import Code
from tests.fakes.front_door import until
from tests.integration.zdd.stage import BLUE, staged


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: "<html>", "no CSV"),
        (lambda text: text.replace("scur", "curs"), "no column scur"),
        (lambda text: "", "no CSV"),
    ],
)
def test_a_load_balancer_with_a_page_of_its_own_making(stage, capsys, spoil, words):
    stage.balancers[0].spoil = spoil
    assert stage.run() == Code.BALANCER
    assert words in capsys.readouterr().err
    assert stage.sizes() == {"/shop/api-blue": 4}


def test_a_load_balancer_that_goes_down_in_the_middle_is_waited_for(stage, capsys):
    page = stage.balancers[0]
    page.spoil = lambda text: text if page.asked < 8 else "gone"
    assert stage.run() == Code.BALANCER
    assert "--resume" in capsys.readouterr().err
    assert stage.healthy() >= 4
    page.spoil = lambda text: text
    assert stage.run("--resume") == Code.DONE


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"path": "/v2/apps/shop/api-blue", "value": 500}, Code.DELETE),
        ({"path": "/v2/tasks/delete", "value": 500}, Code.CHANGE),
        ({"path": "/v2/tasks/delete", "value": 409}, Code.CHANGE),
        ({"path": "/v2/apps/shop/api-green", "value": 503}, Code.CHANGE),
        ({"path": "/v2/tasks/delete", "value": 403}, Code.CHANGE),
    ],
)
def test_a_change_that_marathon_refuses_ends_the_run_after_some_time_and_it_can_be_resumed(stage, fault, code):
    stage.marathon.arm(Fault.ERROR, **fault)
    assert stage.run() == code
    assert stage.healthy() >= 4
    stage.marathon.clear()
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


def test_a_lock_of_somebody_else_is_waited_for_and_named(tmp_path, capsys):
    with staged(tmp_path, BLUE, delays=Delays(killing_s=1e6)) as stage:
        # A task that takes very long to end holds its app.
        stage.marathon.scale("/shop/api-blue", 3)
        assert stage.run("--max-wait", "1") == Code.CHANGE
        [deployment] = stage.marathon.call(lambda service: list(service.cluster.deployments.running))
        assert deployment in capsys.readouterr().err


def test_a_failover_in_the_middle_is_ridden_out(stage):
    over = threading.Event()

    def fail_over() -> None:
        until(lambda: "/shop/api-green" in stage.sizes())
        stage.marathon.arm(Fault.ERROR, value=503, times=4)
        stage.marathon.change_leader()
        over.set()

    thread = threading.Thread(target=fail_over)
    thread.start()
    assert stage.run("--retry-for", "20") == Code.DONE
    thread.join()
    assert over.is_set()
    assert stage.sizes() == {"/shop/api-green": 4}


def test_tasks_that_no_load_balancer_takes_out_are_not_killed(stage, capsys):
    stage.balancers[0].never_out = True
    assert stage.run("--max-wait", "0.3") == Code.NOT_DRAINED
    assert " has 0" in capsys.readouterr().err
    assert stage.sizes() == {"/shop/api-blue": 4, "/shop/api-green": 1}


def test_two_load_balancers_have_to_agree(tmp_path):
    with staged(tmp_path, BLUE, balancers=2) as stage:
        stage.balancers[1].never_out = True
        assert stage.run("--max-wait", "0.3") == Code.NOT_DRAINED
        assert stage.sizes()["/shop/api-blue"] == 4
        stage.balancers[1].never_out = False
        assert stage.run("--resume") == Code.DONE


def test_connections_that_do_not_end_are_cut_after_the_longest_wait(stage):
    tasks = [task["id"] for task in stage.marathon.tasks("/shop/api-blue")]
    stage.balancers[0].held = dict.fromkeys(tasks, 1)
    assert stage.run("--max-wait", "0.3") == Code.DONE


def test_a_version_that_never_gets_healthy_stops_the_run_and_the_way_back_is_named(sick, capsys):
    assert sick.run("--health-timeout", "0.4") == Code.NOT_HEALTHY
    assert "--complete-prev" in capsys.readouterr().err
    assert sick.healthy() == 4
    assert sick.run("--complete-prev") == Code.DONE
    assert sick.sizes() == {"/shop/api-blue": 4}


def test_with_rollback_it_goes_back_by_itself(sick, capsys):
    assert sick.run("--health-timeout", "0.4", "--rollback") == Code.ROLLED_BACK
    assert "/shop/api-blue has taken over again" in capsys.readouterr().err
    assert sick.sizes() == {"/shop/api-blue": 4}
    assert sick.healthy() == 4
