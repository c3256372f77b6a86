"""The pipe of a child, read in the loop of a selector.

    the child writes -> the selector wakes -> hear(bytes), in any pieces; no bytes are the end

It must not know what the child says. There is one pipe at a time, that of the present child.
"""

from __future__ import annotations

import os
import selectors
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_AT_ONCE = 65_536  # bytes


class Piped:
    """Reads what a child writes; one for all children that are started after each other."""

    def __init__(self, selector: selectors.BaseSelector, hear: Callable[[bytes], None]) -> None:
        self._selector = selector
        self._hear = hear
        self._pipe: IO[bytes] | None = None

    def follow(self, pipe: IO[bytes] | None) -> None:
        """Read from now on what a child that has just been started writes; the one of before has ended."""
        self._close()
        if pipe is not None:
            self._pipe = pipe
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, self._read)

    def finish(self) -> None:
        """Read what an ended child has left."""
        while self._read():
            pass

    def _read(self) -> bool:
        """Take what is there; False if there is nothing more at the moment."""
        if self._pipe is None:
            return False
        try:
            heard = os.read(self._pipe.fileno(), MOST_AT_ONCE)
        except BlockingIOError:
            return False
        if not heard:
            self._close()
        self._hear(heard)
        return bool(heard)

    def _close(self) -> None:
        if self._pipe is not None:
            self._selector.unregister(self._pipe)
            self._pipe.close()
            self._pipe = None
