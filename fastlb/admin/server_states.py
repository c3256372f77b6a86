"""What HAProxy says right now about the servers of some backends: `show stat`, read.

`show stat` knows a proxy by its name, too, but a frontend of that name comes first (before 3.3 each service has both),
so the number of the backend is asked for before.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from fastlb.explanation import ServerNow
from fastlb.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

TIMEOUT_S = 2.0
SERVERS_ONLY = 4  # the type of `show stat`

_BACKEND_NUMBER = re.compile(r"^(\d+) \S+ \d+ ", re.MULTILINE)


def servers_now(runtime_socket: Path, backends: Iterable[str]) -> tuple[ServerNow, ...]:
    """Return every server of these backends, which HAProxy need not know. Raises RuntimeApiError."""
    api = RuntimeApi(runtime_socket, TIMEOUT_S)
    states = api.ask_all([f"show servers state {backend}" for backend in dict.fromkeys(backends)])
    numbers = [found[1] for state in states if (found := _BACKEND_NUMBER.search(state))]
    replies = api.ask_all([f"show stat {number} {SERVERS_ONLY} -1" for number in numbers])
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
    return int(text) if text and text.isdigit() else 0
