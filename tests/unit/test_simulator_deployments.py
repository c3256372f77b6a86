"""Deployments of the simulated cluster: order of events, steps, replacement without too few, locks, rollback."""

from __future__ import annotations

import pytest

from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.refusals import Refusal
from fastlb.simulator.world import Delays
from tests.fakes.simulated_cluster import CHECKED, WEB, Bench


def test_scaling_up_publishes_in_marathons_order():
    bench = Bench()
    bench.created({**CHECKED, "instances": 0})
    bench.cluster.update("/shop/web", {"instances": 1})
    bench.settle()
    start = ["deployment_info", "group_change_success", "api_post_event"]
    steps = ["status_update_event", "instance_changed_event"] * 3
    health = ["instance_health_changed_event", "health_status_changed_event"]
    end = ["deployment_step_success", "deployment_success"]
    assert bench.kinds() == [*start, "instance_changed_event", "instance_changed_event", *steps, *health, *end]
    assert [body["condition"] for body in bench.of("instance_changed_event")][:2] == ["Scheduled", "Provisioned"]
    states = [body["taskStatus"] for body in bench.of("status_update_event")]
    assert states == ["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING"]


@pytest.mark.parametrize("release", sorted(DIALECTS))
def test_scaling_an_app_with_health_checks_keeps_the_tasks_that_it_has(release):
    bench = Bench(release)
    bench.created(CHECKED)
    before = {task.id for task in bench.cluster.app("/shop/web").tasks.values()}
    bench.cluster.update("/shop/web", {"instances": 4})
    bench.settle()
    assert before < {task.id for task in bench.cluster.app("/shop/web").tasks.values()}


def test_a_new_app_starts_in_one_step_and_scales_in_the_next():
    bench = Bench()
    bench.cluster.create(WEB)
    bench.settle()
    steps = bench.of("deployment_success")[0]["plan"]["steps"]
    assert [step["actions"][0]["action"] for step in steps] == ["StartApplication", "ScaleApplication"]
    assert bench.kinds().count("deployment_info") == bench.kinds().count("deployment_step_success") == 2


def test_a_deleted_app_is_gone_at_once_and_its_end_is_announced():
    bench = Bench()
    bench.created(WEB)
    bench.cluster.delete("/shop/web")
    assert "/shop/web" not in bench.cluster.apps
    assert len(bench.listening) == 2, "its tasks still run"
    bench.settle()
    assert not bench.listening
    kinds = bench.kinds()
    assert kinds[:2] == ["deployment_info", "group_change_success"]
    assert "api_post_event" not in kinds
    assert kinds[-3:] == ["app_terminated_event", "deployment_step_success", "deployment_success"]
    assert {body["taskStatus"] for body in bench.of("status_update_event")} == {"TASK_KILLED"}


def test_a_label_change_replaces_every_task_and_never_leaves_too_few_ready():
    bench = Bench()
    app = bench.created(CHECKED)
    before = set(app.tasks)
    bench.cluster.update("/shop/web", {"labels": {"HAPROXY_GROUP": "internal"}})
    assert app.definition.labels == {"HAPROXY_GROUP": "internal"}, "visible while the old tasks still run"
    ready = []
    while not bench.cluster.idle:
        ready.append(sum(task.ready for task in app.tasks.values()))
        bench.move(0.005)
    assert min(ready) >= 2
    assert len(app.tasks) == 2
    assert not before & set(app.tasks)
    assert bench.of("deployment_info")[0]["currentStep"]["actions"][0]["action"] == "RestartApplication"


@pytest.mark.parametrize(("health", "over"), [(0, 0), (0.5, 0), (1, 0), (0.5, 1)])
def test_every_upgrade_strategy_comes_to_an_end(health, over):
    strategy = {"minimumHealthCapacity": health, "maximumOverCapacity": over}
    for delays in (Delays(), Delays(0, 0, 0, 0, 0, 0, 0, 0)):
        bench = Bench(delays=delays)
        app = bench.created({**CHECKED, "instances": 3, "upgradeStrategy": strategy})
        before = set(app.tasks)
        bench.cluster.restart("/shop/web")
        bench.settle()
        assert len(app.tasks) == 3
        assert not before & set(app.tasks)


def test_an_app_under_deployment_is_locked_and_force_cancels():
    bench = Bench()
    first = bench.cluster.create(WEB)
    with pytest.raises(Refusal) as refusal:
        bench.cluster.update("/shop/web", {"instances": 3})
    assert refusal.value.status == 409
    assert refusal.value.body["deployments"] == [{"id": first.id}]
    bench.cluster.update("/shop/web", {"instances": 3}, force=True)
    bench.settle()
    assert bench.of("deployment_failed")[0]["id"] == first.id
    assert len(bench.cluster.app("/shop/web").tasks) == 3


def test_a_deployment_can_be_rolled_back():
    bench = Bench()
    bench.created(WEB)
    deployment = bench.cluster.update("/shop/web", {"instances": 5})
    bench.cluster.roll_back(deployment.id)
    bench.settle()
    assert bench.cluster.app("/shop/web").definition.instances == 2
    assert len(bench.cluster.app("/shop/web").tasks) == 2
