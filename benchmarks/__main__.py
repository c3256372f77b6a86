"""``python -m benchmarks``: measure, print the figures, and with ``--check`` fail on ratios and counts that are off."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from benchmarks import bench_kernel, bench_render, e2e
from benchmarks.figures import HEADING, Row, machine

if TYPE_CHECKING:
    from collections.abc import Callable

SUBJECTS = ("kernel", "render", "e2e")


def main() -> int:
    """Run what is asked for; return 1 if a check fails."""
    args = _arguments()
    works: dict[str, tuple[Callable[[], list[Row]], Callable[[list[Row]], list[str]]]] = {
        "kernel": (lambda: bench_kernel.run(args.rounds), bench_kernel.check),
        "render": (lambda: bench_render.run(_sizes(args.size), args.tasks, args.rounds), bench_render.check),
        "e2e": (lambda: e2e.run(args.size, args.tasks, args.events), e2e.check),
    }
    every: list[Row] = []
    wrong: list[str] = []
    about = machine()
    if not args.json:
        print(", ".join(f"{name} {value}" for name, value in about.items()), HEADING, sep="\n")
    for subject in args.subjects or SUBJECTS:
        work, check = works[subject]
        rows = work()
        every += rows
        wrong += check(rows)
        if not args.json:
            print(*rows, sep="\n", flush=True)
    if args.json:
        print(json.dumps({"machine": about, "rows": [row._asdict() for row in every]}, indent=2))
    for complaint in wrong:
        print(f"benchmark: {complaint}", file=sys.stderr)
    return 1 if wrong and args.check else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(SUBJECTS)}; default: all")
    parser.add_argument("--size", type=int, default=5000, metavar="APPS", help="apps of the cluster (%(default)s)")
    parser.add_argument("--tasks", type=int, default=3, metavar="N", help="tasks of each app (%(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=7, metavar="N", help="how often each thing is timed (%(default)s)"
    )
    parser.add_argument("--events", type=int, default=10, metavar="N", help="scale events of e2e (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a ratio or count is off")
    args = parser.parse_args()
    if unknown := set(args.subjects) - set(SUBJECTS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(SUBJECTS)}")
    return args


def _sizes(apps: int) -> list[int]:
    """A fifth of it as well, so that it shows how the figures grow."""
    return [max(1, apps // 5), apps]


if __name__ == "__main__":
    sys.exit(main())
