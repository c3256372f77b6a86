"""What HAProxy says right now about servers: those of some backends by `show stat`, all in numbers by their states.

`show stat` knows a proxy by its name, too, but a frontend of that name comes first (before 3.3 each service has both),
so the number of the backend is asked for before.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, NamedTuple

from fastlb.explanation import ServerNow
from fastlb.runtime_api import RuntimeApi
from fastlb.seen import DRAINS, OUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

TIMEOUT_S = 2.0
SERVERS_ONLY = 4  # the type of `show stat`

_NUMBER = re.compile(r"[0-9]{1,19}")
_BACKEND_NUMBER = re.compile(r"^(\d+) \S+ \d+ ", re.MULTILINE)


class ServerCounts(NamedTuple):
    """How many servers take requests, finish what they hold (or are out for another reason), and are found ill."""

    up: int
    draining: int
    down: int


NOBODY = ServerCounts(0, 0, 0)


def count_servers(state: str) -> dict[str, ServerCounts]:
    """Read `show servers state` to numbers by backend; lines that are something else are nobody."""
    counts: dict[str, list[int]] = {}
    for line in state.splitlines():
        words = line.split(" ", 7)
        if len(words) > 7 and _NUMBER.fullmatch(words[6]):
            which = 1 if int(words[6]) & (OUT | DRAINS) else 2 if words[5] == "0" else 0
            counts.setdefault(words[1], [0, 0, 0])[which] += 1
    return {backend: ServerCounts(*numbers) for backend, numbers in counts.items()}


def servers_now(runtime_socket: Path, backends: Iterable[str]) -> tuple[ServerNow, ...]:
    """Return every server of these backends, which HAProxy need not know. Raises RuntimeApiError."""
    return servers_by(RuntimeApi(runtime_socket, TIMEOUT_S).ask_all, backends)


def servers_by(ask_all: Callable[[Sequence[str]], list[str]], backends: Iterable[str] | None) -> tuple[ServerNow, ...]:
    """Return them, or all for None, as the worker says that answers by ``ask_all``. Raises what that raises."""
    if backends is None:
        return tuple(read_servers(ask_all([f"show stat -1 {SERVERS_ONLY} -1"])[0]))
    states = ask_all([f"show servers state {backend}" for backend in dict.fromkeys(backends)])
    numbers = [found[1] for state in states if (found := _BACKEND_NUMBER.search(state))]
    replies = ask_all([f"show stat {number} {SERVERS_ONLY} -1" for number in numbers])
    return tuple(server for reply in replies for server in read_servers(reply))


def read_servers(reply: str) -> Iterator[ServerNow]:
    """Yield the servers of a reply; one that is no table has none."""
    for row in csv.DictReader(reply.removeprefix("# ").splitlines()):
        if row.get("svname"):
            yield ServerNow(
                backend=row.get("pxname") or "",
                name=row["svname"],
                address=row.get("addr") or "",
                status=row.get("status") or "",
                check=row.get("check_status") or "",
                sessions=_number(row.get("scur")),
                queued=_number(row.get("qcur")),
                for_s=_number(row.get("lastchg")),
            )


def _number(text: str | None) -> int:
    return int(text) if text and _NUMBER.fullmatch(text) else 0
