"""What the thinking half of the controller costs, cold and for single changes; in a process of its own for each twin.

Cold: the bytes of ``/v2/apps`` to configuration and maps, stage by stage, with nothing remembered. A change: the bytes
of one app to the plan, with all others remembered; what is done once HAProxy has confirmed it is a case of its own.
"""

from __future__ import annotations

import gc
import statistics
import sys
from functools import partial
from operator import add
from random import Random
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks.figures import Row, Size, processor_ms, single, spread
from benchmarks.pipeline import Maker, answered
from benchmarks.twins import measure_alone
from fastlb.marathon.elements import Elements

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.pipeline import Pipeline
    from fastlb.diff import Plan

Document = dict[str, Any]

COLD, PARSE, MODEL, RENDER = "cold, all", "cold, JSON", "cold, to apps", "cold, apps to texts"
ONE_APP, TASK, MAP, TEN = "one app changed", "one task changed", "one vhost changed", "ten apps changed"
FILES = "texts joined after one change"
NOTHING, RESYNC, AFTERWARDS = "nothing changed", "everything read, nothing changed", "one change confirmed"
CHECKED = "everything read, checked again"
"""All as it was, but each task that is checked was found healthy later than before, so that its app has other bytes."""
FRAGMENTS, JOINS = "fragments made for one change", "documents joined for nothing"
CHANGES_PER_ROUND = 20
MOST_MS = 5000.0
"""A kind of change that has taken so much in all is not made again, so that a slow run ends, too."""


def measure(size: Size, twin: str, rounds: int) -> list[Row]:
    """Measure in this process; Marathon's answer is its standard input."""
    answer = sys.stdin.buffer.read()
    maker = Maker()
    rows = _cold(maker, answer, size, twin, rounds)
    pipeline = maker.make()
    pipeline.take(pipeline.read(answer))
    rows.append(single("configuration", size, twin, "bytes", len(pipeline.render().config)))
    pipeline.loaded()
    warm = Warm(pipeline, answer, size, twin, rounds)
    return [*rows, *warm.changes(), *warm.unchanged()]


def _cold(maker: Maker, answer: bytes, size: Size, twin: str, rounds: int) -> list[Row]:
    stages: dict[str, list[float]] = {COLD: [], PARSE: [], MODEL: [], RENDER: []}
    for _ in range(rounds):
        pipeline = maker.make()
        gc.collect()
        parse_ms = processor_ms(partial(Elements(_nothing_of, bool).everything, answered(answer)))
        apps_ms = processor_ms(partial(_read, pipeline, answer))
        render_ms = processor_ms(pipeline.render)
        took = (apps_ms + render_ms, parse_ms, apps_ms - parse_ms, render_ms)
        for values, value_ms in zip(stages.values(), took, strict=True):
            values.append(value_ms)
    return [single("answer", size, twin, "bytes", len(answer))] + [
        spread(stage, size, twin, "ms", values) for stage, values in stages.items()
    ]


def _nothing_of(_document: Document, _before: None) -> None:
    """Make nothing of an app: what is left is the reading of its JSON."""


def _read(pipeline: Pipeline, answer: bytes) -> None:
    pipeline.take(pipeline.read(answer))


