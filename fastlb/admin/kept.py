"""What looking costs, limited: answers made once for all who ask within a moment, and work that leaves time to others.

It must not know what is answered. What takes long is kept longer, or followed by a longer pause, so that making it
never takes more than a part of the time, however many look.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

TIMES_ITS_COST = 20.0
"""Whoever asks without a pause has it made for 5 % of the time at most."""
PAUSE_PER_WORK = 3.0


class Kept(Generic[T]):
    """What ``make`` returns, made by one at a time; used in one event loop only."""

    def __init__(self, make: Callable[[], Awaitable[T]], good_for_s: float) -> None:
        self._make = make
        self._good_for_s = good_for_s
        self._one = asyncio.Lock()
        self._made: T | None = None
        self._good_until_s = 0.0

    async def get(self) -> T:
        """Return it as it was a moment ago at most; raises what ``make`` raises."""
        async with self._one:
            started_s = time.monotonic()
            if self._made is None or started_s >= self._good_until_s:
                self._made = await self._make()
                took_s = time.monotonic() - started_s
                self._good_until_s = started_s + max(self._good_for_s, TIMES_ITS_COST * took_s)
            return self._made


class Modestly:
    """Work for single requests, on another thread and one at a time, with a pause after each.

    However many ask, it takes a quarter of the time at most, and the loop has the rest of it.
    """

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def do(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, and raise what it raises."""
        async with self._one:
            started_s = time.monotonic()
            try:
                return await asyncio.to_thread(work)
            finally:
                await asyncio.sleep(PAUSE_PER_WORK * (time.monotonic() - started_s))
