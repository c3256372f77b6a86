"""What HAProxy says on its standard error, without the lines that mean nothing here.

With thousands of services every reload would write tens of thousands of lines: one per proxy that an old worker stops,
one per TCP frontend for an option that only concerns HTTP, one per redirect rule of marathon-lb's templates, which
follow `use_backend` rules on purpose. Bytes in, bytes out; no file, no process.
"""

from __future__ import annotations

import re

TAIL_BYTES = 16_384

_NOISE = re.compile(
    rb"CLI : (?:'server \S+' : )?(?:New server registered|Server deleted"
    rb"|Server \S+ is (?:UP/READY \(leaving forced maintenance|going DOWN for maintenance))"
    rb"|Proxy \S+ stopped \(cumulated conns"
    rb"|'option idle-close-on-response' ignored for frontend"
    rb"|a 'redirect' rule placed after a 'use_backend' rule"
    rb"|a 'http-request' rule placed after a 'use_backend' rule"
)


class HAProxyLog:
    """Filters what HAProxy says, fed in any pieces, and keeps the end of it for error messages."""

    def __init__(self) -> None:
        self._rest = b""
        self._tail = b""

    @property
    def tail(self) -> str:
        """Return the last lines that were passed on, about 16 KB at most."""
        return (self._tail + self._rest).decode(errors="replace")

    def feed(self, data: bytes) -> bytes:
        """Return the lines to pass on that ``data`` completes; at the end (no data) also an unfinished one."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        passed = b"".join(line + b"\n" for line in lines if not _NOISE.search(line))
        if not data or len(self._rest) > TAIL_BYTES:
            passed, self._rest = passed + self._rest, b""
        self._tail = (self._tail + passed)[-TAIL_BYTES:]
        return passed
