"""``python -m benchmarks.instances``: what several instances of fastlb cost one Marathon.

Each instance is a whole `fastlb sse` with a HAProxy of its own, at an address of its own, and knows nothing of the
others. A change is a task that fails and is replaced, as Marathon does it: it ends, a new one is staged, runs, and may
be found healthy. Requests and bytes are those that each instance writes into its journal; the stream is read once
more here, in the same form, since every reader is sent the same bytes.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time
from typing import NamedTuple

from benchmarks.figures import Size
from benchmarks.probes import Stream
from benchmarks.programs import Fastlb, Simulator, own_address, until
from benchmarks.stages import fetched_between
from fastlb.marathon.stream import PATH

START_WITHIN_S = 300.0
QUIET_WITHIN_S = 120.0
QUIET_S = 3.0
PACE_S = 0.5
"""Between two changes, so that each of them is one of its own to every instance."""

HEADINGS = (
    "instances",
    "events per change",
    "GETs per change, each",
    "bytes per change, each",
    "of them in the stream",
    "GETs per change, all",
    "bytes per change, all",
    "one full read, bytes",
    "GETs while idle",
    "stream while idle, bytes a minute",
    "event to applied, median ms",
    "controller, MB each",
    "HAProxy, MB each",
)


class Cost(NamedTuple):
    """What so many instances cost, in the order of `HEADINGS`."""

    instances: int
    events: float
    requests: float
    received: float
    streamed: float
    all_requests: float
    all_received: float
    full_read: float
    idle_requests: int
    idle_streamed: float
    applied_ms: float
    controller_mb: float
    haproxy_mb: float

    def row(self) -> str:
        """Return it as a row of a table."""
        return f"| {' | '.join(f'{value:,.2f}' if value < 10 else f'{value:,.0f}' for value in self)} |"


class Count(Stream):
    """How much came on the stream that fastlb asks for."""

    def __init__(self, marathon: str) -> None:
        super().__init__(marathon, PATH, QUIET_WITHIN_S)
        self.received, self.events = 0, 0

    def _take(self, line: bytes) -> None:
        self.received += len(line)
        self.events += line.startswith(b"event: ")


class Moment(NamedTuple):
    """How far the stream had come at some time."""

    at_s: float
    received: int
    events: int


def measure(instances: int, size: Size, changes: int, idle_s: float) -> Cost:
    """Return what so many instances cost a Marathon of that size in so many changes, and in that much rest."""
    with TemporaryDirectory(prefix="fastlb-bench-") as folder, ExitStack() as stack:
        simulator = stack.enter_context(Simulator(size, Path(folder)))
        fleet = [
            stack.enter_context(Fastlb(simulator.url, _address(number), Path(folder) / f"side{number}"))
            for number in range(instances)
        ]
        for each in fleet:
            until(partial(_agrees, each), START_WITHIN_S, "agreement with Marathon")
        stream = stack.enter_context(Count(simulator.url))
        _wait_for_quiet(fleet)
        begun = _moment(stream)
        _replace_tasks(simulator, changes)
        _wait_for_quiet(fleet)
        changed = _moment(stream)
        sleep(idle_s)
        return _cost(fleet, changes, begun, changed, _moment(stream))


def _moment(stream: Count) -> Moment:
    return Moment(time(), stream.received, stream.events)


def _cost(fleet: list[Fastlb], changes: int, begun: Moment, changed: Moment, rested: Moment) -> Cost:
    fetched = [fetched_between(each.journal(), begun.at_s, changed.at_s) for each in fleet]
    idle = [fetched_between(each.journal(), changed.at_s, rested.at_s) for each in fleet]
    streamed = (changed.received - begun.received) / changes
    requests = [(singles + everything) / changes for singles, everything, _ in fetched]
    received = [streamed + read / changes for *_, read in fetched]
    memory = [each.memory_mb() for each in fleet]
    return Cost(
        instances=len(fleet),
        events=(changed.events - begun.events) / changes,
        requests=mean(requests),
        received=mean(received),
        streamed=streamed,
        all_requests=sum(requests),
        all_received=sum(received),
        full_read=mean(_first_read(each) for each in fleet),
        idle_requests=sum(singles + everything for singles, everything, _ in idle),
        idle_streamed=(rested.received - changed.received) / (rested.at_s - changed.at_s) * 60,
        applied_ms=_applied_ms(fleet, begun.at_s, changed.at_s),
        controller_mb=mean(each["controller"] for each in memory),
        haproxy_mb=mean(each["HAProxy, master and workers"] for each in memory),
    )


def _address(number: int) -> str:
    *rest, last = own_address().split(".")
    return ".".join([rest[0], "252", str(number + 1), last])


def _agrees(side: Fastlb) -> bool:
    side.said()
    return any(entry["kind"] == "reload" and entry["ok"] for entry in side.journal())


def _wait_for_quiet(fleet: list[Fastlb]) -> None:
    """Wait until nobody has written anything into a journal for a while."""
    known, since_s = [0], monotonic()

    def quiet() -> bool:
        nonlocal known, since_s
        sleep(QUIET_S / 10)
        lengths = [len(each.journal()) for each in fleet]
        if lengths != known:
            known, since_s = lengths, monotonic()
        return monotonic() - since_s > QUIET_S

    until(quiet, QUIET_WITHIN_S, "rest of all instances")


def _replace_tasks(simulator: Simulator, changes: int) -> None:
    apps = simulator.ask("GET", "/v2/apps?embed=apps.tasks")["apps"]
    for number in range(changes):
        tasks = apps[number % len(apps)]["tasks"]
        simulator.ask("POST", f"/_sim/tasks/{tasks[number // len(apps)]['id']}", {"fail": "TASK_FAILED"})
        sleep(PACE_S)


def _first_read(side: Fastlb) -> int:
    entries = side.journal()
    return next(int(each["received_bytes"]) for each in entries if each.get("asked") == "everything")


def _applied_ms(fleet: list[Fastlb], begin_s: float, end_s: float) -> float:
    live = [each for side in fleet for each in side.journal() if each["kind"] in {"live", "reload"}]
    told = [each["event_to_applied_s"] for each in live if begin_s <= each["at"] <= end_s]
    return median(float(seconds) * 1000 for seconds in told if seconds is not None)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instances", description=__doc__)
    parser.add_argument("--instances", default="1,3,10", metavar="N,...", help="how many (%(default)s)")
    parser.add_argument("--size", type=Size.parse, default="300x3", metavar="AxT", help="apps x tasks (%(default)s)")
    parser.add_argument("--changes", type=int, default=100, metavar="N", help="tasks that are replaced (%(default)s)")
    parser.add_argument("--idle", type=float, default=30.0, metavar="S", help="seconds of rest (%(default)s)")
    args = parser.parse_args()
    print(f"| {' | '.join(HEADINGS)} |", "|" + " --- |" * len(HEADINGS), sep="\n", flush=True)
    for word in args.instances.split(","):
        print(measure(int(word), args.size, args.changes, args.idle).row(), flush=True)


if __name__ == "__main__":
    main()
