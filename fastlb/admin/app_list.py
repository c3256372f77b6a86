"""All apps in a table: what each is reached by, its servers as HAProxy sees them, why something of it is left out.

    the loop --references to parts--> rows --+
    HAProxy's `show servers state` --counts--+--> table --search, filter, page--> some rows

The loop only hands out references to immutable values, which takes it a millisecond or two for 5,000 apps; all else is
done on another thread, for all who ask at a time. If the loop or HAProxy does not answer, what they said last is shown.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from fastlb.admin.kept import Kept
from fastlb.admin.loop import LoopBusyError
from fastlb.admin.server_states import NOBODY, ServerCounts, count_servers
from fastlb.errors import HAProxyError
from fastlb.explain import problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fastlb.admin.loop import Loop
    from fastlb.decision import Decider
    from fastlb.explanation import Problem
    from fastlb.questions import Known
    from fastlb.render import Part
    from fastlb.runtime_api import RuntimeApi

GOOD_FOR_S = 1.0
PER_PAGE = 50
LONGEST_SEARCH = 200  # characters
SHOWN = ("all", "down", "left-out")
"""What a table may be limited to: apps with a server that is down, apps of which something is left out."""


class Row(NamedTuple):
    """One app. ``services`` counts those that are exposed; ``problem`` is empty if nothing is left out.

    Without HAProxy's answer ``servers`` is None.
    """

    id: str
    vhosts: tuple[str, ...]
    ports: tuple[int, ...]
    services: int
    servers: ServerCounts | None
    problem: str

    @property
    def is_down(self) -> bool:
        """Whether it is exposed and none of its servers is up."""
        return self.services > 0 and self.servers is not None and self.servers.up == 0


class Table(NamedTuple):
    """All rows, sorted by id; ``late`` says why it may be old, empty if it is not.

    ``servers`` are those of all services together, None without HAProxy's answer.
    """

    rows: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    servers: ServerCounts | None = None
    late: str = ""


class Page(NamedTuple):
    """Some rows: the ``number``th of ``pages`` pages, from 1 on, of the ``found`` ones."""

    rows: tuple[Row, ...]
    found: int
    number: int
    pages: int


class AppList:
    """The table, for whoever asks; used in one event loop only."""

    def __init__(self, loop: Loop, haproxy: RuntimeApi) -> None:
        self._loop = loop
        self._haproxy = haproxy
        self._last = Table()
        self._table = Kept(self._make, GOOD_FOR_S)

    async def table(self) -> Table:
        """Return all apps as they were a moment ago, or as they were last known; raises nothing of its own."""
        return await self._table.get()

    async def _make(self) -> Table:
        try:
            parts, found = await self._loop.ask(_look)
        except LoopBusyError as error:
            return self._last._replace(late=str(error))
        self._last = await asyncio.to_thread(self._join, parts, found)
        return self._last

    def _join(self, parts: Sequence[tuple[str, Part]], found: Iterable[Problem]) -> Table:
        in_order = sorted(found, key=str)
        why = {problem.app_id: problem.text for problem in reversed(in_order)}
        late, counts = "", None
        try:
            counts = count_servers(self._haproxy.servers_state())
        except HAProxyError as error:
            late = f"HAProxy does not say what it makes of its servers: {error}"
        rows = [_row(app_id, part, counts, why.pop(app_id, "")) for app_id, part in parts]
        rows += [Row(app_id, (), (), 0, NOBODY, text) for app_id, text in why.items()]
        backends = {written.service.backend for _, part in parts for written in part.written}
        return Table(tuple(sorted(rows)), tuple(in_order), _together(backends, counts), late)


def _look(known: Known) -> tuple[list[tuple[str, Part]], set[Problem]]:
    """Return what each app contributes, by reference, and what is left out."""
    decider: Decider = known.decider
    part, known_as = decider.document.part, decider.desired.known_as
    return [(app.id, part(known_as(app.id))) for app in decider.store.apps], problems(decider)


def _row(app_id: str, part: Part, counts: Mapping[str, ServerCounts] | None, problem: str) -> Row:
    services = [written.service for written in part.written]
    vhosts = dict.fromkeys(
        host for service in services if service.options.vhost for host in service.options.vhost.split(",")
    )
    servers = _together({each.backend for each in services}, counts)
    return Row(app_id, tuple(vhosts), tuple(each.port for each in services), len(services), servers, problem)


def _together(backends: Iterable[str], counts: Mapping[str, ServerCounts] | None) -> ServerCounts | None:
    if counts is None:
        return None
    each = [counts.get(backend, NOBODY) for backend in backends]
    return ServerCounts(*map(sum, zip(NOBODY, *each, strict=True)))


def select(rows: Iterable[Row], search: str, show: str) -> list[Row]:
    """Return the rows of ``show`` in which every word of ``search`` stands: in the id, a vhost, or as a port."""
    words = search[:LONGEST_SEARCH].casefold().split()
    return [row for row in rows if _is_shown(row, show) and _has(row, words)]


def paged(rows: list[Row], number: int) -> Page:
    """Return one page of the rows; the last one if there are not as many."""
    pages = max(1, -(-len(rows) // PER_PAGE))
    number = min(max(number, 1), pages)
    return Page(tuple(rows[(number - 1) * PER_PAGE : number * PER_PAGE]), len(rows), number, pages)


def _is_shown(row: Row, show: str) -> bool:
    if show == "down":
        return row.servers is not None and row.servers.down > 0
    return show != "left-out" or bool(row.problem)


def _has(row: Row, words: list[str]) -> bool:
    if not words:
        return True
    text = " ".join((row.id, *row.vhosts)).casefold()
    ports = {str(port) for port in row.ports}
    return all(word in text or word in ports for word in words)
