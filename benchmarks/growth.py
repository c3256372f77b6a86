"""One change in a big cluster beside one in a small cluster, turn by turn in one process: both see the same machine.

Taken apart, the two would differ by what else the machine did meanwhile, which is more than what is looked for here.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from benchmarks.cases import Warm
from benchmarks.figures import Row, Size, spread
from benchmarks.pipeline import Maker
from benchmarks.twins import measure_alone

if TYPE_CHECKING:
    from benchmarks.pipeline import Pipeline

GROWTH = "one change, over that of a small cluster"
BATCHES_PER_ROUND = 5


def measure(size: Size, twin: str, rounds: int) -> list[Row]:
    """Measure in this process; its standard input is Marathon's answer about the small cluster, a newline, the big."""
    maker = Maker()
    small, big = (_warm(maker.make(), answer, size, twin) for answer in sys.stdin.buffer.read().split(b"\n"))
    gc.collect()
    for warm in (small, big):
        warm.batch_ms()
    ratios = [1 / small.batch_ms() * big.batch_ms() for _ in range(rounds * BATCHES_PER_ROUND)]
    return [spread(GROWTH, size, twin, "x", ratios)]


def _warm(pipeline: Pipeline, answer: bytes, size: Size, twin: str) -> Warm:
    pipeline.take(pipeline.read(answer))
    pipeline.render()
    pipeline.loaded()
    return Warm(pipeline, answer, size, twin, rounds=1)


def _main() -> None:
    measure_alone(measure, "rounds")


if __name__ == "__main__":
    _main()
