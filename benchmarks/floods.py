"""``python -m benchmarks.floods``: what a flood of the administrative paths does to the time of a change.

A change is a task that Marathon finds unhealthy, or healthy again, timed as in `changes`. The same app changes without
and with each flood, turn by turn, so that what else the machine does meets all of them. A flood is a process with some
clients that ask one path as fast as they are answered, each from another address when it is told to wait; a scrape is
one request a second. Clients need processors, too, and so does HAProxy: what fastlb adds is seen beside a flood of a
path that HAProxy answers by itself. ``--check`` fails if that is too much.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, nullcontext, suppress
from itertools import cycle
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from benchmarks.changes import Scene, health_lost, health_regained
from benchmarks.figures import Size
from benchmarks.gates import Gate
from benchmarks.probes import REQUEST_WITHIN_S, Events, HAProxyView, ask
from benchmarks.programs import OWN_PORTS, STOP_WITHIN_S, Fastlb, Simulator, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.programs import App

BOOT_WITHIN_S = 600.0
LONGEST_S = 600.0
CLIENTS = 4
ADDRESSES = 200
"""From so many each client asks, in turn: who asks too often is told to wait."""
TOO_MANY = 429
CHANGES_PER_TURN = 6
PAUSE_S = 0.2
"""Between two changes, so that each of them is one of its own."""
STATS_PORT = OWN_PORTS["--stats-port"]


class Flood(NamedTuple):
    """So many clients, each of which asks ``path`` once in ``every_s`` seconds; 0: without a pause."""

    path: str
    clients: int = CLIENTS
    every_s: float = 0.0

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"`{self.path}`, {f'every {self.every_s:g} s' if self.every_s else f'{self.clients} clients'}"


HARMLESS, HAPROXYS_OWN = Flood("/_haproxy_health_check"), Flood("/metrics")
OURS = (Flood("/_haproxy_getconfig"), Flood("/_fastlb/state"), Flood("/_fastlb/metrics"))
SCRAPE = Flood("/_fastlb/metrics", 1, 1.0)
FLOODS = (HARMLESS, *OURS, HAPROXYS_OWN, SCRAPE)
OVER_HARMLESS, GOAL_OVER_HARMLESS = 3.0, 1.0
OVER_NOTHING, GOAL_OVER_NOTHING = 3.0, 1.1


class Found(NamedTuple):
    """Milliseconds from event to traffic, and how the flood was answered, by status."""

    changes_ms: list[float]
    answers: Counter[str]

    @property
    def median_ms(self) -> float:
        """Return the time that half of the changes took at most."""
        return median(self.changes_ms)


def gates(found: Mapping[Flood | None, Found]) -> list[Gate]:
    """Judge what was found: floods of what fastlb answers, beside the harmless one; a scrape beside nothing (None)."""
    compared = [(each, HARMLESS, OVER_HARMLESS, GOAL_OVER_HARMLESS) for each in OURS]
    return [
        Gate(
            f"changes with {each} over with {beside or 'nothing'}",
            found[each].median_ms / found[beside].median_ms,
            True,
            bound,
            goal,
        )
        for each, beside, bound, goal in [*compared, (SCRAPE, None, OVER_NOTHING, GOAL_OVER_NOTHING)]
    ]


def table(found: Mapping[Flood | None, Found]) -> str:
    """Return the figures."""
    quiet_ms = found[None].median_ms
    lines = ["| asked | answers | event to traffic, ms: min / median / max | over nothing |", "| --- " * 4 + "|"]
    for flood, (changes_ms, answers) in found.items():
        said = ", ".join(f"{count:,} x {status}" for status, count in sorted(answers.items()))
        times = " / ".join(f"{each:.1f}" for each in (min(changes_ms), median(changes_ms), max(changes_ms)))
        lines.append(f"| {flood or 'nothing'} | {said} | {times} | {median(changes_ms) / quiet_ms:.2f} |")
    return "\n".join(lines)


class Asking:
    """A context manager: inside it the flood is on; ``answers`` are those that it got."""

    def __init__(self, flood: Flood, address: str) -> None:
        words = ["--against", address, "--flood", str(FLOODS.index(flood))]
        self._words = [sys.executable, "-m", "benchmarks.floods", *words]
        self.answers: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self.answers.update(json.loads(self._process.communicate(timeout=STOP_WITHIN_S)[0]))


def measure(size: Size, rounds: int) -> dict[Flood | None, Found]:
    """Return what each flood, and none, does to a cluster of that size, in so many turns of each."""
    found: dict[Flood | None, Found] = {each: Found([], Counter()) for each in (None, *FLOODS)}
    with TemporaryDirectory(prefix="fastlb-bench-") as folder, ExitStack() as stack:
        simulator = stack.enter_context(Simulator(size, Path(folder)))
        side = stack.enter_context(Fastlb(simulator.url, simulator.address, Path(folder) / "side"))
        app = next(app for app in simulator.plain_apps() if app.checked)
        until(lambda: side.said() and ask(side.address, app.port)[0] == 200, BOOT_WITHIN_S, "traffic after the start")
        stream = stack.enter_context(Events(simulator.url))
        scene = Scene(simulator, stream, HAProxyView(side.config), side.address)
        _changes_ms(scene, app)  # the first of all are not like the others
        for flood, (changes_ms, answers) in list(found.items()) * rounds:
            with nullcontext() if flood is None else Asking(flood, side.address) as asking:
                changes_ms.extend(_changes_ms(scene, app))
            answers.update(asking.answers if asking else {})
    return found


def _changes_ms(scene: Scene, app: App) -> list[float]:
    """Make the changes of one turn."""
    times_ms = []
    for change in (health_lost, health_regained) * (CHANGES_PER_TURN // 2):
        sleep(PAUSE_S)
        scene.stream.forget()
        times_ms.append(change(scene, app, 0).latency_ms)
    return times_ms


def be(flood: Flood, address: str) -> None:
    """Be the flood until the end; say when it is on, and in the end how it was answered, as JSON by status."""
    stop, answers, give_up_s = Event(), Counter[str](), monotonic() + LONGEST_S
    signal.signal(signal.SIGTERM, lambda *_: stop.set())

    def client(number: int) -> None:
        for source in cycle(range(1, ADDRESSES)):
            with suppress(OSError, http.client.HTTPException):
                _ask_until_limited(flood, address, f"127.88.{number}.{source}", answers, stop)
            if stop.is_set():
                return

    threads = [Thread(target=client, args=(number,), daemon=True) for number in range(flood.clients)]
    for thread in threads:
        thread.start()
    print("on", flush=True)
    stop.wait(give_up_s - monotonic())
    stop.set()
    for thread in threads:
        thread.join(REQUEST_WITHIN_S)
    print(json.dumps(answers))


def _ask_until_limited(flood: Flood, address: str, source: str, answers: Counter[str], stop: Event) -> None:
    connection = http.client.HTTPConnection(address, STATS_PORT, REQUEST_WITHIN_S, source_address=(source, 0))
    try:
        while not stop.wait(flood.every_s):
            connection.request("GET", flood.path)
            answer = connection.getresponse()
            answer.read()
            answers[str(answer.status)] += 1
            if answer.status == TOO_MANY:
                return
    finally:
        connection.close()


def main() -> int:
    """Measure and print a table; return 1 if a gate fails that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.floods", description=__doc__)
    parser.add_argument("--size", type=Size.parse, default="1000x3", metavar="AxT", help="apps x tasks (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="turns of each flood (%(default)s)")
    parser.add_argument("--check", action="store_true", help="exit with 1 if changes take too many times as long")
    parser.add_argument("--against", help=argparse.SUPPRESS)
    parser.add_argument("--flood", type=int, help=argparse.SUPPRESS)
    args: Any = parser.parse_args()
    if args.against:
        be(FLOODS[args.flood], args.against)
        return 0
    found = measure(args.size, args.rounds)
    judged = gates(found)
    print(table(found), "", *judged, sep="\n")
    return 1 if args.check and not all(gate.holds for gate in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
