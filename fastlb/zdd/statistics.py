"""HAProxy's statistics as CSV, and fastlb's own answer, to the servers of one load balancer.

    /haproxy?stats;csv of 2.x and 3.x --read_statistics--+
                                                          +--> ServerSeen, ...
    /_fastlb/draining                 --read_draining-----'

Pure; it must not know who was asked or which task a server is. Columns go by their names: there are more of them with
every release, one is called ``-`` (COMPAT.md 10, row 40), and an operator's own page may lack some. HAProxy fills in
``addr`` only for pages with legends, so that a server's place is else what fastlb and marathon-lb make its name of:
host, perhaps address, and port (COMPAT.md 6.5). A host read from a name has ``_`` where there were dots.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, Any

import orjson

from fastlb.errors import FastlbError
from fastlb.zdd.seen import OUT, TAKES, ServerSeen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

NEEDED = ("pxname", "svname", "status", "scur", "qcur")
SUMMARIES = ("FRONTEND", "BACKEND")
MOST_SHOWN = 80  # characters

_NUMBER = re.compile(r"[0-9]{1,19}")
_PORT = re.compile(r"(?P<host>.+)[:_](?P<port>\d{1,5})")


class StatisticsError(FastlbError):
    """What a load balancer answered is no statistics; the message says what is wrong with it."""


def read_statistics(text: str) -> tuple[ServerSeen, ...]:
    """Return the servers of a page of statistics; a line whose server has no port in its name has no place, so is none.

    Raises StatisticsError for what is no such page, and for one that lacks a column.
    """
    lines = text.lstrip("\ufeff").lstrip("# ").splitlines()
    table = csv.DictReader(line for line in lines if line.strip())
    columns = table.fieldnames or ()
    if "pxname" not in columns:
        raise StatisticsError(f"it is no CSV of HAProxy, but begins {text[:MOST_SHOWN]!r}")
    if missing := [name for name in NEEDED if name not in columns]:
        raise StatisticsError(f"it has no column {', '.join(missing)}")
    try:
        return tuple(_servers(table))
    except csv.Error as error:
        raise StatisticsError(f"line {table.line_num} cannot be read: {error}") from error


def read_draining(text: bytes) -> tuple[tuple[ServerSeen, ...], int]:
    """Return the servers of fastlb's answer, those of old workers among them, and how many workers it cannot look into.

    A server is named once for each worker of HAProxy that has it. In an old worker it is out, unless there are clients
    whose next request it may get. Raises StatisticsError for what is no such answer.
    """
    try:
        answer = orjson.loads(text)
        rows = [*answer["servers"], *(row for worker in answer["old_workers"] for row in _of_old_worker(worker))]
        return tuple(server for row in rows if (server := _server(row))), int(answer["unseen_workers"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StatisticsError(f"it is no answer of fastlb ({error!r}), but begins {text[:MOST_SHOWN]!r}") from error


def _of_old_worker(worker: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the servers that an old worker still gives something, or holds something of."""
    for row in worker["servers"]:
        if worker["idle_clients"] and row["status"].startswith(TAKES):
            yield row
        elif row["sessions"] or row["queued"]:
            yield {**row, "status": f"{OUT} (old worker)"}


def _servers(rows: Iterable[Mapping[str | Any, str | Any]]) -> Iterator[ServerSeen]:
    for row in rows:
        if row["svname"] in SUMMARIES or row.get("type") in {"0", "1", "3"}:
            continue
        place = {"backend": row["pxname"], "name": row["svname"], "address": row.get("addr")}
        numbers = {"sessions": _number(row["scur"]), "queued": _number(row["qcur"])}
        if server := _server({**place, "status": row["status"], **numbers}):
            yield server


def _server(row: Mapping[str, Any]) -> ServerSeen | None:
    place = _PORT.fullmatch(row["address"] or "") or _PORT.fullmatch(row["name"] or "")
    if place is None:
        return None
    status = str(row["status"] or "")
    host = place["host"].strip("[]")
    return ServerSeen(row["backend"], host, int(place["port"]), status, int(row["sessions"]), int(row["queued"]))


def _number(text: str | None) -> int:
    """Return a number of the table; an empty one is none, and so is one that a short line lacks."""
    if text and not _NUMBER.fullmatch(text):
        raise StatisticsError(f"it has {text[:MOST_SHOWN]!r} where a number of sessions belongs")
    return int(text or 0)
