"""Waits for HAProxy without being deaf: slow work is done on a thread, and meanwhile somebody hears what cannot wait.

    work --thread--> result;   until it is there: hear, hear, hear

A configuration of some thousand apps takes HAProxy a second to load, and tasks end meanwhile. It must not know what the
work is, nor what is heard. The work and what is heard must not touch the same things: whoever hears sees to that.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from fastlb.render import Rendering
    from fastlb.trial import Trial
    from fastlb.validation import Verdict

T = TypeVar("T")

HEAR_S = 0.005
"""The result is looked for so often."""


class Waiting:
    """``hear`` is called again and again with the seconds that it may take."""

    def __init__(self) -> None:
        self.hear: Callable[[float], None] = sleep
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="waiting")

    def do(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, or raise what it raises."""
        return self.until(self._thread.submit(work))

    def until(self, working: Future[T]) -> T:
        """Return what came of work that is being done elsewhere, or raise what it raised."""
        while not working.done():
            self.hear(HEAR_S)
        return working.result()


class PatientTrial:
    """A `Trial` whose verdicts are waited for like that."""

    def __init__(self, trial: Trial, waiting: Waiting) -> None:
        self._trial = trial
        self._waiting = waiting

    @property
    def count(self) -> int:
        """Return how many there were."""
        return self._trial.count

    def run(self, rendering: Rendering) -> Verdict:
        """Return HAProxy's verdict on ``rendering``. Raises PublishError if the candidate cannot be written."""
        return self._waiting.do(partial(self._trial.run, rendering))
