"""The running simulator inside one event loop: cluster, clock, task servers, streams and HTTP, wired.

Everything lives in that loop; `server` gives other threads a way in. Data flow: HTTP -> api or mutations ->
cluster -> agenda -> (this) audience -> streams and task servers.
"""

from __future__ import annotations

import asyncio
import random
import socket
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiohttp import web

from fastlb.simulator.addresses import Addresses
from fastlb.simulator.admin import AdminApi
from fastlb.simulator.agenda import Agenda
from fastlb.simulator.api import ReadApi
from fastlb.simulator.cluster import Cluster
from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.faults import Faults
from fastlb.simulator.follower import Follower
from fastlb.simulator.manners import Manners, json_answer
from fastlb.simulator.mutations import ChangeApi
from fastlb.simulator.stream import EventStreams
from fastlb.simulator.tasks import Behaviour, TaskServers
from fastlb.simulator.world import World

if TYPE_CHECKING:
    from fastlb.simulator.agenda import Condition, Process
    from fastlb.simulator.settings import SimulatorSettings
    from fastlb.simulator.state import Task
    from fastlb.simulator.world import Event

MAX_BODY_BYTES = 256 * 1024 * 1024
IDLE_TIMEOUT_S = 30.0
"""A kept-alive connection unused for this long is closed (MARATHON.md 1.7)."""
ACCEPTED_WITHIN_S = 0.01
"""A connection accepted before the end is known to aiohttp, which ends it with all others, so much later."""
NETWORKS = range(10, 250)
CLAIM_PORT = 30999


class Service:
    """One simulated Marathon; made, used and closed in one event loop."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._wakeup: asyncio.Handle | None = None
        self._held = socket.socket()
        self._claim, network = _claim_network()
        dialect = DIALECTS[settings.version_shape]
        self.faults = Faults()
        self.tasks = TaskServers()
        self.manners = Manners(dialect, self.faults, settings.authorization)
        world = World(
            dialect=dialect,
            delays=settings.delays,
            agenda=Agenda(self._loop.time, self._wake),
            addresses=Addresses(network, settings.real_servers, settings.agents),
            random=random.Random(settings.seed),
            audience=self,
            wall_clock=lambda: datetime.now(UTC),
        )
        self.cluster = Cluster(world)
        self.streams = EventStreams(
            dialect, self.faults, self.manners, world.timestamp, settings.heartbeat_s, settings.attach_delay_s
        )
        self.follower = Follower(dialect, self.faults, settings.leader_read_timeout_s)
        self._runner: web.AppRunner | None = None
        self.address = ""

    async def open(self) -> None:
        """Begin to listen; ``address`` is host:port from then on."""
        app = web.Application(middlewares=[self.manners.middleware], client_max_size=MAX_BODY_BYTES)
        app.add_routes(ReadApi(self.cluster, self.faults, lambda: self.address).routes())
        app.add_routes(ChangeApi(self.cluster, self.until).routes())
        app.add_routes([web.get("/v2/events", self.streams.handle), web.delete("/v2/leader", self._abdicate)])
        app.add_routes(AdminApi(self).routes())
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0, keepalive_timeout=IDLE_TIMEOUT_S
        )
        await self._runner.setup()
        self._site: web.BaseSite = web.TCPSite(self._runner, self._settings.host, self._settings.port)
        await self._site.start()
        host, port = self._runner.addresses[0][:2]
        self.address = f"{host}:{port}"
        self.manners.leader = f"http://{self.address}"
        if self._settings.follower:
            await self.follower.open(self._settings.host, self.address)

    async def close(self) -> None:
        """End every stream, connection, listener and timer."""
        if self._wakeup is not None:
            self._wakeup.cancel()
        self.streams.cut()
        await self.follower.close()
        if self._runner is not None:
            for site in list(self._runner.sites):
                await site.stop()
            await asyncio.sleep(ACCEPTED_WITHIN_S)
            await self._runner.cleanup()
        await self.tasks.close()
        self._held.close()
        self._claim.close()

    async def go_down(self) -> None:
        """Refuse connections at the address, which stays ours, and end those that are there."""
        assert self._runner is not None
        assert self._runner.server is not None
        host, port = self.address.split(":")
        await self._site.stop()
        self._held.close()
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind((host, int(port)))
        self.streams.cut()
        await self._runner.server.shutdown(timeout=0.1)

    async def come_up(self) -> None:
        """Listen there again."""
        assert self._runner is not None
        self._site = web.SockSite(self._runner, self._held)
        await self._site.start()

    async def until(self, condition: Condition) -> None:
        """Wait until ``condition`` over the cluster holds."""
        met = self._loop.create_future()

        def process() -> Process:
            yield condition
            if not met.done():
                met.set_result(None)

        self.cluster.world.agenda.spawn(process())
        await met

    def change_leader(self) -> None:
        """Another leader: every stream ends, results of Marathon's own health checks are forgotten."""
        self.streams.cut()
        self.cluster.change_leader()

    def set_healthy(self, task_id: str, *, healthy: bool) -> None:
        """The task's health path and Marathon's health results both say ``healthy``."""
        task = self.cluster.task(task_id)
        self.tasks.behave(task_id, Behaviour.NORMAL if healthy else Behaviour.UNHEALTHY)
        self.cluster.instances.set_health(task, alive=healthy)

    def published(self, event: Event) -> None:
        """Audience: an event for the streams."""
        self.streams.publish(event)

    def task_started(self, task: Task) -> None:
        """Audience: a task begins to listen."""
        self.tasks.start(task)

    def task_ended(self, task: Task) -> None:
        """Audience: a task is gone."""
        self.tasks.end(task)

    async def _abdicate(self, _request: web.Request) -> web.Response:
        """DELETE /v2/leader."""
        self.change_leader()
        return json_answer({"message": "Leadership abdicated"})

    def _wake(self) -> None:
        if self._wakeup is not None:
            self._wakeup.cancel()
        self._wakeup = self._loop.call_soon(self._advance)

    def _advance(self) -> None:
        self._wakeup = None
        wait_s = self.cluster.world.agenda.advance()
        if self._wakeup is None and wait_s is not None:
            self._wakeup = self._loop.call_later(wait_s, self._advance)


def _claim_network() -> tuple[socket.socket, int]:
    """A 127.N.0.0/16 that no other simulator of this machine uses, and the socket that keeps it claimed."""
    for network in NETWORKS:
        try:
            return socket.create_server((f"127.{network}.255.254", CLAIM_PORT)), network
        except OSError:
            continue
    raise RuntimeError(f"every network of 127.{NETWORKS.start}-{NETWORKS.stop - 1}.0.0/16 is in use by a simulator")
