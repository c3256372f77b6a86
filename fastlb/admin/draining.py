"""What HAProxy's workers make of the servers of one app, or of all: for blue/green deployments (COMPAT.md 9.4).

    /_fastlb/draining?app=/its/id --> its backends, from the loop --> each worker's own `show stat` --> JSON

An old worker may still hold connections to a task that is out, so that it is asked as well, through the master. It is
not told who is out: while a client is connected that has nothing under way, its next request may go to any server that
the worker knows. Such clients leave within `timeout http-keep-alive`, and none comes. Without a master's socket old
workers can be counted only. Servers deleted while HAProxy runs held nothing; those about to be are in `show stat`.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from fastlb.admin.answers import json_answer
from fastlb.admin.server_states import servers_by
from fastlb.errors import RuntimeApiError
from fastlb.external import workers_beside
from fastlb.master import Master
from fastlb.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from aiohttp.web import Request, Response

    from fastlb.admin.loop import Loop
    from fastlb.explanation import ServerNow
    from fastlb.questions import Known
    from fastlb.settings import Paths

TIMEOUT_S = 2.0
LOOKS = 5

_CLIENT = re.compile(r"^0x[0-9a-f]+: .*? src=(\S+) fe=(?!GLOBAL )", re.MULTILINE)

Json = dict[str, Any]


class DrainingEndpoint:
    """The one path; one question to HAProxy at a time, however many ask."""

    def __init__(self, paths: Paths, loop: Loop) -> None:
        self._workers = Workers(paths)
        self._loop = loop
        self._one_look = asyncio.Semaphore(1)

    def routes(self) -> list[web.RouteDef]:
        """Return the path with what answers it."""
        return [web.get("/_fastlb/draining", self._draining)]

    async def _draining(self, request: Request) -> Response:
        app_id = request.query.get("app", "")
        backends = await self._loop.ask(partial(_backends, app_id))
        async with self._one_look:
            found = await asyncio.to_thread(self._workers.look, backends)
        return json_answer(orjson.dumps({"app": app_id, **found}).decode())


class Workers:
    """Every worker of one HAProxy, asked about the servers of some backends."""

    def __init__(self, paths: Paths) -> None:
        self._runtime = RuntimeApi(paths.runtime_socket, TIMEOUT_S)
        self._master = Master(paths.master_socket, timeout_s=TIMEOUT_S)
        self._settled: set[int] = set()
        """Old workers without such a client: that stays so, and looking at all connections again may take long."""

    def look(self, backends: Collection[str] | None) -> Json:
        """Return the servers that serve, those of each old worker, and how many workers cannot be looked into.

        Raises RuntimeApiError if HAProxy does not answer, or if its workers change all the time meanwhile.
        """
        for _ in range(LOOKS):
            before = self._pids()
            found = self._look(backends, before)
            if self._pids() == before:
                return found
        raise RuntimeApiError("HAProxy's workers come and go just now, so that nothing can be said of all of them")

    def _look(self, backends: Collection[str] | None, pids: tuple[tuple[int, ...], int]) -> Json:
        old, unseen = [], pids[1]
        self._settled.intersection_update(pids[0])
        for pid in pids[0]:
            try:
                servers = servers_by(partial(self._ask_old, pid), backends)
                old.append({"pid": pid, "idle_clients": self._idle_clients(pid), "servers": _rows(servers)})
            except RuntimeApiError:
                unseen += 1
        serving = servers_by(self._runtime.ask_all, backends)
        return {"servers": _rows(serving), "old_workers": old, "unseen_workers": unseen}

    def _idle_clients(self, pid: int) -> int:
        """Return how many clients of an old worker are connected and have nothing under way."""
        if pid in self._settled:
            return 0
        info = self._master.ask_worker(pid, "show info")
        connected = re.search(r"^CurrConns: (\d+)", info, re.MULTILINE)
        if connected is None:
            raise RuntimeApiError(f"old worker {pid} does not say how many clients it has: {info[:200]!r}")
        busy = set(_CLIENT.findall(self._master.ask_worker(pid, "show sess"))) if int(connected[1]) else set()
        idle = max(0, int(connected[1]) - len(busy))
        self._settled.update({pid} if not idle else ())
        return idle

    def _pids(self) -> tuple[tuple[int, ...], int]:
        """Return the pids of old workers that can be asked, and how many cannot."""
        try:
            old = self._master.processes().not_serving
        except RuntimeApiError:
            return (), len(workers_beside(int(self._runtime.info()["Pid"])))
        return tuple(sorted(worker.pid for worker in old)), 0

    def _ask_old(self, pid: int, commands: Sequence[str]) -> list[str]:
        return [self._master.ask_worker(pid, command) for command in commands]


def _backends(app_id: str, known: Known) -> tuple[str, ...] | None:
    """Return the names of the backends of an app or deployment group, as HAProxy has them; None, for all, for no id."""
    document = known.running.document
    if not app_id:
        return None
    if document is None:
        return ()
    hap_id = known.decider.desired.known_as(app_id if app_id.startswith("/") else f"/{app_id}")
    return tuple(written.service.backend for written in document.part(hap_id).written)


def _rows(servers: Iterable[ServerNow]) -> list[Json]:
    return [
        {
            "backend": server.backend,
            "name": server.name,
            "address": server.address,
            "status": server.status,
            "sessions": server.sessions,
            "queued": server.queued,
        }
        for server in servers
    ]
