"""Bytes of ``/v2/apps`` to the finished document and maps, stage by stage; run in a process of its own per twin."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from benchmarks.cluster import apps_answer
from benchmarks.figures import Row, durations_ms, print_rows, row_of, rows_from, single, spread
from fastlb import kernel
from fastlb.cli import build_parser
from fastlb.desired import desired_state
from fastlb.reading import read_app
from fastlb.render import Renderer
from fastlb.settings import read_catalogue, read_limits, read_paths, read_rules

if TYPE_CHECKING:
    from fastlb.render import Rendering

ARGV = ["render", "--group", "external", "--haproxy-map", "--health-check", "--haproxy-version", "2.8"]
MEMO_PAYS = 3
"""Usually it is about 6; the bound leaves room for a machine that is busy with something else."""
TWINS = {"compiled": "0", "pure Python": "1"}


def run(sizes: list[int], tasks: int, rounds: int) -> list[Row]:
    """Return the rows of every size with each twin."""
    rows = []
    for apps in sizes:
        answer = apps_answer(apps, tasks)
        for twin, pure in TWINS.items():
            words = ["--case", f"{apps} x {tasks}, {twin}", "--rounds", rounds, "--twin", twin]
            rows += rows_from("benchmarks.bench_render", words, answer, {kernel.PURE_SWITCH: pure})
    return rows


def check(rows: list[Row]) -> list[str]:
    """Return what is wrong: only ratios count, since machines differ, of the best runs at the largest size."""
    wrong = []
    for case in [row.case for row in rows if row.subject == "render, cold"][-len(TWINS) :]:
        cold, memoized = (row_of(rows, f"render, {how}", case).smallest for how in ("cold", "nothing changed"))
        if cold < MEMO_PAYS * memoized:
            wrong.append(f"{case}: a memoized render is only {cold / memoized:.1f} times as fast as a cold one")
    return wrong


def measure(answer: bytes, rounds: int, case: str) -> list[Row]:
    """Measure in this process, with the twin that it has loaded."""
    before_mb = _peak_mb()
    whole = Pipeline()
    documents = orjson.loads(answer)["apps"]
    read = [read_app(document) for document in documents]
    desired = desired_state(read, whole.rules)
    changed = desired_state([read[0]._replace(tasks=read[0].tasks[1:]), *read[1:]], whole.rules)
    memo = whole.renderer()
    states = [changed, desired]

    def alternate() -> Rendering:
        states.reverse()
        return memo.render(states[0])

    memo.render(desired)
    rows = [
        single("/v2/apps", case, "bytes", len(answer)),
        single("document", case, "bytes", len(memo.render(desired).config)),
        spread("JSON", case, "ms", durations_ms(lambda: orjson.loads(answer), rounds)),
        spread("JSON to apps", case, "ms", durations_ms(lambda: [read_app(each) for each in documents], rounds)),
        spread("apps to desired state", case, "ms", durations_ms(lambda: desired_state(read, whole.rules), rounds)),
        spread("render, cold", case, "ms", durations_ms(lambda: whole.renderer().render(desired), rounds)),
        spread("render, nothing changed", case, "ms", durations_ms(lambda: memo.render(desired), rounds)),
        spread("render, one app changed", case, "ms", durations_ms(alternate, rounds)),
        spread("all of it, cold", case, "ms", durations_ms(lambda: whole.run(answer, whole.renderer()), rounds)),
        spread("all of it, with the memo", case, "ms", durations_ms(lambda: whole.run(answer, memo), rounds)),
    ]
    return [*rows, single("memory on top of the answer", case, "MB", _peak_mb() - before_mb)]


class Pipeline:
    """What ``fastlb render`` does with an answer of Marathon."""

    def __init__(self) -> None:
        args = build_parser().parse_args(ARGV)
        self.rules = read_rules(args, {})
        self._catalogue = read_catalogue(args, {}, None, read_paths(args))
        self._limits = read_limits(args)

    def renderer(self) -> Renderer:
        """Return a renderer that has seen nothing yet."""
        return Renderer(self._catalogue, self.rules, self._limits)

    def run(self, answer: bytes, renderer: Renderer) -> Rendering:
        """Render ``answer``."""
        apps = [read_app(document) for document in orjson.loads(answer)["apps"]]
        return renderer.render(desired_state(apps, self.rules))


def _peak_mb() -> float:
    """Return the largest resident memory so far; getrusage would count that of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) / 1024


def main() -> None:
    """Measure one twin. Exits with a message if the demanded one is not what runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--twin", choices=TWINS, required=True)
    args = parser.parse_args()
    if not kernel.CHOSEN.startswith(args.twin):
        sys.exit(f"the {args.twin} hot path was to be measured, but it is: {kernel.CHOSEN}")
    print_rows(measure(sys.stdin.buffer.read(), args.rounds, args.case))


if __name__ == "__main__":
    main()
