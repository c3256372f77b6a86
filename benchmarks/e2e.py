"""The whole of it on loopback: a simulated Marathon, a load balancer and a real HAProxy, each in processes of its own.

    changes --PUT--> simulator --event--> load balancer --> HAProxy <--requests-- changes, load

The same for every load balancer that is a `Side`; everything is bounded in count and time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from benchmarks import bad_apps
from benchmarks.changes import CHANGES, Moments, Scene
from benchmarks.figures import Row, single, spread
from benchmarks.load import Load
from benchmarks.probes import Events, HAProxyView, ask
from benchmarks.programs import Fastlb, Simulator, until
from benchmarks.stages import STAGES, fetched_between, stage_ms

if TYPE_CHECKING:
    from benchmarks.figures import Size
    from benchmarks.programs import App
    from benchmarks.stages import Entry

BOOT_WITHIN_S = 600.0
QUIET_WITHIN_S = 300.0
QUIET_S = 0.3
QUIET_PROCESSOR_S = 0.03
LOADED_APPS = 8
CHANGED_APPS = 12
ONE_EVENT = "health lost"
"""The change that Marathon tells with a single event of each kind, so that requests per event can be counted."""


Start = Callable[[str, str, Path], AbstractContextManager["Side"]]


class Side(Protocol):
    """A load balancer that runs, with its HAProxy: a `programs.Fastlb` or a `marathon_lb.MarathonLb`."""

    name: str
    address: str
    config: Path

    def said(self) -> str:
        """Return its log. Raises RuntimeError if it has ended."""

    def processor_s(self) -> float:
        """Return the processor time that it has used, without HAProxy's."""

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of each part."""

    def journal(self) -> list[Entry]:
        """Return what it wrote down; nothing if it writes nothing."""


class Trial(NamedTuple):
    """One change: what, when, and when all was quiet before and after it."""

    change: str
    begun_s: float
    moments: Moments
    quiet_s: float


def run(size: Size, events: int, start: Start) -> list[Row]:
    """Return the rows for a cluster of that size; ``start`` gets Marathon's URL, an address and a folder."""
    with TemporaryDirectory(prefix="fastlb-bench-") as folder, ExitStack() as stack:
        simulator = stack.enter_context(Simulator(size, Path(folder)))
        apps = simulator.plain_apps()
        loaded, changed = apps[:LOADED_APPS], apps[LOADED_APPS:]
        started_s = monotonic()
        side = stack.enter_context(start(simulator.url, simulator.address, Path(folder) / "side"))
        until(lambda: _serves(side, loaded[0]), BOOT_WITHIN_S, "traffic after the start")
        rows = [single("start to traffic", size, side.name, "s", monotonic() - started_s)]
        stream = stack.enter_context(Events(simulator.url))
        scene = Scene(simulator, stream, HAProxyView(side.config), side.address)
        load = Load(side.address, [app.port for app in loaded])
        with load:
            trials = _trials(scene, side, changed, events)
        rows += _latencies(trials, size, side.name) + _stages(trials, side, size) + _requests(trials, side, size)
        rows += bad_apps.run(simulator, side, size) if isinstance(side, Fastlb) else []
        rows += [single(f"memory of {part}", size, side.name, "MB", value) for part, value in side.memory_mb().items()]
    words = {"background requests": "requests", "failed requests": "failed"}
    return rows + [single(what, size, side.name, "requests", load.told[key]) for what, key in words.items()]


def _trials(scene: Scene, side: Side, apps: list[App], events: int) -> list[Trial]:
    """Make each change so many times, each after the load balancer has come to rest."""
    unchecked = cycle([app for app in apps if not app.checked][:CHANGED_APPS])
    checked = cycle([app for app in apps if app.checked][:CHANGED_APPS])
    trials = []
    _wait_for_quiet(side)
    for number in range(events):
        plain, flipped = next(unchecked), next(checked)
        for name, change in CHANGES.items():
            scene.stream.forget()
            begun_s = time()
            moments = change(scene, flipped if name.startswith("health") else plain, number)
            _wait_for_quiet(side)
            trials.append(Trial(name, begun_s, moments, time()))
    return trials


def _wait_for_quiet(side: Side) -> None:
    """Wait until the load balancer (not HAProxy) has hardly used a processor for a while."""

    def quiet() -> bool:
        before_s = side.processor_s()
        sleep(QUIET_S)
        side.said()
        return side.processor_s() - before_s < QUIET_PROCESSOR_S

    until(quiet, QUIET_WITHIN_S, f"rest of {side.name}")


def _serves(side: Side, app: App) -> bool:
    side.said()
    return ask(side.address, app.port)[0] == 200


def _latencies(trials: list[Trial], size: Size, who: str) -> list[Row]:
    return [
        spread(f"event to traffic, {name}", size, who, "ms", [t.moments.latency_ms for t in trials if t.change == name])
        for name in CHANGES
    ]


def _stages(trials: list[Trial], side: Side, size: Size) -> list[Row]:
    """Return a row for each stage of each change, where the load balancer keeps a journal."""
    journal, rows = side.journal(), []
    for name in CHANGES:
        found = [stage_ms(journal, trial.moments) for trial in trials if trial.change == name]
        known = [each for each in found if each is not None]
        if known:
            rows += [spread(f"stage {s}, {name}", size, side.name, "ms", [each[s] for each in known]) for s in STAGES]
    return rows


def _requests(trials: list[Trial], side: Side, size: Size) -> list[Row]:
    """Return what one event costs Marathon."""
    journal = side.journal()
    found = [fetched_between(journal, trial.begun_s, trial.quiet_s) for trial in trials if trial.change == ONE_EVENT]
    if not journal or not found:
        return []
    names = {"requests for single apps": "requests", "requests for everything": "requests", "bytes received": "bytes"}
    return [
        spread(f"{name} per task event", size, side.name, unit, values)
        for (name, unit), values in zip(names.items(), zip(*found, strict=True), strict=True)
    ]
