"""What a running HAProxy says that it has, read and compared with what it should have.

    `show servers state` --read_servers--> SeenServer by backend and name --drift--> Change (`live`)
    `show map`           --read_map--> entries --map_steps_between (`live_maps`)--> steps

It must not know sockets or clocks. Used when a reply left doubts, and by the periodic audit: somebody may have changed
HAProxy through its socket. `for_next_worker` makes the server-state file of a reload from the same text.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from fastlb.errors import RuntimeApiError
from fastlb.live import Change, change, take_out
from fastlb.servers import Backend, ServerLine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastlb.capabilities import Capabilities

COLUMNS = "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight".split()
"""Those that the first version of the format begins with, on every HAProxy since 1.8."""
PORT, CHECK_PORT = 18, 21
LEAST_COLUMNS = 22
MOST_DIGITS = 100
"""Of all numbers of a line together."""

_numbers_of = itemgetter(2, 5, 6, 7, PORT, CHECK_PORT)

OUT = 0x01 | 0x02
"""Forced or inherited maintenance. 0x04 only says that the file had it, and stays when the server is back."""
DRAINS = 0x08 | 0x10


class SeenServer(NamedTuple):
    """One server as HAProxy has it. ``is_out``: it takes no new connections by somebody's will, not by its health."""

    name: str
    address: str
    port: int
    id: int
    weight: int
    is_out: bool
    check_port: int | None
    is_up: bool


def read_servers(state: str) -> dict[str, dict[str, SeenServer]]:
    """Read `show servers state`: servers by backend and name. Raises RuntimeApiError if it is something else."""
    seen: dict[str, dict[str, SeenServer]] = {}
    for words in _rows(state):
        admin = int(words[6])
        server = SeenServer(
            name=words[3],
            address=words[4],
            port=int(words[PORT]),
            id=int(words[2]),
            weight=int(words[7]),
            is_out=bool(admin & (OUT | DRAINS)),
            check_port=int(words[CHECK_PORT]) or None,
            is_up=words[5] != "0",
        )
        seen.setdefault(words[1], {})[server.name] = server
    return seen


def drift(
    desired: Backend,
    seen: Mapping[str, SeenServer] | None,
    capabilities: Capabilities,
    leaving: Mapping[str, ServerLine] | None = None,
) -> Change:
    """Return what leads from what was seen of one backend (None: it is not there) to what it should be.

    Of an unfit backend nothing is said: its servers are not known. ``leaving`` are those that may be there, but out.
    """
    if desired.unfit:
        return Change(desired.name)
    if seen is None:
        return Change(desired.name, ("HAProxy has no such backend",))
    leaving = {name: server for name, server in (leaving or {}).items() if name in seen}
    found = {name: _as_line(server, desired) for name, server in seen.items() if name not in leaving}
    told = change(desired._replace(servers=found), desired, capabilities, leaving)
    awake = [name for name in leaving if not seen[name].is_out and name not in desired.servers]
    again = tuple(take_out(desired.name, name, "it was leaving, and somebody brought it back") for name in awake)
    return told._replace(losses=told.losses + again) if not told.reasons else told


def read_map(reply: str) -> list[tuple[str, str]]:
    """Read `show map FILE`: its entries, in their order. Raises RuntimeApiError if it is something else."""
    entries = []
    for line in filter(None, reply.splitlines()):
        pointer, _, entry = line.partition(" ")
        key, _, value = entry.partition(" ")
        if not pointer.startswith("0x") or not key:
            raise RuntimeApiError(f"`show map` answered {line[:200]!r}")
        entries.append((key, value))
    return entries


def for_next_worker(state: str, backends: Mapping[str, Backend]) -> str:
    """Return the server states without those that the next worker must not take over (HAPROXY.md G).

    The file decides what is out and where a server is. A forced maintenance would be restored although the file no
    longer has it, and the port of a server whose name stayed would be the old one. Raises RuntimeApiError if it is
    something else.
    """
    kept = [" ".join(words) for words in _rows(state) if not _is_stale(words, backends)]
    return "\n".join([*state.splitlines()[:2], *kept, ""])


def _is_stale(words: list[str], backends: Mapping[str, Backend]) -> bool:
    backend = backends.get(words[1])
    server = backend.servers.get(words[3]) if backend else None
    moved = server is not None and (str(server.port) != words[PORT] or int(words[CHECK_PORT]) != _check_port(server))
    return moved or bool(int(words[6]) & (OUT | DRAINS))


def _check_port(server: ServerLine) -> int:
    return server.check_port or 0


def _rows(state: str) -> Iterator[list[str]]:
    lines = state.splitlines()
    if len(lines) < 2 or lines[0] != "1" or lines[1].split()[1 : len(COLUMNS) + 1] != COLUMNS:
        raise RuntimeApiError(f"`show servers state` answered {state[:200]!r}")
    for line in filter(None, lines[2:]):
        words = line.split(maxsplit=LEAST_COLUMNS)
        if len(words) < LEAST_COLUMNS or not _are_numbers(_numbers_of(words)):
            raise RuntimeApiError(f"`show servers state` has a line {line[:200]!r}")
        yield words


def _are_numbers(words: tuple[str, ...]) -> bool:
    """Look at all of them at once: there are 15,000 lines, and a reload waits for them."""
    together = "".join(words)
    return together.isascii() and together.isdecimal() and len(together) <= MOST_DIGITS


def _as_line(seen: SeenServer, desired: Backend) -> ServerLine:
    """Return the line that would have led to what was seen; what cannot be seen is taken for right."""
    wanted = desired.servers.get(seen.name)
    if wanted is None:
        return ServerLine(seen.name, seen.address, seen.port, seen.id, seen.weight, seen.is_out)
    if wanted.has_agent:
        seen = seen._replace(weight=wanted.weight, is_out=wanted.disabled)
    return wanted._replace(
        address=seen.address if wanted.has_ip_address else wanted.address,
        port=seen.port,
        id=seen.id if wanted.id is not None else None,
        weight=seen.weight,
        disabled=seen.is_out,
        check_port=seen.check_port,
    )
