"""Has the log say what HAProxy says on standard error, each line at the level that it deserves.

    bytes --haproxy_log--> lines --> log lines; what HAProxy's checks changed --digest--> one line an interval

It must not know processes or pipes: the supervisor hands in what it read. Servers that HAProxy's checks find down or up
change by the thousand in a big cluster, so that each is a line for DEBUG only.
"""

from __future__ import annotations

import logging
from time import monotonic

from fastlb.digest import Digest
from fastlb.haproxy_log import NO_SERVER, HAProxyLog, flip, level

log = logging.getLogger("haproxy")

_LEVELS = logging.getLevelNamesMapping()


class HAProxyWords:
    """What HAProxy said; one for all of the HAProxies that are started after each other."""

    def __init__(self) -> None:
        self._log = HAProxyLog()
        self._checks = Digest("HAProxy's checks")

    @property
    def tail(self) -> str:
        """Return the last lines of the present HAProxy."""
        return self._log.tail

    def begin(self) -> None:
        """Forget what the HAProxy of before said."""
        self._log = HAProxyLog()

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
