"""One soak: everything at once for as long as it is told, then rest, then the verdict, with fastlb still running.

changes, mishaps --> simulated Marathon --> fastlb --> HAProxy <-- load, held connections
                                               samples, journal, `oracle` --> Outcome
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections import Counter
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Protocol

from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays
from tests.fakes.front_door import HTTP_PORT, front_door, until
from tests.soak.changes import Changes
from tests.soak.clients import Held, Requests
from tests.soak.mishaps import Mishaps
from tests.soak.oracle import differences
from tests.soak.samples import Sampler, trends
from tests.soak.tasks import use_lingering_tasks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.front_door import FrontDoor
    from tests.soak.samples import Sample, Trend
    from tests.soak.sizes import Sizes

STARTED_LIKE = ("--haproxy-map", "--health-check")
LIVELY = Delays(staging_s=0.1, starting_s=0.1, running_s=0.3, healthy_s=0.3, killing_s=0.1, relaunch_s=0.5)
MOST_OLD_WORKERS = 10
"""The default of --max-old-workers."""
MOST_RELOADS = 50
"""The default of --mworker-max-reloads: HAProxy itself ends a worker that has lived through more."""
UNWANTED = ("doubt", "drift", "haproxy_exited")
LOADED = ("web", "flux")


class GoesOn(Protocol):
    """What happens all the time."""

    def go_on(self, stop: Event) -> None:
        """Until it is told to stop."""


@dataclass
class Outcome:
    """What a soak came to; ``wrong`` is what differs in the end."""

    sizes: Sizes
    seconds: float
    changes: Changes
    mishaps: Mishaps
    requests: list[Requests]
    held: Held
    samples: list[Sample]
    trends: list[Trend]
    journal: Counter[str]
    reloads_s: list[float]
    wrong: list[str]

    def faults(self) -> list[str]:
        """Return what is not as it has to be, a line each."""
        failures = [f"{each.host}: {failure.how}" for each in self.requests for failure in each.failures]
        growing = [each for each in self.trends if not each.is_flat]
        most = max(each.old_workers for each in self.samples)
        return [
            *self.wrong,
            *failures,
            *(f"{each.name} grows from {each.middle:.1f} to {each.last:.1f}" for each in growing),
            *([f"{most} old workers are more than {MOST_OLD_WORKERS}"] if most > MOST_OLD_WORKERS else []),
            *(f"a held connection was lost after {reloads} reloads" for reloads in self.lost_without_reason()),
            *(f"{self.journal[kind]} times: {kind}" for kind in UNWANTED if self.journal[kind]),
        ]

    def lost_without_reason(self) -> list[int]:
        """Return how many reloads those held connections lived through that were lost, and not for a limit."""
        if self.journal["old_worker_ended"]:
            return []
        lived = [sum(opened_s <= at_s <= lost_s for at_s in self.reloads_s) for opened_s, lost_s in self.held.lost]
        return [reloads for reloads in lived if reloads < MOST_RELOADS]


@dataclass
class Scene:
    """What still runs when a soak is over."""

    cluster: SimulatedMarathon
    door: FrontDoor
    outcome: Outcome

    def differences(self) -> list[str]:
        """Look once more."""
        return differences(self.door, self.cluster.url, *rendered_like(self.door))


def rendered_like(door: FrontDoor) -> list[str]:
    """Return the flags of a fresh render; it makes no certificate of its own."""
    return [*STARTED_LIKE, "--ssl-certs", str(door.folder / "run" / "self-signed.pem")]


@contextlib.contextmanager
def soaked(sizes: Sizes, folder: Path, *flags: str) -> Iterator[Scene]:
    """Do it; afterwards everything but change and load still runs."""
    with SimulatedMarathon(SimulatorSettings(delays=LIVELY)) as cluster, front_door(folder) as door:
        use_lingering_tasks(cluster)
        calm = Event()
        calm.set()
        changes = Changes(cluster, sizes, calm)
        changes.load()
        door.start(cluster.url, *STARTED_LIKE, "--log-level", "INFO", *flags)
        served = [f"{name}.test" for name in LOADED]
        until(
            lambda: all(door.status(host, port=HTTP_PORT) == 200 for host in served),
            sizes.ready_within_s,
            said=door.log,
        )
        yield Scene(cluster, door, _soak(sizes, cluster, door, changes, calm))


def _soak(sizes: Sizes, cluster: SimulatedMarathon, door: FrontDoor, changes: Changes, calm: Event) -> Outcome:
    mishaps, sampler = Mishaps(cluster, door, sizes, calm), Sampler(door, sizes)
    requests = [Requests(door.address, f"{name}.test", sizes.requests_per_s) for name in LOADED]
    held, began_s = Held(door.address, sizes), time.monotonic()
    everything: list[GoesOn] = [changes, mishaps, sampler, held, *requests]
    stop = Event()
    with ThreadPoolExecutor(len(everything)) as pool:
        going = [pool.submit(each.go_on, stop) for each in everything]
        wait(going, sizes.seconds, FIRST_EXCEPTION)
        stop.set()
    for each in going:
        each.result()
    seconds = time.monotonic() - began_s
    cluster.clear()
    wrong = _at_rest(sizes, cluster, door)
    entries = door.journal()
    journal = Counter(entry["kind"] for entry in entries)
    reloads_s = [entry["at"] for entry in entries if entry["kind"] == "reload"]
    curves = trends(sampler.samples)
    return Outcome(sizes, seconds, changes, mishaps, requests, held, sampler.samples, curves, journal, reloads_s, wrong)


def _at_rest(sizes: Sizes, cluster: SimulatedMarathon, door: FrontDoor) -> list[str]:
    """Have everything read once more and wait until nothing is wrong; return what still is after the last moment."""
    assert door.process is not None
    cluster.wait_idle()
    door.process.send_signal(signal.SIGHUP)
    deadline_s = time.monotonic() + sizes.ready_within_s
    while (wrong := differences(door, cluster.url, *rendered_like(door))) and time.monotonic() < deadline_s:
        time.sleep(1)
    return wrong
