"""The simulated cluster under a hand-moved clock: order of events, versions, replacement, failure, locks."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from fastlb.simulator import shapes
from fastlb.simulator.addresses import Addresses
from fastlb.simulator.agenda import Agenda
from fastlb.simulator.cluster import Cluster
from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.refusals import Refusal, WrongType
from fastlb.simulator.world import Delays, World

EPOCH = datetime(2020, 5, 22, 8, tzinfo=UTC)
WEB = {"id": "/shop/web", "instances": 2, "labels": {"HAPROXY_GROUP": "external"}}
CHECKED = {**WEB, "healthChecks": [{"protocol": "HTTP"}]}


class Bench:
    """A cluster, its clock, and everything it said."""

    def __init__(self, release: str = "1.8", delays: Delays | None = None) -> None:
        self.now_s = 0.0
        self.events: list[Any] = []
        self.listening: set[str] = set()
        world = World(
            dialect=DIALECTS[release],
            delays=delays or Delays(),
            agenda=Agenda(lambda: self.now_s, lambda: None),
            addresses=Addresses(99, 1000),
            random=random.Random(1),
            audience=self,
            wall_clock=lambda: EPOCH + timedelta(seconds=self.now_s),
        )
        self.cluster = Cluster(world)

    def published(self, event):
        self.events.append(event)

    def task_started(self, task):
        self.listening.add(task.id)

    def task_ended(self, task):
        self.listening.discard(task.id)

    def move(self, seconds_s: float) -> None:
        self.now_s += seconds_s
        self.cluster.world.agenda.advance()

    def settle(self) -> None:
        for _ in range(1000):
            wait_s = self.cluster.world.agenda.advance()
            if self.cluster.idle:
                return
            assert wait_s is not None, "nothing is due, yet a deployment runs"
            self.now_s += wait_s
        pytest.fail("the cluster never became idle")

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.body for event in self.events if event.kind == kind]

    def created(self, raw: dict[str, Any]):
        self.cluster.create(raw)
        self.settle()
        self.events.clear()
        return self.cluster.app(raw["id"])

    def json(self, app_id: str) -> dict[str, Any]:
        app = self.cluster.app(app_id)
        return orjson.loads(shapes.app_bytes(app, self.cluster.world.dialect, frozenset({"tasks"})))


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


def test_a_label_change_without_instances_is_named_as_scaling():
    bench = Bench()
    bench.created({**WEB, "instances": 0})
    bench.cluster.update("/shop/web", {"labels": {}})
    bench.settle()
    assert bench.of("deployment_info")[0]["currentStep"]["actions"][0]["action"] == "ScaleApplication"


def test_a_change_of_nothing_is_a_deployment_without_steps():
    bench = Bench()
    bench.created(WEB)
    bench.cluster.update("/shop/web", {"instances": 2})
    bench.settle()
    assert "deployment_info" not in bench.kinds()
    assert bench.of("deployment_success")[0]["plan"]["steps"] == []


def test_deployment_info_can_come_before_the_definition_is_visible():
    bench = Bench(delays=Delays(visible_s=1.0))
    bench.cluster.create(WEB)
    assert bench.kinds() == ["deployment_info"]
    assert "/shop/web" not in bench.cluster.apps
    bench.move(1.0)
    assert bench.kinds()[1] == "group_change_success"
    assert bench.of("group_change_success")[0]["version"] == bench.of("deployment_info")[0]["plan"]["version"]
    assert "/shop/web" in bench.cluster.apps


def test_the_posted_event_has_no_service_ports_yet_and_the_put_one_has():
    bench = Bench()
    bench.cluster.create(WEB)
    bench.settle()
    posted = bench.of("api_post_event")[0]["appDefinition"]
    assert posted["portDefinitions"][0]["port"] == 0
    assert "versionInfo" not in posted
    bench.cluster.update("/shop/web", {"instances": 1})
    put = bench.of("api_post_event")[1]["appDefinition"]
    assert put["portDefinitions"][0]["port"] == 10000
    assert "versionInfo" in put


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


def test_versions_move_as_marathon_moves_them():
    bench = Bench()
    app = bench.created(WEB)
    born = app.version
    assert (app.last_scaling_at, app.last_config_change_at) == (born, born)
    bench.cluster.update("/shop/web", {"instances": 3})
    bench.settle()
    scaled = app.version
    assert (app.last_scaling_at, app.last_config_change_at) == (scaled, born)
    bench.cluster.restart("/shop/web")
    bench.settle()
    assert (app.last_scaling_at, app.last_config_change_at) == (scaled, app.version)
    bench.cluster.update("/shop/web", {"version": born})
    bench.settle()
    assert app.definition.instances == 2


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


def test_a_partial_update_replaces_labels_whole_and_keeps_the_rest():
    bench = Bench()
    app = bench.created({**WEB, "cmd": "serve"})
    ports = app.definition.service_ports
    bench.cluster.update("/shop/web", {"labels": {"A": "b"}, "cmd": None})
    assert app.definition.labels == {"A": "b"}
    assert app.definition.rest["cmd"] == "serve"
    assert app.definition.service_ports == ports


@pytest.mark.parametrize("release", DIALECTS)
def test_an_update_in_the_shown_form_changes_nothing(release):
    bench = Bench(release)
    for raw in (WEB, {"id": "/b", "container": {"docker": {"image": "x", "network": "BRIDGE"}}}):
        app = bench.created(raw)
        shown = shapes.definition_json(app.definition, bench.cluster.world.dialect)
        bench.cluster.update(raw["id"], shown)
        assert bench.of("deployment_success")[-1]["plan"]["steps"] == []


def test_a_group_is_one_deployment_without_api_post_event():
    bench = Bench()
    bench.created({"id": "/team/old"})
    bench.cluster.put_group("/team", {"apps": [{"id": "a"}], "groups": [{"id": "sub", "apps": [{"id": "b"}]}]})
    bench.settle()
    assert set(bench.cluster.apps) == {"/team/a", "/team/sub/b"}
    assert "api_post_event" not in bench.kinds()
    assert bench.of("group_change_success")[0]["groupId"] == "/team"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({"id": "/Upper"}, Refusal),
        ({"id": "/under_score"}, Refusal),
        ({"id": "/a/restart"}, Refusal),
        ({"id": "/shop"}, Refusal),
        ({"id": 5}, WrongType),
        ({"id": "/x", "labels": {"A": 1}}, WrongType),
        ({"id": "/x", "instances": -1}, Refusal),
        ({"id": "/x", "networks": [{"mode": "host"}], "ipAddress": {"networkName": "dcos"}}, Refusal),
    ],
)
def test_a_definition_that_marathon_refuses_is_refused(raw, error):
    bench = Bench()
    bench.created(WEB)
    with pytest.raises(error):
        bench.cluster.create(raw)
    assert set(bench.cluster.apps) == {"/shop/web"}


def test_a_loaded_app_runs_without_events():
    bench = Bench()
    bench.cluster.load([CHECKED])
    assert bench.cluster.idle
    assert bench.events == []
    assert all(task.ready for task in bench.cluster.app("/shop/web").tasks.values())
    assert len(bench.listening) == 2


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
