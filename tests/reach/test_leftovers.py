"""What is left after many live changes and reloads: no descriptor, socket, process or memory more than before."""

from __future__ import annotations

import contextlib
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import psutil

from fastlb.runtime_api import RuntimeApi
from tests.fakes.front_door import app, until
from tests.reach.sizes import FIGURES, SIZES, tail

if TYPE_CHECKING:
    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

PORT = 28200
FEWEST, MOST = 2, 6
AT_REST_WITHIN_S = 60
"""Before 2.8.8 a server that left is deleted after half a minute."""
MOST_GROWTH = 1.1
SLACK_BYTES = 3 * 2**20
HEADING = "descriptors and MiB: {} live changes and {} reloads, and as many once more"


class Holding(NamedTuple):
    """What one process has open, and its resident memory."""

    descriptors: int
    resident_bytes: int

    def __str__(self) -> str:
        """Say it as the table does."""
        return f"{self.descriptors:3} descriptors {self.resident_bytes / 2**20:6.1f} MiB"


def holdings(door: FrontDoor) -> dict[str, Holding]:
    assert door.process is not None
    processes = {
        "supervisor": psutil.Process(door.process.pid),
        "controller": door.controller(),
        "master": door.master(),
        "worker": door.worker(),
    }
    return {name: Holding(each.num_fds(), each.memory_info().rss) for name, each in processes.items()}


def things(door: FrontDoor) -> tuple[int, list[str]]:
    """How many processes there are, and the files in the folder of the run."""
    files = [path for path in (door.folder / "run").rglob("*") if not path.name.endswith(".fastlb-new")]
    return len(door.tree()), sorted(path.name for path in files)


def change_much(cluster: SimulatedMarathon, door: FrontDoor, live: int, reloads: int, numbers: count[int]) -> None:
    """Make so many changes of both kinds."""
    instances, step = FEWEST, 1
    for number in range(live):
        step = {FEWEST: 1, MOST: -1}.get(instances, step)
        instances, before = instances + step, door.now()
        cluster.scale("/web", instances)
        door.wait_for("live" if step > 0 else "stopped", before)
        cluster.wait_idle()
        if number * reloads // live < (number + 1) * reloads // live:
            before, name = door.now(), f"zoo{next(numbers)}"
            cluster.create_app(app(name, PORT + 1, instances=1))
            cluster.wait_idle()
            door.wait_for("reload", before, ok=True)
            cluster.delete_app(f"/{name}")
            cluster.wait_idle()
    cluster.scale("/web", FEWEST)
    cluster.wait_idle()


def wait_for_rest(door: FrontDoor) -> None:
    """Wait until no server is on its way out, and nobody but the four processes is there."""
    api = RuntimeApi(door.folder / "run" / "socket", 5)

    def at_rest() -> bool:
        servers = [line for line in api.servers_state().splitlines() if " web_" in line]
        return len(servers) == FEWEST and len(door.tree()) == 3 and "zoo" not in door.config()

    until(at_rest, AT_REST_WITHIN_S, said=lambda: tail(door.log()))
    with contextlib.suppress(AssertionError):
        until(lambda: holdings(door)["controller"].descriptors < 0, 0.5)  # what is being written ends meanwhile


def test_nothing_is_left(cluster, door):
    live, reloads = (each // 2 for each in SIZES.left_after)
    cluster.load([app("web", PORT, instances=FEWEST)])
    door.up(cluster.url, "--haproxy-map", "--audit-interval", "2")
    start, numbers = door.now(), count()
    seen = []
    for _ in range(2):
        change_much(cluster, door, live, reloads, numbers)
        wait_for_rest(door)
        seen.append((holdings(door), things(door)))
    (before, there), (after, there_after) = seen
    for name in before:
        FIGURES.add(HEADING.format(live, reloads), f"{name:10}: {before[name]}, then {after[name]}")
    changes = len([each for kind in ("live", "stopped") for each in door.journal(kind, start)])
    assert (changes >= 2 * live, len(door.journal("reload", start)) >= 2 * reloads) == (True, True)
    assert there_after == there
    for name, holding in after.items():
        assert holding.descriptors <= before[name].descriptors, name
        assert holding.resident_bytes <= MOST_GROWTH * before[name].resident_bytes + SLACK_BYTES, name
