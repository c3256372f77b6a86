"""Real loopback HTTP servers for the tasks of the cluster: what HAProxy balances over.

Knows a task's addresses and health paths, nothing of Marathon. A listener is bound in the moment the task
starts, so a connection never comes too early; several tasks may share one (see `addresses`). Every answer is
JSON that names the app, task, address, port, path and Host header of the request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from enum import StrEnum
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

if TYPE_CHECKING:
    from fastlb.simulator.state import Task

log = logging.getLogger(__name__)

Address = tuple[str, int]

CYCLES_TO_SETTLE = 5
"""Turns of the event loop in which connections accepted at the very end come to be, and are closed again."""

CLOSED_WITHIN_S = 1.0
BACKLOG = 512
SLOW_ANSWER_S = 2.0
HEALTH_PATHS = frozenset({"/health", "/ping", "/healthz"})


class Behaviour(StrEnum):
    """How a task answers."""

    NORMAL = "normal"
    UNHEALTHY = "unhealthy"
    """503 on health paths; all else is answered."""
    SLOW = "slow"
    """Every answer takes SLOW_ANSWER_S seconds."""
    HUNG = "hung"
    """Connections are accepted and never answered."""


class TaskServers:
    """The listeners of all tasks; lives in one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._http = web.Server(self._answer, handler_cancellation=True, access_log=None)
        self._listeners: dict[Address, asyncio.Server] = {}
        self._tenants: dict[Address, dict[str, Task]] = {}
        self._behaviours: dict[str, Behaviour] = {}
        self._opening: set[asyncio.Task[None]] = set()

    @property
    def count(self) -> int:
        """How many addresses are listened at."""
        return len(self._tenants)

    def start(self, task: Task) -> None:
        """Listen at every address of ``task``."""
        for address in _addresses(task):
            tenants = self._tenants.setdefault(address, {})
            if not tenants:
                self._open(address)
            tenants[task.id] = task

    def end(self, task: Task) -> None:
        """Stop listening for ``task`` and hang up on its clients, as a killed process does."""
        self._behaviours.pop(task.id, None)
        for address in _addresses(task):
            tenants = self._tenants.get(address, {})
            if tenants.pop(task.id, None) is not None and not tenants:
                self._close(address)

    def behave(self, task_id: str, behaviour: Behaviour) -> None:
        """From now on the task answers like that."""
        self._behaviours[task_id] = behaviour

    async def close(self) -> None:
        """Close every listener and connection."""
        for opening in list(self._opening):
            await opening
        servers = list(self._listeners.values())
        for address in list(self._tenants):
            self._close(address)
        await _settle()  # a connection accepted just now becomes one that is ended
        await self._http.shutdown(timeout=0)
        await _settle()
        for server in servers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), CLOSED_WITHIN_S)

    def _open(self, address: Address) -> None:
        try:
            listening = socket.create_server(address, backlog=BACKLOG)
        except OSError as error:
            log.warning("task server %s:%d cannot listen (%s); this address will refuse", *address, error)
            return
        opening = self._loop.create_task(self._attach(address, listening))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)

    async def _attach(self, address: Address, listening: socket.socket) -> None:
        server = await self._loop.create_server(self._http, sock=listening, backlog=BACKLOG)
        if address in self._tenants and address not in self._listeners:
            self._listeners[address] = server
        else:
            server.close()

    def _close(self, address: Address) -> None:
        del self._tenants[address]
        if server := self._listeners.pop(address, None):
            server.close()
        for connection in self._http.connections:
            transport = connection.transport
            if transport is not None and transport.get_extra_info("sockname") == address:
                transport.close()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        address: Address = request.transport.get_extra_info("sockname") if request.transport else ("", 0)
        tenants = self._tenants.get(address, {})
        task = next(iter(tenants.values())) if len(tenants) == 1 else None
        behaviour = self._behaviours.get(task.id, Behaviour.NORMAL) if task else Behaviour.NORMAL
        if behaviour is Behaviour.SLOW:
            await asyncio.sleep(SLOW_ANSWER_S)
        if behaviour is Behaviour.HUNG:
            await asyncio.Event().wait()  # until the client hangs up
        sick = behaviour is Behaviour.UNHEALTHY and task is not None and request.path in _health_paths(task)
        body = {
            "app": task.app.definition.id if task else None,
            "task": task.id if task else None,
            "shared_by": len(tenants),
            "address": address[0],
            "port": address[1],
            "path": request.raw_path,
            "host": request.headers.get("Host"),
        }
        return web.Response(body=orjson.dumps(body), status=503 if sick else 200, content_type="application/json")


async def _settle() -> None:
    for _ in range(CYCLES_TO_SETTLE):
        await asyncio.sleep(0)


def _addresses(task: Task) -> list[Address]:
    """Where the task listens; agents may have names, sockets have numbers."""
    return [(socket.gethostbyname(host), port) for host, port in task.place.listens]


def _health_paths(task: Task) -> frozenset[str]:
    checks = task.definition.health_checks
    return HEALTH_PATHS | {check.get("path", "/") for check in checks if "HTTP" in check["protocol"]}
