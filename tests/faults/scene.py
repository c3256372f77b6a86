"""What one fault is injected into: a cluster, a front door, and requests that go on meanwhile.

    scene.up()                  # everything runs, and is steady
    with scene.fault():         # the load is on
        ...inject, hold, end it
    scene.expect("what the log has to say")

When the fault is over, a server is added and an app is created; the scene is steady as soon as exactly what Marathon
has answers through HAProxy. `web` gets the load, `probe` is changed, `guestN` are new.
"""

from __future__ import annotations

import contextlib
import re
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from tests.fakes.front_door import HTTP_PORT, app, front_door, until
from tests.fakes.load import paced_load
from tests.faults.report import Row, without_stamp
from tests.faults.sizes import IS_LONG, SIZES
from tests.reach.sizes import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fakes.front_door import FrontDoor
    from tests.fakes.load import Failure

WEB, PROBE, GUEST, OTHER = 22000, 22001, 22002, 22100
AFTER_S = 0.5
"""For so long the load goes on when all is steady."""


class Scene:
    """See the module; ``row`` is what it cost."""

    def __init__(self, cluster: SimulatedMarathon, door: FrontDoor, row: Row) -> None:
        self.cluster = cluster
        self.door = door
        self.row = row
        self.marathon = cluster.url
        self._guests = 0
        self._steady_at_s: list[tuple[float, float]] = []

    def up(self, *flags: str, health: bool = False, **environment: str) -> None:
        """Fill the cluster and start fastlb."""
        watched = [app("web", WEB, instances=3, checks=health), app("probe", PROBE, instances=2, checks=health)]
        others = [app(f"other{number}", OTHER + number, instances=3) for number in range(SIZES.others)]
        self.cluster.load([*watched, *others])
        self.start(*flags, **environment)

    def start(self, *flags: str, **environment: str) -> None:
        """Start fastlb, perhaps once more after it was stopped."""
        start = self.door.now()
        self.door.start(self.marathon, "--haproxy-map", *flags, **environment)
        self.until(lambda: any(entry["ok"] for entry in self.door.journal("reload", start)))
        self.wait_until_steady()

    @contextlib.contextmanager
    def fault(self, *, guest: bool = True) -> Iterator[None]:
        """Have requests go on; at the end wait until what is changed then is served. No ``guest``: no new app."""
        with paced_load(self.door.address, HTTP_PORT, "web.test", rate=SIZES.rate) as load:
            began_s = time.monotonic()
            yield
            over_s = time.monotonic()
            self.change(guest=guest)
            self.wait_until_steady()
            steady_s = time.monotonic()
            time.sleep(AFTER_S)
        self.row.requests += load.told.requests
        self.row.failures += load.told.failures
        self.row.steady_s = max(self.row.steady_s, steady_s - over_s)
        self._steady_at_s.append((began_s, steady_s))

    def change(self, *, guest: bool = True) -> None:
        """Have Marathon add or remove a task, and create an app."""
        self.cluster.wait_idle()
        self.cluster.scale("/probe", 5 - len(self.cluster.tasks("/probe")))
        if guest:
            self.cluster.create_app(app(f"guest{self._guests}", GUEST + self._guests, instances=1))
            self._guests += 1

    def wait_until_steady(self) -> None:
        """Wait until exactly the tasks that run answer."""
        self.cluster.wait_idle()
        guests = [f"guest{number}" for number in range(self._guests)]
        until(lambda: all(map(self._is_served, ["web", "probe", *guests])), SIZES.steady_within_s, said=self.said)

    def _is_served(self, name: str) -> bool:
        running = {task["id"] for task in self.cluster.tasks(f"/{name}") if task["state"] == "TASK_RUNNING"}
        return self.door.answering(f"{name}.test", 2 * len(running)) == running

    def hold(self, short_s: float, long_s: float | None = None) -> None:
        """Let the fault last."""
        time.sleep(long_s if IS_LONG and long_s is not None else short_s)

    def reread(self) -> None:
        """Have Marathon read anew, and wait for it."""
        assert self.door.process is not None
        start = self.door.now()
        self.door.process.send_signal(signal.SIGHUP)
        self.door.wait_for("fetched", start, asked="everything")

    def until(self, what: Callable[[], object]) -> None:
        """Poll until it is true."""
        until(what, SIZES.steady_within_s, said=self.said)

    def until_said(self, pattern: str) -> None:
        """Wait until the log has a line of that kind."""
        self.until(lambda: re.search(pattern, self.door.log()))

    def said(self) -> str:
        """Return the end of the log."""
        return tail(self.door.log(), 60)

    def expect(self, *patterns: str, may_fail: bool = False) -> None:
        """Demand what every fault demands, and that the log names the cause; each pattern is looked for in it.

        ``may_fail``: what serves was hit itself, so that requests are only counted until all is steady.
        """
        for pattern in patterns:
            line = next((line for line in self.door.log().splitlines() if re.search(pattern, line)), None)
            assert line is not None, f"nothing in the log says {pattern!r}\n{self.said()}"
            self.row.said.append(without_stamp(line.replace(str(self.door.folder), "…")))
        late = [failure for failure in self.row.failures if not self._was_during_a_fault(failure)]
        failures = late if may_fail else self.row.failures
        assert failures == [], f"{failures[:9]}, steady: {self._steady_at_s}\n{self.said()}"

    def _was_during_a_fault(self, failure: Failure) -> bool:
        return any(began_s <= failure.ended_s and failure.began_s <= end_s for began_s, end_s in self._steady_at_s)


@contextlib.contextmanager
def scene_for(name: str, folder: Path, settings: SimulatorSettings | None = None) -> Iterator[Scene]:
    """A scene of its own; at its end no process, socket or temporary file may be left."""
    own = replace(settings or SimulatorSettings(), real_servers=3 * SIZES.others + 100)  # who answers shows which task
    with SimulatedMarathon(own) as cluster, front_door(folder) as door:
        yield Scene(cluster, door, Row(name))
