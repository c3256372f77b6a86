"""Asking the loop from the admin server: a few questions at a time, and each for a limited time."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from fastlb.questions import Asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.inbox import Inbox
    from fastlb.questions import Known

T = TypeVar("T")

MOST_WAITING = 8
ANSWER_WITHIN_S = 5.0


class LoopBusyError(Exception):
    """The loop has not answered in time, or too many ask already; the message says which."""


class Loop:
    """The loop, as the admin server sees it; used in the server's event loop only."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self._waiting = 0

    async def ask(self, look: Callable[[Known], T]) -> T:
        """Return what ``look`` makes of what the loop knows. Raises LoopBusyError."""
        if self._waiting >= MOST_WAITING:
            raise LoopBusyError("too many questions are waiting for the loop already")
        answer: Future[Any] = Future()
        self._waiting += 1
        try:
            self.inbox.put(Asked(look, answer))
            found: T = await asyncio.wait_for(asyncio.wrap_future(answer), ANSWER_WITHIN_S)
        except TimeoutError as error:
            raise LoopBusyError(f"the loop is busy and has not answered within {ANSWER_WITHIN_S:g} s") from error
        finally:
            self._waiting -= 1
        return found
