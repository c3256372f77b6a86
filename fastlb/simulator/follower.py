"""A second Marathon that is not the leader: proxies everything to the one that is (MARATHON.md 1.8).

Knows the leader's address and nothing of the cluster. Since 1.7 it sends clients of /v2/events to the leader
with 302.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web

from fastlb.simulator.faults import Fault
from fastlb.simulator.stream import CONTENT_TYPE, CloseDelimited

if TYPE_CHECKING:
    from fastlb.simulator.dialects import Dialect
    from fastlb.simulator.faults import Faults

CONNECT_TIMEOUT_S = 5.0
EVENTS_PATH = "/v2/events"
VIA = "X-Marathon-Via"
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "upgrade", "proxy-connection"}
)


class Follower:
    """The follower's HTTP address; does nothing until `open`."""

    def __init__(self, dialect: Dialect, faults: Faults, read_timeout_s: float) -> None:
        self._dialect = dialect
        self._faults = faults
        self._timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S, sock_read=read_timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self._leader = ""
        self.address = ""

    async def open(self, host: str, leader: str) -> None:
        """Listen at any free port of ``host``; ``leader`` is the leader's host:port."""
        self._leader = leader
        self._session = aiohttp.ClientSession(timeout=self._timeout, auto_decompress=False)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, 0).start()
        self.address = "{}:{}".format(*self._runner.addresses[0][:2])

    async def close(self) -> None:
        """End every connection, to clients and to the leader."""
        if self._session is not None:
            await self._session.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if VIA in request.headers:
            return web.Response(status=502, text="Detected proxying loop.")
        if self._faults.strike(Fault.NO_LEADER, request.path) is not None:
            text = "Could not determine the current leader"
            return web.Response(status=self._dialect.no_leader_status, text=text)
        if request.path == EVENTS_PATH and self._dialect.redirects_events:
            return web.Response(status=302, headers={"Location": f"http://{self._leader}{request.raw_path}"})
        try:
            return await self._proxy(request)
        except TimeoutError:
            return web.Response(status=self._dialect.slow_leader_status, text="The leader did not answer in time")
        except aiohttp.ClientError:
            return web.Response(status=self._dialect.refused_status, text="The leader could not be reached")

    async def _proxy(self, request: web.Request) -> web.StreamResponse:
        if self._session is None:
            raise aiohttp.ClientConnectionError("the follower is closed")
        body = await request.read()
        url = f"http://{self._leader}{request.raw_path}"
        headers = self._forwarded_headers(request)
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            kept[VIA] = f"1.1 {self.address}"
            if answer.content_type == CONTENT_TYPE:
                return await self._relay_stream(request, answer, kept)
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    def _forwarded_headers(self, request: web.Request) -> dict[str, str]:
        kept = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        kept.setdefault("Accept-Encoding", "identity")  # else the client library would ask for its own
        return kept | {VIA: f"1.1 {self.address}", "X-Forwarded-For": request.remote or ""}

    async def _relay_stream(
        self, request: web.Request, answer: aiohttp.ClientResponse, headers: dict[str, str]
    ) -> web.StreamResponse:
        """Pass an event stream on; it breaks when the leader is silent for longer than the read timeout."""
        response = CloseDelimited(status=answer.status, headers=headers)
        response.force_close()
        await response.prepare(request)
        try:
            async for piece in answer.content.iter_any():
                await response.write(piece)
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.close()
        return response
