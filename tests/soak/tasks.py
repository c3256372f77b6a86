"""Tasks that take connections for a while after they were told to end; their addresses are given out again at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.reach.tasks import GracefulTasks

if TYPE_CHECKING:
    import asyncio
    import socket

    from fastlb.simulator.server import SimulatedMarathon
    from fastlb.simulator.service import Service
    from fastlb.simulator.tasks import Address

LINGERS_S = 5.0
"""What a front door may need to hear of it."""


class LingeringTasks(GracefulTasks):
    """A new task at the address of one that lingers takes its listener over."""

    def __init__(self) -> None:
        super().__init__(accepts=True, lingers_s=LINGERS_S)
        self._lingering: dict[Address, tuple[socket.socket, asyncio.TimerHandle]] = {}

    async def close(self) -> None:
        """Close every listener and connection at once."""
        self._lingers_s = 0.0
        for address in list(self._lingering):
            self._leave(address)
        await super().close()

    def _open(self, address: Address) -> None:
        if address in self._lingering:
            self._listening[address], timer = self._lingering.pop(address)
            timer.cancel()
        else:
            super()._open(address)

    def _close(self, address: Address) -> None:
        if not self._lingers_s:
            super()._close(address)
            return
        del self._tenants[address]
        timer = self._loop.call_later(self._lingers_s, self._leave, address)
        self._lingering[address] = self._listening.pop(address), timer

    def _leave(self, address: Address) -> None:
        listening, timer = self._lingering.pop(address)
        timer.cancel()
        self._end(listening)


def use_lingering_tasks(marathon: SimulatedMarathon) -> None:
    """Give a cluster without apps tasks of this kind."""

    def exchange(service: Service) -> None:
        assert service.tasks.count == 0
        service.tasks = LingeringTasks()

    marathon.call(exchange)
