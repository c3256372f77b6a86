"""``fastlb sse`` restarted as the systemd unit restarts it: no request fails, also where the new one does not start."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from fastlb.errors import ExitCode
from tests.fakes.front_door import HTTP_PORT, app, until
from tests.fakes.load import paced_load

if TYPE_CHECKING:
    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "fastlb.service"
RESTART = signal.Signals[re.search(r"^RestartKillSignal=(\w+)$", UNIT.read_text(), re.MULTILINE)[1]]
RESTARTS = 3
RATE = 200


def end_supervisor(door: FrontDoor) -> None:
    """Do what systemd does before it starts the unit again: end the main process alone."""
    process, door.process = door.process, None
    door.tree(process.pid)
    process.send_signal(RESTART)
    assert process.wait(20) == -RESTART


def is_gone(process: psutil.Process) -> bool:
    """Whether it serves no more; who reaps it now is none of ours."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def restart(door: FrontDoor, marathon: str) -> None:
    before = door.master()
    end_supervisor(door)
    door.up(marathon)
    until(lambda: is_gone(before), said=door.log)


def test_no_request_fails_while_fastlb_is_restarted(own_cluster: SimulatedMarathon, door: FrontDoor):
    own_cluster.load([app("web", 27200)])
    door.up(own_cluster.url)
    with paced_load(door.address, HTTP_PORT, "web.test", rate=RATE) as load:
        for _ in range(RESTARTS):
            restart(door, own_cluster.url)
    assert load.told.failures == [], door.log()
    assert load.told.requests > RATE


def test_a_restart_with_a_mistake_in_the_settings_leaves_haproxy_serving_until_it_is_mended(
    own_cluster: SimulatedMarathon, door: FrontDoor
):
    own_cluster.load([app("web", 27201)])
    door.up(own_cluster.url)
    former = door.master()
    with paced_load(door.address, HTTP_PORT, "web.test", rate=RATE) as load:
        end_supervisor(door)
        assert door.run(own_cluster.url, "--maxconn", "many").returncode == ExitCode.USAGE
        door.up(own_cluster.url)
        until(lambda: is_gone(former), said=door.log)
    assert load.told.failures == [], door.log()
