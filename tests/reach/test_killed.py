"""kill -9 of each process under load: what fails meanwhile, and how long it takes until all is as before."""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING

import pytest

from tests.fakes.front_door import HTTP_PORT, app, until
from tests.fakes.load import paced_load
from tests.reach.sizes import FIGURES, SIZES, tail
from tests.reach.tasks import use_graceful_tasks

if TYPE_CHECKING:
    import psutil

    from tests.fakes.front_door import FrontDoor

PORT = 28100
BACK = {"controller": "reload", "worker": "haproxy_started", "master": "haproxy_started"}
"""What is written down when that process has been replaced; a controller that adopts HAProxy calls that a reload."""
HEADING = f"kill -9 under {SIZES.rate} requests a second"


def victim(door: FrontDoor, who: str) -> psutil.Process:
    return {"controller": door.controller, "worker": door.worker, "master": door.master}[who]()


@pytest.mark.parametrize("who", list(BACK))
def test_all_is_as_before_after_one_process_was_killed(cluster, door, who):
    use_graceful_tasks(cluster)
    cluster.load([app("web", PORT, instances=3)])
    door.up(cluster.url, "--haproxy-map")
    worker = door.worker()
    with paced_load(door.address, HTTP_PORT, "web.test", rate=SIZES.rate, least=SIZES.requests // 10) as load:
        until(lambda: door.status("web.test") == 200)
        start, killed_s = door.now(), monotonic()
        victim(door, who).kill()
        back_s = door.wait_for(BACK[who], start, ok=True if who == "controller" else None)["at"] - time() + monotonic()
        before = door.now()
        cluster.scale("/web", 5)
        door.wait_for("live", before)
        live_s = monotonic()
    failed = load.told.failures
    failing_s = max((failure.ended_s for failure in failed), default=killed_s) - killed_s
    FIGURES.add(
        HEADING,
        f"{who:10}: {len(failed):4} of {load.told.requests} failed, the last one {failing_s:.2f} s after it; replaced "
        f"after {back_s - killed_s:.2f} s, a change made right then was live after {live_s - killed_s:.2f} s",
    )
    assert load.told.failures_since(back_s) == [], tail(door.log())
    assert len(door.haproxies()) == 2
    if who == "controller":
        assert (failed, door.worker()) == ([], worker), tail(door.log())
