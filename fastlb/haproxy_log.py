"""What HAProxy says of itself: its lines, how much each matters, and without what means nothing here.

With thousands of services every reload would write tens of thousands of lines: one per proxy that an old worker stops,
one per TCP frontend for an option that only concerns HTTP, one per redirect rule of marathon-lb's templates, which
follow `use_backend` rules on purpose. Its severities are those of a program that people start by hand: each command
that fastlb itself gives is a warning there. What it says of proxies and servers it logs among the traffic as well.
Bytes in, values out; no file, no process.
"""

from __future__ import annotations

import re
from typing import NamedTuple

TAIL_BYTES = 16_384

_NOISE = re.compile(
    rb"CLI : (?:'server \S+' : )?(?:New server registered|Server deleted"
    rb"|Server \S+ is (?:UP/READY \(leaving forced maintenance|going DOWN for maintenance))"
    rb"|Proxy \S+ stopped \(cumulated conns"
    rb"|'option idle-close-on-response' ignored for frontend"
    rb"|a 'redirect' rule placed after a 'use_backend' rule"
    rb"|a 'http-request' rule placed after a 'use_backend' rule"
)
_OWN_WORDS = re.compile(
    rb"^(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d [\d:]{8} (?:\S+ )?\S+\[\d+\]: )?"  # forms of `log`: raw, short, syslog
    rb"(?:Proxy \S+ (?:started|stopped \(cumulated conns: FE: \d+, BE: \d+\))\."
    rb"|Server \S+/\S+ (?:is|was|enters|remains) [^\n]*"
    rb"|backend \S+ has no server available!)(?:\n|\Z)",
    re.MULTILINE,
)
_HINTS = (b"Proxy ", b"Server ", b"backend ")
"""Without any of these there is nothing to leave out, which is found out much faster than by the expression."""
_LEVELS = {"NOTICE": "DEBUG", "WARNING": "WARNING", "ALERT": "ERROR", "EMERG": "ERROR"}
_ROUTINE = re.compile(
    r"Server \S+ .*\b(?:maintenance|drain)\b"  # what it was commanded
    r"|worker (?:#\d+ )?\(\d+\) exited with code (?:0|143)\b"
    r"|(?:Reexecuting|Exiting) Master process|All workers exited"
    r"|Failed to transfer socket$"  # its master was asked about an old worker that has just ended
)
NO_SERVER = "backend(s) without any server"
_FLIPS = (
    ("server(s) up", re.compile(r"Server (\S+) is UP\b(?!/)")),
    ("server(s) down", re.compile(r"Server (\S+) is DOWN\b")),
    (NO_SERVER, re.compile(r"backend '?(\S+?)'? has no server available")),
)


class Flip(NamedTuple):
    """What HAProxy's checks changed: ``what`` it is a count of, and the server or backend."""

    what: str
    name: str


class HAProxyLog:
    """Cuts and filters what HAProxy says, fed in any pieces, and keeps the end of it for error messages."""

    def __init__(self) -> None:
        self._rest = b""
        self._tail = b""

    @property
    def tail(self) -> str:
        """Return the last lines that were passed on, about 16 KB at most."""
        return (self._tail + self._rest).decode(errors="replace")

    def feed(self, data: bytes) -> list[str]:
        """Return the lines to pass on that ``data`` completes; at the end (no data) also an unfinished one."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if not data or len(self._rest) > TAIL_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        passed = [line for line in lines if line.strip() and not _NOISE.search(line)]
        self._tail = (self._tail + b"".join(line + b"\n" for line in passed))[-TAIL_BYTES:]
        return [line.decode(errors="replace") for line in passed]


def without_own_words(lines: bytes) -> bytes:
    """Return lines of HAProxy's log without those that it says on standard error as well: the traffic.

    With thousands of services a reload logs a line for each proxy, and a change while it runs one for each server. Only
    whole lines count, so that no request can have itself left out.
    """
    return _OWN_WORDS.sub(b"", lines) if any(word in lines for word in _HINTS) else lines


def level(line: str) -> str:
    """Return the name of the level at which a line of HAProxy is logged; what has no severity is worth reading."""
    if _ROUTINE.search(line):
        return "DEBUG"
    severity = re.match(r"\[(\w+)\]", line)
    return _LEVELS.get(severity[1], "WARNING") if severity else "WARNING"


def flip(line: str) -> Flip | None:
    """Return what a line says that HAProxy's own checks changed, which is routine in a big cluster."""
    found = ((what, pattern.search(line)) for what, pattern in _FLIPS if not _ROUTINE.search(line))
    return next((Flip(what, match[1]) for what, match in found if match), None)
