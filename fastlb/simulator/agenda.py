"""What happens when: processes written as generators, and the clock that wakes them.

A process yields the seconds it wants to wait, or a condition (a callable) it waits for. The agenda has no
clock and no thread of its own: it is told how to read the time, calls ``woken`` when somebody should call
`advance` soon, and so runs under asyncio (`server`) and under a test's hand-moved clock alike.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from itertools import count

Condition = Callable[[], bool]
Process = Generator[float | Condition, None, None]


class Agenda:
    """Runs processes; everything happens inside `spawn` and `advance`, in the caller's thread."""

    def __init__(self, now: Callable[[], float], woken: Callable[[], None]) -> None:
        self._now = now
        self._woken = woken
        self._order = count()
        self._timed: list[tuple[float, int, Process]] = []
        self._waiting: list[tuple[Condition, Process]] = []

    @property
    def quiet(self) -> bool:
        """Nothing is going to happen by itself."""
        return not self._timed

    def spawn(self, process: Process) -> None:
        """Run ``process`` at once up to its first wait."""
        self._step(process)
        self._woken()

    def stir(self) -> None:
        """Something that a condition may look at has changed."""
        self._woken()

    def drop(self, process: Process) -> None:
        """End ``process`` where it waits."""
        process.close()
        self._waiting = [entry for entry in self._waiting if entry[1] is not process]
        self._timed = [entry for entry in self._timed if entry[2] is not process]
        heapq.heapify(self._timed)

    def advance(self) -> float | None:
        """Run all that is due; the seconds until the next is, or None while nothing is timed."""
        while self._run_due() or self._run_met():
            pass
        return max(0.0, self._timed[0][0] - self._now()) if self._timed else None

    def _run_due(self) -> bool:
        if not self._timed or self._timed[0][0] > self._now():
            return False
        self._step(heapq.heappop(self._timed)[2])
        return True

    def _run_met(self) -> bool:
        for index, (condition, process) in enumerate(self._waiting):
            if condition():
                del self._waiting[index]
                self._step(process)
                return True
        return False

    def _step(self, process: Process) -> None:
        for wait in process:
            if callable(wait):
                if not wait():
                    self._waiting.append((wait, process))
                    return
            elif wait > 0:
                heapq.heappush(self._timed, (self._now() + wait, next(self._order), process))
                return
