"""Finds the moment at which traffic reaches a task that it did not reach before.

A request every `ASK_EVERY_S`, each in a thread of its own: one that HAProxy sends to a task that has just gone takes
seconds, and must not hide the answers that others get meanwhile.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from fastlb.demo.front import ask

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

    from fastlb.demo.front import Answer, Request

ASK_EVERY_S = 0.02
AT_ONCE = 8
ANSWER_WITHIN_S = 0.5
JOIN_TIMEOUT_S = 5.0


class Probe:
    """A context manager: inside it the first answer of a task that is not in ``before`` is looked for."""

    def __init__(self, request: Request, before: Collection[str | None]) -> None:
        self._request = request
        self.before = before
        self._lock = threading.Lock()
        self._found: Answer | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    @property
    def found(self) -> Answer | None:
        """Return the first such answer so far."""
        return self._found

    def consider(self, answer: Answer) -> None:
        """Take an answer that somebody else got, too."""
        if answer.task is None or answer.task in self.before:
            return
        with self._lock:
            if self._found is None or answer.at_s < self._found.at_s:
                self._found = answer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="probe") as pool:
            while self._found is None and not self._stop.wait(ASK_EVERY_S):
                pool.submit(self._ask)
            pool.shutdown(cancel_futures=True)

    def _ask(self) -> None:
        self.consider(ask(self._request, ANSWER_WITHIN_S))
