"""Has the log say what HAProxy says on standard error, each line at the level that it deserves.

    a pipe --haproxy_log--> lines --> log lines; what HAProxy's checks changed --digest--> one line an interval

It must not know processes. Servers that HAProxy's checks find down or up change by the thousand in a big cluster, so
that each is a line for DEBUG only.
"""

from __future__ import annotations

import logging
import os
import selectors
from time import monotonic
from typing import IO

from fastlb.digest import Digest
from fastlb.haproxy_log import NO_SERVER, HAProxyLog, flip, level

log = logging.getLogger("haproxy")

MOST_AT_ONCE = 65_536  # bytes
_LEVELS = logging.getLevelNamesMapping()


class HAProxyWords:
    """What HAProxy says, read in the loop of ``selector``; one for all HAProxies that are started after each other."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._pipe: IO[bytes] | None = None
        self._log = HAProxyLog()
        self._checks = Digest("HAProxy's checks")

    @property
    def tail(self) -> str:
        """Return the last lines of the present HAProxy."""
        return self._log.tail

    def follow(self, pipe: IO[bytes]) -> None:
        """Read from now on what a HAProxy that has just been started writes; the one of before has ended."""
        self._log, self._pipe = HAProxyLog(), pipe
        os.set_blocking(pipe.fileno(), False)
        self._selector.register(pipe, selectors.EVENT_READ, self._read)

    def finish(self) -> None:
        """Read what an ended HAProxy has left."""
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
            self._selector.unregister(self._pipe)
            self._pipe.close()
            self._pipe = None
        self.hear(heard)
        return bool(heard)

    def hear(self, data: bytes) -> None:
        """Take what was read, in any pieces; no data is the end."""
        for line in self._log.feed(data):
            flipped = flip(line)
            log.log(logging.DEBUG if flipped else _LEVELS[level(line)], "%s", line)
            if flipped:
                self._checks.add(monotonic(), {flipped.what: 1}, [flipped.name])

    def sum_up(self) -> None:
        """Say what the checks changed, if it is time to."""
        said = self._checks.take(monotonic())
        if said:
            down = NO_SERVER in said.fields["counts"]
            log.log(logging.WARNING if down else logging.INFO, "%s", said.text, extra=said.fields)
