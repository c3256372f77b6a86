"""What a run brings about."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from fastlb.zdd.outcomes import Code
from tests.fakes.front_door import until
from tests.integration.zdd.stage import APP, BLUE, Json, staged


def bridge(port: int, **more: Any) -> Json:
    return {"containerPort": 80, "hostPort": 0, "servicePort": port} | more


NETWORKS: dict[str, Json] = {
    "host": {},
    "bridge": {
        "networks": [{"mode": "container/bridge"}],
        "container": {"type": "DOCKER", "docker": {"image": "x"}, "portMappings": [bridge(10000), bridge(10500)]},
    },
    "container": {
        "networks": [{"mode": "container", "name": "dcos"}],
        "container": {"portMappings": [{"containerPort": 80, "servicePort": 10000}]},
    },
}
LEGACY: dict[str, Json] = {
    "host": {"ports": [10000]},
    "bridge": {"container": {"docker": {"image": "x", "network": "BRIDGE", "portMappings": [bridge(10000)]}}},
    "container": {"container": {"docker": {"image": "x", "network": "USER", "portMappings": [bridge(10000)]}}},
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("version", ["1.4", "1.5", "1.8"])
def test_three_deployments_in_a_row_in_every_network_of_old_and_new_marathons(tmp_path, version, network):
    definition = APP | {"instances": 2} | (LEGACY if version == "1.4" else NETWORKS)[network]
    if "container" in definition or "ports" in definition:
        definition = {name: value for name, value in definition.items() if name != "portDefinitions"}
    with staged(tmp_path, version_shape=version) as stage:
        stage.write(definition)
        for colour in ("blue", "green", "blue"):
            assert stage.run() == Code.DONE
            stage.marathon.wait_idle()
            assert stage.sizes() == {f"/shop/api-{colour}": 2}


def test_a_split_stays_one_until_it_is_completed_either_way(stage):
    assert stage.run("--new-instances", "1") == Code.DONE
    assert stage.sizes() == {"/shop/api-blue": 3, "/shop/api-green": 1}
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-blue": 3, "/shop/api-green": 1}
    assert stage.run("--complete-cur") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}
    assert stage.run("--new-instances", "3") == Code.DONE
    assert stage.run("--complete-prev") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


@pytest.mark.parametrize("answers", ["n\n", "y\nn\n", "\n\n\nno\n"])
def test_no_to_any_question_ends_the_run_and_it_can_be_resumed(stage, monkeypatch, answers):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answers))
    assert stage.run(force=False) == Code.DECLINED
    assert stage.healthy() >= 4
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


def test_nobody_there_to_answer(stage, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert stage.run(force=False) == Code.UNEXPECTED
    assert stage.sizes() == {"/shop/api-blue": 4}


def test_a_target_of_no_instances_is_deployed_without_waiting(tmp_path):
    with staged(tmp_path, BLUE | {"instances": 0}) as stage:
        assert stage.run() == Code.DONE
        assert stage.sizes() == {"/shop/api-green": 0}


@pytest.mark.parametrize(
    ("deleted", "code", "left"),
    [
        ("/shop/api-blue", Code.DONE, {"/shop/api-green": 4}),
        ("/shop/api-green", Code.UNEXPECTED, {"/shop/api-blue": 4}),
    ],
)
def test_an_app_that_somebody_deletes_in_the_middle(stage, deleted, code, left):
    stage.balancers[0].held = {task["id"]: 1 for task in stage.marathon.tasks("/shop/api-blue")}
    with stage.start() as run:
        until(lambda: "/shop/api-green" in stage.sizes())
        stage.marathon.delete_app(deleted)
        run.communicate()
    assert run.returncode == code
    assert stage.sizes() == left