class Warm:
    """Cases for a pipeline that knows the whole cluster."""

    def __init__(self, pipeline: Pipeline, answer: bytes, size: Size, twin: str, rounds: int) -> None:
        self._pipeline = pipeline
        self._answer = answer
        self._size = size
        self._twin = twin
        self._rounds = rounds
        self._random = Random(size.apps)
        self._plain = {app["id"]: orjson.dumps(app) for app in orjson.loads(self._answer)["apps"] if _is_plain(app)}
        self._order = self._random.sample(sorted(self._plain), len(self._plain))

    def changes(self) -> list[Row]:
        """Return the rows of what changes something."""
        confirmed: list[float] = []
        before = self._pipeline.rendered_fragments
        times = self._rounds * CHANGES_PER_ROUND
        tasks = self._changed(_one_task_fewer, 1, times, confirmed)
        fragments = (self._pipeline.rendered_fragments - before) / len(tasks)
        rows = [self._row(TASK, tasks)]
        rows += [
            self._row(ONE_APP, self._changed(_other_balance, 1, times, confirmed)),
            self._row(MAP, self._changed(_other_vhost, 1, times, confirmed)),
            self._row(TEN, self._changed(_one_task_fewer, 10, self._rounds, [])),
            self._row(AFTERWARDS, confirmed),
            self._row(FILES, self._files()),
            single(FRAGMENTS, self._size, self._twin, "fragments", fragments),
        ]
        return rows

    def batch_ms(self) -> float:
        """Return what one task change and its confirmation take, the median of a few."""
        confirmed: list[float] = []
        planned = self._changed(_one_task_fewer, 1, CHANGES_PER_ROUND, confirmed)
        return float(statistics.median(map(add, planned, confirmed)))

    def _files(self) -> list[float]:
        """Return how long joining the texts takes after a change, for the files on disk that follow it."""
        values: list[float] = []
        for _ in range(self._rounds):
            self._changed(_one_task_fewer, 1, 1, [])
            values.append(processor_ms(self._pipeline.render))
        return values

    def unchanged(self) -> list[Row]:
        """Return the rows of what changes nothing."""
        before = self._pipeline.joined_documents
        same = self._changed(_nothing, 1, self._rounds * CHANGES_PER_ROUND, [])
        joins = self._pipeline.joined_documents - before
        return [
            self._row(NOTHING, same),
            self._row(RESYNC, self._resyncs(self._answer_now())),
            self._row(CHECKED, self._resyncs(self._answer_now(), self._answer_now(checked_s=1))),
            single(JOINS, self._size, self._twin, "documents", joins),
        ]

    def _changed(
        self, change: Callable[[Document, int], None], at_once: int, times: int, confirmed: list[float]
    ) -> list[float]:
        """Make a change so often; return how long each took to its plan, and note how long confirming it took."""
        values: list[float] = []
        for number in range(times):
            if sum(values) > MOST_MS:
                break
            answers = {}
            for app_id in self._some(at_once):
                document = orjson.loads(self._plain[app_id])
                change(document, number)
                answers[app_id] = self._plain[app_id] = orjson.dumps(document)
            plans: list[Plan] = []
            values.append(processor_ms(partial(self._take_over, answers, plans)))
            confirmed.append(processor_ms(partial(self._pipeline.confirm, *plans)))
        return values

    def _take_over(self, answers: dict[str, bytes], into: list[Plan]) -> None:
        into.append(self._pipeline.plan({app_id: orjson.loads(text) for app_id, text in answers.items()}))

    def _resyncs(self, *answers: bytes) -> list[float]:
        """Return how long reading everything takes again and again, the answers by turns, each known from before."""
        for answer in answers:
            self._resync(answer)
        return [processor_ms(partial(self._resync, answer)) for answer in answers * self._rounds]

    def _resync(self, answer: bytes) -> None:
        _read(self._pipeline, answer)
        self._pipeline.plan()

    def _answer_now(self, checked_s: int = 0) -> bytes:
        """Return Marathon's answer about everything as it is now, with when each task was found healthy last."""
        before = orjson.loads(self._answer)["apps"]
        apps = [orjson.loads(self._plain[app["id"]]) if app["id"] in self._plain else app for app in before]
        for task in (task for app in apps for task in app["tasks"]):
            for result in task.get("healthCheckResults", ()):
                result["lastSuccess"] = f"2026-01-01T00:00:{checked_s:02}.000Z"
        return orjson.dumps({"apps": apps})

    def _some(self, count: int) -> list[str]:
        """Return the ids of the next so many apps; every app has its turn before any has another."""
        taken, self._order = self._order[:count], self._order[count:] + self._order[:count]
        return taken

    def _row(self, what: str, values: list[float]) -> Row:
        return spread(what, self._size, self._twin, "ms", values)


def _is_plain(app: Document) -> bool:
    """Whether it has tasks, one service port and a host name of its own, so that every kind of change makes sense."""
    labels = app["labels"]
    mappings = app.get("portDefinitions") or app.get("container", {}).get("portMappings", ())
    shared = {"HAPROXY_0_PATH", "HAPROXY_DEPLOYMENT_GROUP"} & labels.keys()
    return "HAPROXY_0_VHOST" in labels and not shared and len(mappings) == 1 and len(app["tasks"]) > 0


def _nothing(_app: Document, _number: int) -> None:
    """Change nothing."""


def _one_task_fewer(app: Document, _number: int) -> None:
    """Take the task away that came first; an app that has only one left gets another address instead."""
    if len(app["tasks"]) > 1:
        app["tasks"] = app["tasks"][1:]
    else:
        app["tasks"][0]["ports"] = [port + 1 for port in app["tasks"][0]["ports"]]


def _other_balance(app: Document, number: int) -> None:
    app["labels"]["HAPROXY_0_BALANCE"] = ("leastconn", "roundrobin", "source")[number % 3]


def _other_vhost(app: Document, number: int) -> None:
    app["labels"]["HAPROXY_0_VHOST"] = f"moved-{number}-{app['labels']['HAPROXY_0_VHOST']}"[:200]


def _main() -> None:
    measure_alone(measure, "rounds")


if __name__ == "__main__":
    _main()
