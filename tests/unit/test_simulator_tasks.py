"""Tasks of the simulated cluster: failed, killed, replaced, found healthy or not, forgotten by a new leader."""

from __future__ import annotations

from fastlb.simulator.world import Delays
from tests.fakes.simulated_cluster import CHECKED, WEB, Bench


def test_a_failed_task_stays_listed_until_it_is_launched_anew():
    bench = Bench()
    app = bench.created(WEB)
    task = next(iter(app.tasks.values()))
    bench.cluster.instances.end(task)
    dead = next(each for each in bench.json("/shop/web")["tasks"] if each["id"] == task.id)
    assert (dead["state"], dead["ports"]) == ("TASK_FAILED", [])
    assert "startedAt" not in dead
    assert task.id not in bench.listening
    bench.settle()
    assert task.id.replace("._app.1", "._app.2") in app.tasks
    assert app.last_failure["taskId"] == task.id


def test_before_1_8_a_failed_task_vanishes_at_once():
    bench = Bench("1.7")
    app = bench.created(WEB)
    task = next(iter(app.tasks.values()))
    bench.cluster.instances.end(task)
    assert task.id not in app.tasks
    bench.settle()
    assert len(app.tasks) == 2


def test_killed_tasks_are_replaced_and_kill_and_scale_takes_the_named_ones():
    bench = Bench()
    app = bench.created({**WEB, "instances": 3})
    victim, other, _ = app.tasks.values()
    bench.cluster.kill([victim])
    bench.settle()
    assert victim.id not in app.tasks
    assert len(app.tasks) == 3
    bench.cluster.kill_and_scale([other])
    bench.settle()
    assert other.id not in app.tasks
    assert app.definition.instances == len(app.tasks) == 2


def test_a_leader_change_forgets_only_results_of_marathons_own_checks():
    bench = Bench()
    own = bench.created(CHECKED)
    mesos = bench.created({"id": "/m", "healthChecks": [{"protocol": "MESOS_HTTP"}]})
    bench.cluster.change_leader()
    assert [task.healthy for task in own.tasks.values()] == [None, None]
    assert [task.healthy for task in mesos.tasks.values()] == [True]
    assert bench.json("/shop/web")["tasks"][0]["healthCheckResults"] == []
    bench.settle()
    assert [task.healthy for task in own.tasks.values()] == [True, True]


def test_health_flips_are_published_and_a_bad_first_result_is_not_a_flip():
    bench = Bench(delays=Delays(healthy_s=1000))
    bench.cluster.create({**CHECKED, "instances": 1})
    for _ in range(3):
        bench.move(1)
    (task,) = bench.cluster.app("/shop/web").tasks.values()
    assert task.state == "TASK_RUNNING"
    bench.events.clear()
    bench.cluster.instances.set_health(task, alive=False)
    assert bench.kinds() == ["instance_health_changed_event"]
    bench.cluster.instances.set_health(task, alive=True)
    assert bench.of("health_status_changed_event")[0]["alive"] is True


def test_a_running_task_can_be_without_address_for_a_moment():
    bench = Bench(delays=Delays(staging_s=0, starting_s=0, running_s=0, address_s=5))
    container = {"docker": {"image": "x"}, "portMappings": [{"containerPort": 8080}]}
    bench.cluster.create({"id": "/c", "networks": [{"mode": "container"}], "container": container})
    (task,) = bench.json("/c")["tasks"]
    assert (task["state"], task["ipAddresses"]) == ("TASK_RUNNING", [])
    bench.move(5)
    assert bench.json("/c")["tasks"][0]["ipAddresses"][0]["ipAddress"].startswith("127.99.")


def test_the_written_bytes_follow_every_change():
    bench = Bench()
    app = bench.created(CHECKED)
    assert bench.json("/shop/web")["tasksHealthy"] == 2
    task = next(iter(app.tasks.values()))
    bench.cluster.instances.set_health(task, alive=False)
    assert bench.json("/shop/web")["tasksUnhealthy"] == 1
    bench.cluster.instances.set_state(task, "TASK_UNREACHABLE")
    assert {each["state"] for each in bench.json("/shop/web")["tasks"]} == {"TASK_RUNNING", "TASK_UNREACHABLE"}
    deployment = bench.cluster.restart("/shop/web")
    assert bench.json("/shop/web")["deployments"] == [{"id": deployment.id}]


def test_an_unhealthy_task_does_not_hold_up_the_scaling_of_its_app():
    bench = Bench()
    app = bench.created(CHECKED)
    bench.cluster.instances.set_health(next(iter(app.tasks.values())), alive=False)
    bench.cluster.update("/shop/web", {"instances": 3})
    bench.settle()
    assert len(app.tasks) == 3


def test_a_leader_change_in_the_middle_of_a_replacement_is_survived():
    bench = Bench()
    app = bench.created(CHECKED)
    bench.cluster.update("/shop/web", {"healthChecks": [{"protocol": "HTTP"}, {"protocol": "TCP"}]})
    bench.cluster.change_leader()
    bench.settle()
    assert [len(task.health) for task in app.tasks.values()] == [2, 2]
    assert all(task.ready for task in app.tasks.values())
