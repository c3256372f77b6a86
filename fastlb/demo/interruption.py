"""Ctrl-C, SIGTERM and a closed terminal as a question that every wait asks.

A signal only raises a flag, so that nothing is cut off in the middle of being started or ended; whoever waits, waits
here and learns of it at once.
"""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):  # noqa: N818 - it names what happened, not a mistake
    """Somebody wants the demo to end."""


class Interruption:
    """A context manager: inside it the signals raise the flag, after it they are what they were before."""

    def __init__(self) -> None:
        self._wanted = threading.Event()

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def pause(self, seconds_s: float) -> None:
        """Wait so long. Raises Interrupted as soon as the end is wanted."""
        if self._wanted.wait(seconds_s):
            raise Interrupted

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._wanted.set()
