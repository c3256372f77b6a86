"""Runs a module of measurements in processes of their own: one with the compiled hot path, one with the pure one.

A process that would run another twin than it should says so and measures nothing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.figures import Row, Size, print_rows, read_rows
from benchmarks.kernels import COMPILED, PURE
from fastlb import kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ALONE_WITHIN_S = 3600.0
SWITCH = {COMPILED: "0", PURE: "1"}


def rows_of(module: str, twin: str, size: Size, answer: bytes, *words: object) -> list[Row]:
    """Run ``benchmarks.<module>`` with that twin, Marathon's answer on its standard input; return its rows."""
    command = [sys.executable, "-m", f"benchmarks.{module}", "--size", size, "--twin", twin, *words]
    done = subprocess.run(
        [str(word) for word in command],
        check=True,
        input=answer,
        stdout=subprocess.PIPE,
        timeout=ALONE_WITHIN_S,
        env={**os.environ, kernel.PURE_SWITCH: SWITCH[twin]},
    )
    return read_rows(done.stdout)


def measure_alone(measure: Callable[[Size, str, int], list[Row]], count: str) -> None:
    """Be such a process: measure size, twin and a ``count`` from the command line. Exits if the twin is not the one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=Size.parse, required=True)
    parser.add_argument("--twin", choices=SWITCH, required=True)
    parser.add_argument(f"--{count}", type=int, required=True, dest="count")
    args = parser.parse_args()
    if not kernel.CHOSEN.startswith(args.twin):
        sys.exit(f"the {args.twin} hot path was to be measured, but it is: {kernel.CHOSEN}")
    print_rows(measure(args.size, args.twin, args.count))


def both(module: str, size: Size, answer: bytes, *words: object, twins: Sequence[str] = (COMPILED, PURE)) -> list[Row]:
    """Return the rows of one twin after the other."""
    return [row for twin in twins for row in rows_of(module, twin, size, answer, *words)]
