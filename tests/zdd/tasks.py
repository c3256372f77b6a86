"""Tasks that answer four kinds of requests, and are gone the moment they are killed, with whatever they hold.

In the place of the simulator's own: `/` is answered at once, `/slow` after two seconds, and `/socket` becomes a
connection that says back what it is told until the client leaves, as a websocket does. Who is killed while it holds
something breaks it; that is counted here, too, so that the load is not the only witness. Tasks of an app with the label
`SICK` answer like all others, but not on `/health`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from fastlb.simulator.tasks import BACKLOG, TaskServers

if TYPE_CHECKING:
    from fastlb.simulator.server import SimulatedMarathon
    from fastlb.simulator.service import Service
    from fastlb.simulator.tasks import Address

SICK = "SICK"
SLOW_S = 2.0
ANSWER = b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: words\r\n\r\n"


class BusyTasks(TaskServers):
    """``broken`` are the addresses of tasks that were killed with something on their hands, once for each.

    ``talks`` are the connections by the address that they came to.
    """

    def __init__(self) -> None:
        super().__init__()
        self._listening: dict[Address, socket.socket] = {}
        self.talks: dict[Address, set[Talk]] = {}
        self.broken: list[Address] = []

    def is_sick(self, address: Address) -> bool:
        """Whether the task that listens there is of an app that is."""
        return any(SICK in task.definition.labels for task in self._tenants.get(address, {}).values())

    def _open(self, address: Address) -> None:
        listening = self._listening[address] = socket.create_server(address, backlog=BACKLOG)
        listening.setblocking(False)
        self.talks[address] = set()
        self._loop.add_reader(listening, self._accept, address)

    def _accept(self, address: Address) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                accepted = self._listening[address].accept()[0]
                serving = self._loop.connect_accepted_socket(lambda: Talk(address, self), accepted)
                opening = self._loop.create_task(serving)
                self._opening.add(opening)
                opening.add_done_callback(self._opening.discard)

    def _close(self, address: Address) -> None:
        del self._tenants[address]
        with self._listening.pop(address) as listening:
            self._loop.remove_reader(listening)
        for talk in self.talks.pop(address):
            if talk.busy:
                self.broken.append(address)
            talk.transport.abort()


class Talk(asyncio.Protocol):
    """One connection from HAProxy."""

    transport: asyncio.Transport

    def __init__(self, address: Address, tasks: BusyTasks) -> None:
        self._address = address
        self._tasks = tasks
        self._received = b""
        self._switched = False
        self.busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._address in self._tasks.talks:
            self._tasks.talks[self._address].add(self)
        else:  # the task was killed while it accepted
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._tasks.talks.get(self._address, set()).discard(self)

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
            sick = path == b"/health" and self._tasks.is_sick(self._address)
            self._answer(b"503 Sick" if sick else b"200 OK")

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
