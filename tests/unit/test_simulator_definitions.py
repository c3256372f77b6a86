"""Definitions of apps and groups in the simulated cluster: what is refused, kept, numbered and shown."""

from __future__ import annotations

import pytest

from fastlb.simulator import shapes
from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.refusals import Refusal, WrongType
from fastlb.simulator.world import Delays
from tests.fakes.simulated_cluster import CHECKED, WEB, Bench


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
