"""What goes wrong during a soak, one thing after another: Marathon's streams and answers, and the controller.

The controller is killed in the first third only, so that the other two thirds show the memory of one process.
"""

from __future__ import annotations

import signal
from collections import Counter
from itertools import cycle
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.simulator.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor
    from tests.soak.sizes import Sizes

ANSWERS_AFTER_S = 2.0
MOST_LASTING_S = 10.0


class Mishaps:
    """``made`` counts them by what they were."""

    def __init__(self, cluster: SimulatedMarathon, door: FrontDoor, sizes: Sizes, calm: Event) -> None:
        self._cluster = cluster
        self._door = door
        self._sizes = sizes
        self._calm = calm
        self._lasting_s = min(MOST_LASTING_S, sizes.mishap_every_s / 3)
        self.made: Counter[str] = Counter()

    def go_on(self, stop: Event) -> None:
        """Let one thing after another happen until it is told to stop; then nothing is wrong any more."""
        kills_until_s = monotonic() + self._sizes.seconds / 3
        ways: tuple[tuple[str, Callable[[Event], None]], ...] = (
            ("event stream cut", self._cut),
            ("controller killed", self._kill),
            ("Marathon slow", self._slow),
            ("events lost", self._lose_events),
            ("Marathon down", self._go_down),
            ("Marathon's leader changed", self._change_leader),
            ("Marathon answers 503", self._err),
            ("SIGHUP", self._reread),
        )
        for name, way in cycle(ways):
            if way == self._kill and monotonic() > kills_until_s:
                continue
            if stop.wait(self._sizes.mishap_every_s):
                return
            self._calm.clear()
            way(stop)
            self._calm.set()
            self.made[name] += 1

    def _cut(self, _stop: Event) -> None:
        self._cluster.cut_streams()

    def _kill(self, stop: Event) -> None:
        start = self._door.now()
        self._door.controller().kill()
        until_s = monotonic() + self._sizes.ready_within_s
        while not self._door.journal("reload", start) and monotonic() < until_s:
            stop.wait(0.1)

    def _slow(self, stop: Event) -> None:
        self._armed(stop, Fault.SLOW, ANSWERS_AFTER_S)

    def _err(self, stop: Event) -> None:
        self._armed(stop, Fault.ERROR, 503)

    def _lose_events(self, stop: Event) -> None:
        self._armed(stop, Fault.LOST_EVENTS, None)
        self._reread(stop)

    def _armed(self, stop: Event, fault: Fault, value: float | None) -> None:
        self._cluster.arm(fault, value=value, path="/v2/apps" if value else "/")
        stop.wait(self._lasting_s)
        self._cluster.clear(fault)

    def _go_down(self, stop: Event) -> None:
        self._cluster.go_down()
        stop.wait(self._lasting_s)
        self._cluster.come_up()

    def _change_leader(self, _stop: Event) -> None:
        self._cluster.change_leader()

    def _reread(self, _stop: Event) -> None:
        assert self._door.process is not None
        self._door.process.send_signal(signal.SIGHUP)
