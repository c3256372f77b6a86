"""A whole swap of a deployment group, as HAProxy gets it: servers come, are taken out and go while it runs.

All kinds of apps swap at the same time behind one HAProxy. What a new version changes beside its tasks needs a reload:
one when the old version is gone; also on the way, if an answer of Marathon comes between the old version's being scaled
down and the new one's being scaled up, since the one that was scaled last counts as the newer (COMPAT.md 3.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from fastlb.deployment import GROUP, NEW_INSTANCES, STARTED_AT, TARGET_INSTANCES
from fastlb.simulator import shapes
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.zdd.balancers import BalancerError, Balancers
from fastlb.zdd.draining import draining, places_of_tasks
from tests.fakes.front_door import STATS_PORT, app, front_door, until
from tests.zdd.sizes import IS_LONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastlb.zdd.draining import TaskSeen
    from tests.fakes.front_door import FrontDoor

Json = dict[str, Any]

INSTANCES = 3
WAYS: tuple[tuple[str, ...], ...] = ((), ("--haproxy-map",)) if IS_LONG else ((),)
FIRST_PORT = 27000
"""Each kind has ten: its service ports, and from the fifth on those that a sibling has in Marathon."""

NO_HTTP = {"HAPROXY_0_MODE": "tcp", "HAPROXY_0_VHOST": ""}
NEW_LABELS = {"HAPROXY_0_BALANCE": "leastconn"}


def bridge(port: int) -> Json:
    mapping = {"containerPort": 8080, "hostPort": 0, "servicePort": port}
    return {"networks": [{"mode": "container/bridge"}], "container": {"portMappings": [mapping]}}


def with_address(port: int) -> Json:
    mapping = {"containerPort": 8080, "servicePort": port}
    return {"networks": [{"mode": "container", "name": "net"}], "container": {"portMappings": [mapping]}}


KINDS: Mapping[str, Any] = {
    "plain": lambda port: {"portDefinitions": [{"port": port}]},
    "unchecked": lambda port: {"portDefinitions": [{"port": port}], "healthChecks": []},
    "several": lambda port: {"portDefinitions": [{"port": port}, {"port": port + 1}]},
    "tcp": lambda port: {
        "portDefinitions": [{"port": port}],
        "labels": {"HAPROXY_0_MODE": "tcp", "HAPROXY_0_VHOST": ""},
    },
    "bridge": bridge,
    "address": with_address,
    "changing": lambda port: {"portDefinitions": [{"port": port}]},
}


class Swaps:
    """All groups: one Marathon, one load balancer."""

    def __init__(self, marathon: SimulatedMarathon, door: FrontDoor) -> None:
        self.marathon = marathon
        self.door = door
        self._balancers = Balancers([f"http://{door.address}:{STATS_PORT}"], 5.0)

    def create(self, colour: str, instances: int) -> None:
        """Deploy a colour of every group, as zdd does."""
        for number, (kind, made) in enumerate(KINDS.items()):
            port = FIRST_PORT + 10 * number
            more = made(port if colour == "blue" else port + 5)
            labels = {GROUP: kind, "HAPROXY_0_PORT": str(port), "HAPROXY_1_PORT": str(port + 1)}
            labels |= {STARTED_AT: f"2026-01-0{1 if colour == 'blue' else 2}T00:00:00.000000"}
            labels |= {NEW_INSTANCES: "0", TARGET_INSTANCES: str(INSTANCES)} | more.pop("labels", {})
            labels |= NEW_LABELS if (kind, colour) == ("changing", "green") else {}
            checks = bool(more.pop("healthChecks", True))
            definition = app(kind, port, instances=instances, checks=checks, labels=labels, **more)
            self.marathon.create_app(definition | {"id": f"/{kind}-{colour}"})

    def tasks(self, colour: str) -> list[TaskSeen]:
        """Return what HAProxy makes of the tasks of a colour."""

        def read(service: Any) -> list[bytes]:
            apps, dialect = service.cluster.apps.values(), service.cluster.world.dialect
            return [shapes.app_bytes(each, dialect, frozenset({"tasks"})) for each in apps]

        documents = [orjson.loads(each) for each in self.marathon.call(read)]
        mine = [each for each in documents if each["id"].endswith(colour)]
        places = {task: where for each in mine for task, where in places_of_tasks(each, {}).items()}
        return list(draining(self._balancers.look(), places).tasks.values())

    def wait_for(self, **numbers: tuple[int, int]) -> None:
        """Wait until so many tasks of each colour are up and out, in every group."""

        def now() -> dict[str, tuple[int, int]]:
            return {each: self._count(each) for each in numbers}

        self.marathon.wait_idle()
        wanted = {each: (up * len(KINDS), out * len(KINDS)) for each, (up, out) in numbers.items()}
        until(lambda: now() == wanted, said=lambda: f"{now()} instead of {wanted}\n{self.door.log()[-3000:]}")

    def kill_drained_and_grow(self) -> None:
        """Kill the blue tasks that are out, have as many less, and have all of the green ones."""
        victims = [task.task_id for task in self.tasks("blue") if task.out]

        def work(service: Any) -> None:
            for victim in victims:
                service.cluster.kill_and_scale([service.cluster.task(victim)])
            for kind in KINDS:
                service.cluster.update(f"/{kind}-green", {"instances": INSTANCES})

        self.marathon.call(work)

    def _count(self, colour: str) -> tuple[int, int]:
        try:
            seen = self.tasks(colour)
        except BalancerError:
            return 0, 0
        return sum(task.is_ready for task in seen), sum(task.is_marked for task in seen)


@pytest.fixture(params=WAYS, ids=lambda flags: "maps" if flags else "rules")
def swaps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swaps]:
    folder = tmp_path_factory.mktemp("groups")
    with SimulatedMarathon(SimulatorSettings()) as marathon, front_door(folder) as door:
        swaps = Swaps(marathon, door)
        swaps.create("blue", INSTANCES)
        marathon.wait_idle()
        door.up(marathon.url, *request.param)
        swaps.wait_for(blue=(INSTANCES, 0))
        yield swaps


def test_a_swap_needs_no_reload_but_for_what_its_new_version_changes(swaps):
    door, start = swaps.door, swaps.door.now()
    swaps.create("green", 1)
    swaps.wait_for(blue=(INSTANCES - 1, 1), green=(1, 0))
    swaps.kill_drained_and_grow()
    swaps.wait_for(blue=(0, INSTANCES - 1), green=(INSTANCES, 0))
    assert [reason for reason in reasons(door, start) if "changing_" not in reason] == []
    for kind in KINDS:
        swaps.marathon.delete_app(f"/{kind}-blue")
    swaps.wait_for(blue=(0, 0), green=(INSTANCES, 0))
    until(lambda: reasons(door, start), said=door.log)
    assert [reason for reason in reasons(door, start) if "changing_" not in reason] == []
    assert door.journal("doubt", start) == []


def reasons(door: FrontDoor, start: int) -> list[str]:
    return [reason for entry in door.journal("reload", start) for reason in entry["reasons"]]
