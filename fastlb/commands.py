"""What is sent to a running HAProxy, as values: each says what it is for and which reply is good.

It must not know why a change is made nor how bytes travel. Data flows: `live`, `live_maps`, `seen` and `leaving` make
steps, `runtime` carries them out and judges every reply by `Command.is_good`.

A plan has phases: what brings servers in, what changes maps, what takes servers out. A phase begins only when all
replies of the one before were good, so that nothing is taken away while what replaces it was refused.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_BATCH_BYTES = 8_000
"""Of commands, or of the text that one command brings along, in one connection: half of HAProxy's smallest buffer, so
that what is under way fits too (HAPROXY.md 1, HAPROXY-3.4.md 5)."""

NOTHING = ""
ADDED = r"New server registered\."
DELETED = r"Server deleted\."
MOVED = r"(IP|port) changed from .*|nothing changed|no need to change .*"
NO_BACKEND = "Can't find backend."
PREPARED = r"New version created: (\d+)"


class Command(NamedTuple):
    """One command line, why it is sent, and the pattern of the last line of a good reply, on every version."""

    line: str
    why: str
    good: str = NOTHING

    def __str__(self) -> str:
        """Say it as plans show it."""
        return f"{self.line}   # {self.why}"

    def is_good(self, reply: str) -> bool:
        """Whether HAProxy did it. Log lines that it puts before its verdict do not count (HAPROXY-3.4.md 1)."""
        return re.fullmatch(self.good, last_line(reply)) is not None


class MapSwap(NamedTuple):
    """A whole map put in place of the old one, at once for those who look something up (HAPROXY.md C)."""

    path: str
    entries: tuple[tuple[str, str], ...]
    why: str

    def __str__(self) -> str:
        """Say it as plans show it."""
        return f"replace map {self.path} by one of {len(self.entries)} entries   # {self.why}"


Step = Command | MapSwap
Phase = tuple[Step, ...]


_EFFECTS = (
    ("server(s) added", re.compile(r"add server ")),
    ("server(s) taken out", re.compile(r"set server \S+ state maint ")),
    ("server(s) back", re.compile(r"set server \S+ state ready +# (?!it takes requests)")),
    ("server(s) moved", re.compile(r"set server \S+ addr ")),
    ("weight(s) changed", re.compile(r"set server \S+ weight .*# its weight was")),
    ("map entries changed", re.compile(r"(?:add|set|del) map ")),
    ("map(s) replaced", re.compile(r"replace map ")),
)
"""What people count, by what a step says; the other steps of a server belong to one of these."""


def effects(steps: Iterable[Step]) -> dict[str, int]:
    """Return how much of what these steps do; a server that is added with three commands counts once."""
    every = (next((what for what, pattern in _EFFECTS if pattern.match(text)), "") for text in map(str, steps))
    return {what: count for what, count in Counter(every).items() if what}


def last_line(reply: str) -> str:
    """Return the last line of a reply that is not blank."""
    return reply.strip().rpartition("\n")[2].strip()


def batches(texts: Sequence[str], limit_bytes: int = MAX_BATCH_BYTES) -> Iterator[Sequence[str]]:
    """Cut lines into runs that each fit into ``limit_bytes`` with their line ends; a line that is longer is alone."""
    start, size = 0, 0
    for position, text in enumerate(texts):
        more = len(text.encode()) + 1
        if size + more > limit_bytes and position > start:
            yield texts[start:position]
            start, size = position, 0
        size += more
    if start < len(texts):
        yield texts[start:]


def phases(gains: Iterable[Step], maps: Iterable[Step], losses: Iterable[Step]) -> tuple[Phase, ...]:
    """Put the steps of all changes into their order: nothing leaves before what replaces it has come."""
    every = tuple(gains), tuple(maps), tuple(losses)
    return tuple(phase for phase in every if phase)
