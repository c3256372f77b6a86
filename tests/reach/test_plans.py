"""What the log says that will be done, for one change of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.front_door import app, until
from tests.reach.sizes import FIGURES, tail

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

PORT = 28300
HEADING = "one plan for each kind of change, as the log has it at DEBUG"
LABELS = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "web.test"}


def first(cluster: SimulatedMarathon) -> str:
    return min(task["id"] for task in cluster.tasks("/web"))


def labels(cluster: SimulatedMarathon, **more: str) -> None:
    cluster.update_app("/web", {"labels": LABELS | more})


CHANGES: dict[str, Callable[[SimulatedMarathon], Any]] = {
    "a task more": lambda cluster: cluster.scale("/web", 4),
    "a task fewer": lambda cluster: cluster.scale("/web", 3),
    "a task that is announced to end": lambda cluster: cluster.set_task_state(first(cluster), "TASK_KILLING"),
    "and does not end": lambda cluster: cluster.set_task_state(first(cluster), "TASK_RUNNING"),
    "a task that is ill": lambda cluster: cluster.set_healthy(first(cluster), False),
    "and is well again": lambda cluster: cluster.set_healthy(first(cluster), True),
    "another vhost": lambda cluster: labels(cluster, HAPROXY_0_VHOST="web.test,new.test"),
    "another label": lambda cluster: labels(cluster, HAPROXY_0_BALANCE="leastconn"),
    "a new app": lambda cluster: cluster.create_app(app("zoo", PORT + 1)),
    "a deleted app": lambda cluster: cluster.delete_app("/zoo"),
}

RELOADS = {"another label", "a new app", "a deleted app"}


def test_each_change_says_its_plan(cluster, door):
    cluster.load([app("web", PORT, instances=3, checks=True)])
    door.up(cluster.url, "--haproxy-map", "--health-check", "--log-level", "DEBUG")
    for name, change in CHANGES.items():
        start, before = len(door.log()), door.now()
        change(cluster)
        cluster.wait_idle()
        if name in RELOADS:
            door.wait_for("reload", before, ok=True)
        (plan, *_) = until(lambda start=start: plans(door, start), said=lambda: tail(door.log()))
        for line in (f"{name}:", *(f"  {each}" for each in plan)):
            FIGURES.add(HEADING, line.replace(str(door.folder), "..."))


def plans(door: FrontDoor, start: int) -> list[list[str]]:
    """Return the plans that the log has from a place on."""
    lines = door.log()[start:].splitlines()
    return [text.split("; ") for line in lines if (text := line.partition("the plan: ")[2])]
