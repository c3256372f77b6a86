"""Tasks that stop the moment they are killed, gracefully: what they hold is finished, then they close.

In the place of the simulator's own, which hang up as a process that is killed by force does. One request for each
connection, answered after a moment, so that there is something to hold.
"""

from __future__ import annotations

import asyncio
import json
import socket
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.simulator.tasks import BACKLOG, TaskServers

if TYPE_CHECKING:
    from fastlb.simulator.server import SimulatedMarathon
    from fastlb.simulator.service import Service
    from fastlb.simulator.tasks import Address

ANSWERS_AFTER_S = 0.003


class GracefulTasks(TaskServers):
    """``accepts``: whether connections that wait to be accepted in the last moment are taken and served.

    ``lingers_s``: for how long a task that was killed still takes connections. Without it, one that arrives between its
    last look and its end is reset, whatever it does.
    """

    def __init__(self, accepts: bool, lingers_s: float) -> None:
        super().__init__()
        self._accepts = accepts
        self._lingers_s = lingers_s
        self._listening: dict[Address, socket.socket] = {}
        self._held: set[asyncio.Transport] = set()
        self.closed_s: list[float] = []
        """When each that was killed stopped listening, monotonic."""

    async def close(self) -> None:
        """Close every listener and connection."""
        await super().close()
        await asyncio.sleep(2 * self._lingers_s)
        for transport in self._held:
            transport.abort()

    def _open(self, address: Address) -> None:
        listening = self._listening[address] = socket.create_server(address, backlog=BACKLOG)
        listening.setblocking(False)
        self._loop.add_reader(listening, self._accept, listening)

    def _close(self, address: Address) -> None:
        del self._tenants[address]
        listening = self._listening.pop(address)
        if self._lingers_s:
            self._loop.call_later(self._lingers_s, self._end, listening)
        else:
            self._end(listening)

    def _end(self, listening: socket.socket) -> None:
        with listening:
            if self._accepts:
                self._accept(listening)
            self._loop.remove_reader(listening)
        self.closed_s.append(monotonic())

    def _accept(self, listening: socket.socket) -> None:
        try:
            while True:
                accepted = listening.accept()[0]
                serving = self._loop.connect_accepted_socket(lambda: _Answer(self._held), accepted)
                opening = self._loop.create_task(serving)
                self._opening.add(opening)
                opening.add_done_callback(self._opening.discard)
        except BlockingIOError:
            return


class _Answer(asyncio.Protocol):
    def __init__(self, held: set[asyncio.Transport]) -> None:
        self._held = held
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._held.add(transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            asyncio.get_running_loop().call_later(ANSWERS_AFTER_S, self._answer)

    def connection_lost(self, error: Exception | None) -> None:
        self._held.discard(self._transport)

    def _answer(self) -> None:
        address, port = self._transport.get_extra_info("sockname")
        body = json.dumps({"server": f"{address}:{port}"}).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        self._transport.close()


def use_graceful_tasks(marathon: SimulatedMarathon, *, accepts: bool = True, lingers_s: float = 0.0) -> GracefulTasks:
    """Give a cluster without apps tasks of this kind."""

    def exchange(service: Service) -> GracefulTasks:
        assert service.tasks.count == 0
        tasks = service.tasks = GracefulTasks(accepts, lingers_s)
        return tasks

    return marathon.call(exchange)
