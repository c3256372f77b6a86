"""HAProxy's log on its standard output, passed on to ours without what HAProxy says of itself.

    a pipe --haproxy_log--> whole lines of traffic --> our standard output

It must not know processes. HAProxy does not write there itself: it would have nobody's writes wait, fastlb's log, which
has the same standard output, among them. Nobody waits for this one either: what nobody reads is dropped, as HAProxy
does.
"""

from __future__ import annotations

import contextlib
import os
import select

from fastlb.haproxy_log import without_own_words

STDOUT = 1
LONGEST_LINE = 65_536  # bytes; HAProxy's longest is 65,535
WHOLE = select.PIPE_BUF
"""Bytes that a pipe takes at once if it takes any: so nobody else's line comes in between, and no write waits."""


class TrafficLog:
    """Takes what HAProxy writes, in any pieces; ``out`` is the descriptor that it is passed on to."""

    def __init__(self, out: int = STDOUT) -> None:
        self._out = out
        self._rest = b""

    def hear(self, data: bytes) -> None:
        """Pass on the lines that ``data`` completes; no data is the end."""
        lines, end, self._rest = (self._rest + data).rpartition(b"\n")
        if not data or len(self._rest) > LONGEST_LINE:
            lines, end, self._rest = lines + end + self._rest, b"", b""
        self._print(without_own_words(lines + end))

    def _print(self, lines: bytes) -> None:
        with contextlib.suppress(OSError):
            while lines and select.select((), (self._out,), (), 0)[1]:
                cut = lines.rfind(b"\n", 0, WHOLE) + 1 or WHOLE
                os.write(self._out, lines[:cut])
                lines = lines[cut:]
