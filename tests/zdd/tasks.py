"""Tasks that answer four kinds of requests, and are gone the moment they are killed, with whatever they hold.

In the place of the simulator's own: `/` is answered at once, `/slow` after two seconds, and `/socket` becomes a
connection that says back what it is told until the client leaves, as a websocket does. Who is killed while it holds
something breaks it; that is counted here, too, so that the load is not the only witness. Tasks of an app with the label
`SICK` answer like all others, but not on `/health`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from fastlb.simulator.tasks import BACKLOG, TaskServers

if TYPE_CHECKING:
    import socket

    from fastlb.simulator.server import SimulatedMarathon
    from fastlb.simulator.service import Service
    from fastlb.simulator.tasks import Address

SICK = "SICK"
SLOW_S = 2.0
ANSWER = b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: words\r\n\r\n"


class BusyTasks(TaskServers):
    """``broken`` are the addresses of tasks that were killed with something on their hands, once for each."""

    def __init__(self) -> None:
        super().__init__()
        self._talks: dict[Address, set[Talk]] = {}
        self.broken: list[Address] = []

    async def close(self) -> None:
        """Close every listener and connection."""
        await super().close()
        for talks in self._talks.values():
            for talk in list(talks):
                talk.transport.abort()

    async def _attach(self, address: Address, listening: socket.socket) -> None:
        talks = self._talks.setdefault(address, set())
        sick = any(SICK in task.definition.labels for task in self._tenants.get(address, {}).values())
        server = await self._loop.create_server(lambda: Talk(address, talks, sick), sock=listening, backlog=BACKLOG)
        if address in self._tenants and address not in self._listeners:
            self._listeners[address] = server
        else:
            server.close()

    def _close(self, address: Address) -> None:
        super()._close(address)
        for talk in self._talks.pop(address, ()):
            if talk.busy:
                self.broken.append(address)
            talk.transport.abort()


class Talk(asyncio.Protocol):
    """One connection from HAProxy."""

    transport: asyncio.Transport

    def __init__(self, address: Address, talks: set[Talk], sick: bool) -> None:
        self._address = address
        self._sick = sick
        self._talks = talks
        self._received = b""
        self._switched = False
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._talks.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._talks.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._switched:
            self.transport.write(data)
            return
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            path, self._received = self._received.split(b" ", 2)[1], b""
            self._heard(path)

    def _heard(self, path: bytes) -> None:
        self.busy = True
        if path == b"/socket":
            self._switched = True
            self.transport.write(SWITCHED)
        elif path == b"/slow":
            asyncio.get_running_loop().call_later(SLOW_S, self._answer)
        else:
            self._answer(b"503 Sick" if self._sick and path == b"/health" else b"200 OK")

    def _answer(self, status: bytes = b"200 OK") -> None:
        self.busy = False
        body = "{}:{}".format(*self._address).encode()
        self.transport.write(ANSWER % (status, len(body), body))


def use_busy_tasks(marathon: SimulatedMarathon) -> BusyTasks:
    """Give a cluster without apps tasks of this kind."""

    def exchange(service: Service) -> BusyTasks:
        assert service.tasks.count == 0
        tasks = service.tasks = BusyTasks()
        return tasks

    return marathon.call(exchange)
