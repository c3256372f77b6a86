"""The whole of it on loopback: a simulated Marathon, ``fastlb sse`` and a real HAProxy, each in processes of its own.

    this process --PUT--> simulator --event--> fastlb --reload--> HAProxy <--requests-- this process

From event to traffic is the time between the arrival, here, of the event that says that a new task runs, and the end of
the first request through HAProxy that the new task answered. Everything is bounded in count and time.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import TYPE_CHECKING

from benchmarks.figures import Row, row_of, single, spread
from benchmarks.stage import Events, Fastlb, Probed, Simulator, until

if TYPE_CHECKING:
    from collections.abc import Sequence

BOOT_WITHIN_S = 300.0
TRAFFIC_WITHIN_S = 120.0
MOST_TRIALS = 6
BAD_APPS = {
    "/bad/directive": {"HAPROXY_0_MODE": "http", "HAPROXY_0_BACKEND_HTTP_OPTIONS": "  no-such-directive\n"},
    "/bad/bind": {"HAPROXY_0_BIND_OPTIONS": "no-such-option"},
    "/bad/reference": {"HAPROXY_0_MODE": "http", "HAPROXY_0_BACKEND_HTTP_OPTIONS": "  use-server nobody if TRUE\n"},
}
"""Three mistakes, in a frontend and in backends; HAProxy finds the last one only once the others are gone."""


def run(apps: int, tasks: int, events: int) -> list[Row]:
    """Return the rows for a cluster of that size."""
    case = f"{apps} x {tasks}"
    with TemporaryDirectory(prefix="fastlb-") as folder, ExitStack() as stack:
        simulator = stack.enter_context(Simulator(apps, tasks, Path(folder)))
        probed = simulator.plain_http_apps()[:events]
        started_s = monotonic()
        fastlb = stack.enter_context(Fastlb(simulator.url, simulator.host, Path(folder)))
        until(lambda: fastlb.answering_server(probed[0].port), BOOT_WITHIN_S, "traffic after the start")
        rows = [single("start to traffic", case, "s", monotonic() - started_s)]
        stream = stack.enter_context(Events(simulator.url))
        rows += _scaled(simulator, fastlb, stream, [probed[number % len(probed)] for number in range(events)], case)
        rows += _spoiled(simulator, fastlb, case)
        rows += [single(f"memory of {name}", case, "MB", value) for name, value in fastlb.memory_mb().items()]
        requests = [single("requests", case, "", fastlb.requests), single("failed requests", case, "", fastlb.failures)]
    return [*rows, *requests]


def check(rows: list[Row]) -> list[str]:
    """Return what is wrong: only counts matter here, since machines differ."""
    case = rows[0].case
    wanted = {"bad apps left out": len(BAD_APPS), "other apps left out": 0, "failed requests": 0}
    found = {name: row_of(rows, name, case).median for name in wanted}
    wrong = [f"{name}: {found[name]:g} instead of {count}" for name, count in wanted.items() if found[name] != count]
    trials = row_of(rows, "validations to find the bad apps", case).largest
    return wrong if trials <= MOST_TRIALS else [*wrong, f"{trials:g} validations to find {len(BAD_APPS)} bad apps"]


def _scaled(simulator: Simulator, fastlb: Fastlb, stream: Events, apps: Sequence[Probed], case: str) -> list[Row]:
    """Scale one app after another up by one task, and see when that task serves."""
    fetched_before = _fetched_bytes(fastlb)
    latencies_ms = [
        _latency_ms(simulator, fastlb, stream, app, apps[:number].count(app)) for number, app in enumerate(apps)
    ]
    fetched = _fetched_bytes(fastlb) - fetched_before
    return [
        spread("event to traffic, one app scaled", case, "ms", latencies_ms),
        spread(
            "publish, reload and confirm", case, "ms", [each["seconds"] * 1000 for each in fastlb.journal("reload")]
        ),
        single("bytes from Marathon per scaling", case, "bytes", fetched / len(apps)),
    ]


def _latency_ms(simulator: Simulator, fastlb: Fastlb, stream: Events, app: Probed, scaled_before: int) -> float:
    tasks = app.tasks + scaled_before
    known = fastlb.servers(app, tasks)
    stream.forget()
    simulator.scale(app, tasks + 1)
    running_at_s = until(lambda: stream.running_since(app.id), TRAFFIC_WITHIN_S, f"new task of {app.id}")
    served_at_s = until(lambda: fastlb.served_by_another(app, known), TRAFFIC_WITHIN_S, f"traffic to it in {app.id}")
    return (served_at_s - running_at_s) * 1000


def _fetched_bytes(fastlb: Fastlb) -> int:
    return sum(entry["received_bytes"] for entry in fastlb.journal("fetched"))


def _spoiled(simulator: Simulator, fastlb: Fastlb, case: str) -> list[Row]:
    """Add three bad apps in one moment, and see who is blamed, and how much trying that took."""
    tried_before = len(fastlb.journal("tried"))
    started_s = monotonic()
    for app_id, labels in BAD_APPS.items():
        simulator.create(app_id, labels)
    until(lambda: BAD_APPS.keys() <= _refused(fastlb), TRAFFIC_WITHIN_S, "refusal of the bad apps")
    found_s = monotonic() - started_s
    refused = _refused(fastlb)
    rounds = [entry["trials"] for entry in fastlb.journal("tried")[tried_before:]]
    return [
        single("bad apps left out", case, "apps", len(refused & BAD_APPS.keys())),
        single("other apps left out", case, "apps", len(refused - BAD_APPS.keys())),
        single("time to find the bad apps", case, "s", found_s),
        single("validations to find the bad apps", case, "", sum(rounds)),
    ]


def _refused(fastlb: Fastlb) -> set[str]:
    return {entry["app"] for entry in fastlb.journal("refused")}
