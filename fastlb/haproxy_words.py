"""Has the log say what HAProxy says on standard error, each line at the level that it deserves.

    standard error --haproxy_log--> lines --> log lines; what HAProxy's checks changed --digest--> one line an interval
    standard output --traffic_log--> ours

It must not know when HAProxy is started, or why. Servers that HAProxy's checks find down or up change by the thousand
in a big cluster, so that each is a line for DEBUG only.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.digest import Digest
from fastlb.haproxy_log import NO_SERVER, HAProxyLog, flip, level
from fastlb.piped import Piped
from fastlb.traffic_log import TrafficLog

if TYPE_CHECKING:
    import selectors
    import subprocess

log = logging.getLogger("haproxy")

_LEVELS = logging.getLevelNamesMapping()


class HAProxyWords:
    """What HAProxy says, read in the loop of ``selector``; one for all HAProxies that are started after each other."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._errors = Piped(selector, self.hear)
        self._output = Piped(selector, TrafficLog().hear)
        self._log = HAProxyLog()
        self._checks = Digest("HAProxy's checks")

    @property
    def tail(self) -> str:
        """Return the last lines of the present HAProxy."""
        return self._log.tail

    def follow(self, process: subprocess.Popen[bytes]) -> None:
        """Read from now on what a HAProxy that has just been started writes; the one of before has ended."""
        self._log = HAProxyLog()
        self._errors.follow(process.stderr)
        self._output.follow(process.stdout)

    def finish(self) -> None:
        """Read what an ended HAProxy has left."""
        self._errors.finish()
        self._output.finish()

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
