"""``fastlb sse`` whose controller dies: HAProxy is adopted as it runs, and reloaded only for what has changed."""

from __future__ import annotations

import signal
import time
from itertools import count
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.fakes.front_door import app, until

if TYPE_CHECKING:
    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

BIGGEST_SUPERVISOR = 25_000_000
ports = count(22500)


@pytest.fixture
def running(own_cluster: SimulatedMarathon, door: FrontDoor) -> FrontDoor:
    own_cluster.load([app("web", next(ports))])
    return door.up(own_cluster.url)


def kill_controller(door: FrontDoor) -> int:
    """Kill it, and return where the journal ended before the next one wrote anything."""
    start = door.now()
    door.controller().kill()
    return start


def test_a_new_controller_adopts_haproxy_without_a_reload(running):
    worker = running.worker()
    for _ in range(2):
        running.wait_for("reload", kill_controller(running), ok=True)
        assert running.worker() == worker
    assert running.status("web.test") == 200


def test_a_new_controller_clears_away_what_the_killed_one_was_writing(running):
    folders = running.config_path.parent, running.folder / "run", running.folder / "run" / "last-good"
    halves = [folder / ".haproxy.cfg.half.fastlb-new" for folder in folders]
    for half in halves:
        half.write_text("global\n")
    trial = running.folder / "tmp" / "fastlb-trial-killed"
    trial.mkdir()
    (trial / "haproxy.cfg").write_text("global\n")
    running.wait_for("reload", kill_controller(running), ok=True)
    assert [path for path in (*halves, trial) if path.exists()] == []


def test_a_new_app_is_not_blamed_for_a_worker_that_somebody_kills(own_cluster, running):
    before = running.worker()
    own_cluster.create_app(app("new", next(ports)))
    until(lambda: [each for each in running.master().children() if each != before])[0].kill()
    running.wait_for_status("new.test", 200)
    assert "on new definitions" not in running.log()


def test_what_changed_while_there_was_no_controller_is_loaded(own_cluster, running):
    worker, controller = running.worker(), running.controller()
    controller.suspend()
    own_cluster.create_app(app("guest", next(ports)))
    own_cluster.wait_idle()
    running.wait_for("reload", kill_controller(running), ok=True)
    running.wait_for_status("guest.test", 200)
    assert running.worker() != worker


def test_an_adopted_haproxy_is_reloaded_when_that_is_asked_for(running):
    worker = running.worker()
    start = kill_controller(running)
    running.wait_for("reload", start, ok=True)
    running.process.send_signal(signal.SIGUSR1)
    running.wait_for("reload", start, reasons=["SIGUSR1"], ok=True)
    assert running.worker() != worker


def test_a_configuration_that_somebody_edited_is_not_adopted(running):
    worker = running.worker()
    with running.config_path.open("a") as config:
        config.write("# edited\n")
    running.wait_for("reload", kill_controller(running), ok=True)
    assert "# edited" not in running.config()
    assert running.worker() != worker


def test_a_reload_by_somebody_else_ends_the_adoption(running):
    running.master().send_signal(signal.SIGUSR2)
    start = running.now()
    worker = running.worker()
    running.wait_for("reload", kill_controller(running), ok=True)
    assert running.worker() != worker
    assert running.journal("reload", start)


def test_a_controller_that_hangs_is_replaced_and_one_that_has_nothing_to_do_is_not(own_cluster, door):
    own_cluster.load([app("web", next(ports))])
    door.up(own_cluster.url, "--controller-timeout", "5")
    time.sleep(7)  # the point is what does not happen meanwhile
    controller, start = door.controller(), door.now()
    assert "has been silent" not in door.log()
    controller.suspend()
    door.wait_for("reload", start, ok=True)
    assert (door.controller() != controller, door.status("web.test")) == (True, 200)


def test_the_supervisor_stays_small_beside_what_it_supervises(running):
    assert psutil.Process(running.process.pid).memory_info().rss < BIGGEST_SUPERVISOR
