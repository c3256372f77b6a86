"""``python -m benchmarks``: measure, print the figures, and with ``--check`` fail on ratios and counts that are off."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import cold, e2e, kernels, page, report, twins
from benchmarks.figures import Row, Rows, Size
from benchmarks.gates import gates
from benchmarks.generator import apps_answer
from benchmarks.marathon_lb import Checkout, MarathonLb
from benchmarks.programs import Fastlb

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.e2e import Start


def main() -> int:
    """Run what is asked for; return 1 if a gate fails that was asked for."""
    args = _arguments()
    facts = report.about(args.checkout)
    print(*(f"{name}: {value}" for name, value in facts.items()), sep="\n", flush=True)
    every: list[Row] = []
    for subject in args.subjects or SUBJECTS:
        print(f"... {subject}", file=sys.stderr, flush=True)
        every += SUBJECTS[subject](args)
    rows = Rows(every)
    judged = gates(rows)
    print(report.table(rows), report.verdicts(judged), sep="\n\n")
    if args.json:
        args.json.write_text(report.to_json(facts, rows, judged))
    if args.plot:
        from benchmarks.plots import plot

        plot(rows, facts, args.size[-1], args.plot)
    if args.page:
        picture = os.path.relpath(args.plot, args.page.parent) if args.plot else None
        page.write(args.page, rows, facts, judged, f"python -m benchmarks {shlex.join(sys.argv[1:])}", picture)
    return 1 if args.check and not all(gate.holds for gate in judged) else 0


def _kernel(args: argparse.Namespace) -> list[Row]:
    return kernels.run(args.rounds)


def _pure(args: argparse.Namespace) -> list[Row]:
    rows = []
    for size in args.growth:
        rows += twins.both("cases", size, apps_answer(size), "--rounds", args.rounds)
    if len(args.growth) > 1:
        small, big = args.growth[0], args.growth[-1]
        answers = b"\n".join((apps_answer(small), apps_answer(big)))
        rows += twins.both("growth", big, answers, "--rounds", args.rounds)
    return rows


def _memory(args: argparse.Namespace) -> list[Row]:
    rows = []
    for size in args.memory:
        changes = args.churn if size == args.memory[0] else 0
        rows += twins.both("churn", size, apps_answer(size), "--changes", changes)
    return rows


def _e2e(args: argparse.Namespace) -> list[Row]:
    starts: list[Start] = [Fastlb, *([partial(MarathonLb, args.checkout)] if args.checkout else [])]
    return [row for size in args.size for start in starts for row in e2e.run(size, args.events, start)]


def _cold(args: argparse.Namespace) -> list[Row]:
    return cold.run(args.size[-1], args.rounds, args.checkout) if args.checkout else []


SUBJECTS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "kernel": _kernel,
    "pure": _pure,
    "memory": _memory,
    "e2e": _e2e,
    "cold": _cold,
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    flag = parser.add_argument
    flag("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(SUBJECTS)}; default: all")
    for name, sizes, meaning in (
        ("--size", "5000x3", "apps x tasks of e2e; the last of them is that of cold"),
        ("--growth", "1000x3,5000x3,20000x3", "sizes of pure"),
        ("--memory", "5000x3,20000x5", "sizes of memory"),
    ):
        flag(name, type=_sizes, default=sizes, metavar="AxT,...", help=f"{meaning} (%(default)s)")
    flag("--rounds", type=int, default=7, metavar="N", help="how often each thing is timed (%(default)s)")
    flag("--events", type=int, default=10, metavar="N", help="changes of each kind in e2e (%(default)s)")
    flag("--churn", type=int, default=100_000, metavar="N", help="random changes of memory's first size (%(default)s)")
    flag("--json", type=Path, metavar="FILE", help="write everything here, too")
    flag("--plot", type=Path, metavar="FILE", help="draw the figures here (.svg or .png); needs matplotlib")
    flag("--page", type=Path, metavar="FILE", help=f"write the figures into this page, below {page.HEADING.strip()!r}")
    flag("--check", action="store_true", help="exit with 1 if a ratio or count is off")
    flag("--marathon-lb", type=Path, metavar="DIR", help="a checkout of marathon-lb to measure beside")
    flag("--marathon-lb-python", type=Path, default=sys.executable, metavar="PATH", help="the Python to run it with")
    args = parser.parse_args()
    if unknown := set(args.subjects) - SUBJECTS.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(SUBJECTS)}")
    args.checkout = None
    if args.marathon_lb:
        args.checkout = Checkout(args.marathon_lb.absolute(), Path(args.marathon_lb_python).absolute())
    return args


def _sizes(text: str) -> list[Size]:
    return [Size.parse(word) for word in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
