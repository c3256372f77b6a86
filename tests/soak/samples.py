"""The processes of fastlb over time: memory, descriptors, old workers, and how much is logged; and whether all is flat.

The last third of a soak is compared with the third before it; the first is for getting warm and for kills.
"""

from __future__ import annotations

import contextlib
from statistics import linear_regression, median
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

import psutil

from fastlb.errors import RuntimeApiError
from fastlb.master import Master

if TYPE_CHECKING:
    from collections.abc import Sequence
    from threading import Event

    from tests.fakes.front_door import FrontDoor
    from tests.soak.sizes import Sizes

MIB = 2**20
PARTS = ("supervisor", "controller", "master", "worker")
MOST_GROWTH = 1.1
SLACK_MIB = 4.0
SLACK_DESCRIPTORS = 8
FEWEST = 5


class Holding(NamedTuple):
    """What one process has."""

    mib: float
    descriptors: int


class Sample(NamedTuple):
    """One look: when, in seconds since the start; what each of `PARTS` has; old workers and their memory; the log."""

    at_s: float
    parts: dict[str, Holding]
    old_workers: int
    old_mib: float
    log_lines: int
    log_bytes: int


class Trend(NamedTuple):
    """How one number went: the medians of the middle and of the last third, and the slope over both, for an hour."""

    name: str
    middle: float
    last: float
    per_hour: float
    slack: float

    @property
    def is_flat(self) -> bool:
        """Whether the last third is no more than a little above the middle one."""
        return self.last <= MOST_GROWTH * self.middle + self.slack


class Sampler:
    """Looks again and again; a moment in which a process is being exchanged is left out."""

    def __init__(self, door: FrontDoor, sizes: Sizes) -> None:
        self._door = door
        self._every_s = sizes.sample_every_s
        self._began_s = monotonic()
        self._log_place, self._log_lines = 0, 0
        self.samples: list[Sample] = []

    def go_on(self, stop: Event) -> None:
        """Look until it is told to stop."""
        while not stop.wait(self._every_s):
            with contextlib.suppress(psutil.NoSuchProcess, RuntimeApiError, LookupError):
                self.samples.append(self._look())

    def _look(self) -> Sample:
        assert self._door.process is not None
        processes = Master(self._door.folder / "run" / "master.sock", timeout_s=5).processes()
        if processes.serving is None:
            raise LookupError("no worker serves")
        supervisor = psutil.Process(self._door.process.pid)
        pids = {
            "supervisor": supervisor.pid,
            "controller": next((each.pid for each in supervisor.children() if "controller" in each.cmdline()), None),
            "master": processes.master.pid,
            "worker": processes.serving.pid,
        }
        parts = {name: _holding(pid) for name, pid in pids.items() if pid is not None}
        old_mib = sum(_holding(each.pid).mib for each in processes.not_serving)
        return Sample(monotonic() - self._began_s, parts, len(processes.not_serving), old_mib, *self._logged())

    def _logged(self) -> tuple[int, int]:
        with (self._door.folder / "log").open("rb") as log:
            log.seek(self._log_place)
            self._log_lines += log.read().count(b"\n")
            self._log_place = log.tell()
        return self._log_lines, self._log_place


def _holding(pid: int) -> Holding:
    process = psutil.Process(pid)
    return Holding(process.memory_info().rss / MIB, process.num_fds())


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Return the trend of memory and of descriptors of each part. Raises ValueError if there is too little to see."""
    end_s = samples[-1].at_s if samples else 0.0
    found = []
    for name in PARTS:
        for kind, unit, slack in (("mib", "MiB", SLACK_MIB), ("descriptors", "descriptors", SLACK_DESCRIPTORS)):
            curve = [(each.at_s, float(getattr(each.parts[name], kind))) for each in samples if name in each.parts]
            found.append(_trend(f"{name}, {unit}", curve, end_s, slack))
    return found


def _trend(name: str, curve: list[tuple[float, float]], end_s: float, slack: float) -> Trend:
    middle = [value for at_s, value in curve if end_s / 3 <= at_s < 2 * end_s / 3]
    last = [value for at_s, value in curve if at_s >= 2 * end_s / 3]
    if min(len(middle), len(last)) < FEWEST:
        raise ValueError(f"{name}: {len(middle)} and {len(last)} looks are too few to say how it went")
    late = [point for point in curve if point[0] >= end_s / 3]
    slope = linear_regression([at_s for at_s, _ in late], [value for _, value in late]).slope
    return Trend(name, median(middle), median(last), 3600 * slope, slack)
