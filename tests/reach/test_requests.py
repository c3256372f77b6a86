"""Requests under a steady load while HAProxy is reloaded and changed live: none fails."""

from __future__ import annotations

from itertools import count
from time import monotonic, time
from typing import TYPE_CHECKING

import pytest

from fastlb.runtime_api import RuntimeApi
from fastlb.seen import read_servers
from tests.fakes.front_door import HTTP_PORT, app, until
from tests.fakes.load import Load, paced_load
from tests.reach.sizes import FIGURES, SIZES, tail
from tests.reach.tasks import use_graceful_tasks

if TYPE_CHECKING:
    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

PORT = 28000
MOST, FEWEST = 8, 4
LINGERS_S = 0.05
HEADING = f"requests that failed, of about {SIZES.rate} a second, half on kept connections, half on new ones"


def load_on(door: FrontDoor, least: int = SIZES.requests) -> Load:
    return paced_load(door.address, HTTP_PORT, "web.test", rate=SIZES.rate, least=least)


def test_none_fails_during_reloads(cluster, door):
    cluster.load([app("web", PORT, instances=3)])
    door.up(cluster.url, "--haproxy-map")
    start, guests = door.now(), count(PORT + 1)
    with load_on(door) as load:
        for number in range(SIZES.reloads):
            before = door.now()
            if number % 2:
                cluster.delete_app(f"/guest{number - 1}")
            else:
                cluster.create_app(app(f"guest{number}", next(guests), instances=1))
            cluster.wait_idle()
            door.wait_for("reload", before, ok=True)
    reloads = len(door.journal("reload", start))
    FIGURES.add(HEADING, f"{reloads} reloads: {load.told}")
    assert reloads >= SIZES.reloads
    assert load.told.requests >= SIZES.requests
    assert load.told.failures == [], tail(door.log())


def test_none_fails_during_live_changes_that_add_and_remove_servers(cluster, door):
    """Before 2.8.8, a server that left stays for half a minute, and a new one may need its id: that is a reload."""
    use_graceful_tasks(cluster, lingers_s=LINGERS_S)
    cluster.load([app("web", PORT, instances=FEWEST)])
    door.up(cluster.url, "--haproxy-map")
    start, instances, step = door.now(), FEWEST, 1
    with load_on(door) as load:
        for _ in range(SIZES.live_changes):
            step = {FEWEST: 1, MOST: -1}.get(instances, step)
            instances += step
            cluster.scale("/web", instances)
            cluster.wait_idle()
            until(lambda wanted=instances: in_use(door) == wanted, said=lambda: tail(door.log()))
    changes = [entry for kind in ("live", "stopped") for entry in door.journal(kind, start)]
    reasons = [reason for entry in door.journal("reload", start) for reason in entry["reasons"]]
    FIGURES.add(HEADING, f"{len(changes)} live changes, {len(reasons)} ids still in use: {load.told}")
    assert len(changes) >= SIZES.live_changes
    assert door.journal("doubt", start) == []
    assert [reason for reason in reasons if " needs the id " not in reason] == []
    assert load.told.requests >= SIZES.requests
    assert load.told.failures == [], tail(door.log())


def in_use(door: FrontDoor) -> int:
    """Return how many servers HAProxy uses."""
    servers = read_servers(RuntimeApi(door.folder / "run" / "socket", 5).servers_state())
    return sum(not server.is_out for server in servers[f"web_{PORT}"].values())


@pytest.mark.parametrize("way", ["gracefully", "at once", "after it was announced"])
def test_none_fails_after_tasks_were_killed_that_stop_at_once(cluster, door, way):
    """At once means that who waits to be accepted is reset; announced, that the state is `TASK_KILLING` first."""
    tasks = use_graceful_tasks(cluster, accepts=way != "at once")
    cluster.load([app("web", PORT, instances=10)])
    door.up(cluster.url, "--haproxy-map")
    windows: list[tuple[float, float]] = []
    start = door.now()
    with load_on(door, SIZES.requests // 5) as load:
        for _ in range(SIZES.scales):
            before = door.now()
            tasks.closed_s.clear()
            scale_to_one(cluster, door, announced=way == "after it was announced")
            until(lambda before=before: stopped(door, before) == 9, said=lambda: tail(door.log()))
            out_s = door.journal("stopped", before)[-1]["at"] - time() + monotonic()
            windows.append((min(tasks.closed_s), out_s))
            cluster.scale("/web", 10)
            cluster.wait_idle()
            until(lambda: in_use(door) == 10, said=lambda: tail(door.log()))
    before = [f for f in load.told.failures if any(closed_s - 0.01 < f.began_s < out_s for closed_s, out_s in windows)]
    times = sorted((out_s - closed_s) * 1000 for closed_s, out_s in windows)
    median_ms = times[len(times) // 2]
    FIGURES.add(HEADING, f"{SIZES.scales} times 10 tasks to 1, which stop {way}: {load.told}")
    FIGURES.add(
        HEADING,
        f"  {len(before)} of them began before HAProxy had taken out the last server, median {median_ms:.1f}, "
        f"longest {times[-1]:.1f} ms after the first task had closed",
    )
    assert door.journal("reload", start) == []
    assert [failure for failure in load.told.failures if failure not in before] == [], tail(door.log())
    assert before == [] or way != "after it was announced"


def scale_to_one(cluster: SimulatedMarathon, door: FrontDoor, *, announced: bool) -> None:
    """Have nine of ten tasks killed."""
    if not announced:
        cluster.scale("/web", 1)
    else:
        before, victims = door.now(), [task["id"] for task in cluster.tasks("/web")][:9]
        for victim in victims:
            cluster.set_task_state(victim, "TASK_KILLING")
        until(lambda: stopped(door, before) == 9, said=lambda: tail(door.log()))
        for victim in victims:
            cluster.kill_task(victim, scale=True)
    cluster.wait_idle()


def stopped(door: FrontDoor, since: int) -> int:
    """Return how many servers were stopped on their events."""
    return sum(each["servers"] for each in door.journal("stopped", since))
