"""The memory of the controller's thinking half: after its first decision, and on through many random changes.

A process of its own, so that nothing else is counted. Resident memory is read from /proc.
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random
from time import process_time
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.figures import Row, Size, single, spread
from benchmarks.pipeline import Maker
from benchmarks.twins import measure_alone
from fastlb import garbage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.pipeline import Pipeline

FIRST, PEAK, AFTER = "memory after the first decision", "memory at most", "memory after changes"
TOUCHED = "memory after each app has changed"
AT_ONCE = 50
POINTS = 50
MOST_S = 300.0
"""After so much processor time no more changes are made, so that a slow run ends, too."""
SEED = 1


def measure(size: Size, twin: str, changes: int) -> list[Row]:
    """Measure in this process; Marathon's answer is its standard input. ``changes`` 0: only the first decision.

    Garbage is looked for as after every full reading, which is once here: what then came as cycles would stay. More is
    known of an app that has changed than of others, its servers one by one; so each changes once before it is counted
    whether memory grows.
    """
    pipeline = Maker().make()
    known = _first_decision(pipeline)
    garbage.look()
    rows = [
        single(FIRST, size, twin, "MB", _status_mb("VmRSS")),
        single(PEAK, size, twin, "MB", _status_mb("VmHWM")),
    ]
    cluster = _Cluster(known)
    if changes:
        for answers in cluster.each():
            pipeline.confirm(pipeline.plan(answers))
        rows.append(single(TOUCHED, size, twin, "MB", _status_mb("VmRSS")))
    every = max(1, changes // POINTS)
    for done in range(1, changes + 1):
        if process_time() > MOST_S:
            break
        pipeline.confirm(pipeline.plan(cluster.change()))
        if done % every == 0:
            rows.append(spread(AFTER, f"{size}, {done} changes", twin, "MB", [_status_mb("VmRSS")]))
    return rows


def _first_decision(pipeline: Pipeline) -> list[tuple[str, int]]:
    """Have the pipeline take the answer from standard input; return id and number of tasks of each app."""
    apps = pipeline.read(sys.stdin.buffer.read())
    pipeline.take(apps)
    pipeline.render()
    pipeline.loaded()
    return [(app.id, len(app.tasks)) for app in apps]


class _Cluster:
    """Random changes of apps, from a seed. Of an app it keeps id and number of tasks only."""

    def __init__(self, known: list[tuple[str, int]]) -> None:
        self._random = Random(SEED)
        self._apps = dict(known)
        self._ids = list(self._apps)
        self._made = 0

    def each(self) -> Iterator[dict[str, Any]]:
        """Change every app once; yield Marathon's answers about some at once."""
        for first in range(0, len(self._ids), AT_ONCE):
            some = self._ids[first : first + AT_ONCE]
            yield {app_id: self._answer(app_id, self._apps[app_id])[app_id] for app_id in some}

    def change(self) -> dict[str, Any]:
        """Return Marathon's answer about the app that changed: scaled, killed, sick, relabelled, new or gone."""
        kind = self._random.choices(("scaled", "sick", "relabelled", "new", "gone"), (50, 20, 20, 5, 5))[0]
        if kind == "new":
            self._made += 1
            self._ids.append(f"/churn/new-{self._made}")
            return self._answer(self._ids[-1], 2)
        place = self._random.randrange(len(self._ids))
        app_id = self._ids[place]
        if kind == "gone":
            self._ids[place] = self._ids[-1]
            self._ids.pop()
            del self._apps[app_id]
            return {app_id: None}
        tasks = self._apps[app_id]
        if kind == "scaled":
            tasks = max(1, tasks + self._random.choice((-1, 1)))
        return self._answer(app_id, tasks, sick=kind == "sick")

    def _answer(self, app_id: str, tasks: int, *, sick: bool = False) -> dict[str, Any]:
        self._apps[app_id] = tasks
        number = self._random.randrange(10**6)
        running = [self._task(app_id, place, sick=sick and place == 0) for place in range(tasks)]
        labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": f"v{number}.example.com", "HAPROXY_0_MODE": "http"}
        document = {
            "id": app_id,
            "instances": tasks,
            "labels": labels,
            "portDefinitions": [{"port": 10000 + number % 20000, "protocol": "tcp"}],
            "healthChecks": [{"protocol": "HTTP", "path": "/health", "portIndex": 0, "intervalSeconds": 30}],
            "tasks": running,
        }
        return {app_id: orjson.loads(orjson.dumps(document))}

    def _task(self, app_id: str, place: int, *, sick: bool) -> dict[str, Any]:
        result = {"alive": not sick, "consecutiveFailures": int(sick)}
        return {
            "id": f"{app_id[1:].replace('/', '_')}.{self._random.getrandbits(64):016x}",
            "host": f"127.0.1.{1 + self._random.randrange(200)}",
            "ports": [31000 + self._random.randrange(1000) + place],
            "state": "TASK_RUNNING",
            "healthCheckResults": [result],
        }


def _status_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _main() -> None:
    measure_alone(measure, "changes")


if __name__ == "__main__":
    _main()
