"""The two paths of metrics: made beside the server's thread, once for all who ask at a time.

a request --> (its turn, for collectors of Mesos) --> a text not older than a moment --> an answer
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from aiohttp import web

from fastlb.admin.answers import HEADERS, json_answer, text_answer
from fastlb.admin.kept import Kept
from fastlb.metrics.exposition import TEXT_TYPE

if TYPE_CHECKING:
    from aiohttp.web import Request, Response

    from fastlb.metrics.exposition import Metrics
    from fastlb.rate_limit import Turns

LONGEST_WAIT_S = 5.0
"""As in libprocess, who asks too often waits; here not for longer than that."""
GOOD_FOR_S = 0.2
"""Making it takes 2 ms in which the loop may wait for the interpreter: 1 % of its time, however many ask."""


class MetricsEndpoints:
    """``/_fastlb/metrics`` for Prometheus, ``/metrics/snapshot`` as Mesos' own processes have it."""

    def __init__(self, metrics: Metrics, turns: Turns) -> None:
        self._text = Kept(lambda: asyncio.to_thread(metrics.text), GOOD_FOR_S)
        self._flat = Kept(lambda: asyncio.to_thread(metrics.flat), GOOD_FOR_S)
        self._turns = turns

    def routes(self) -> list[web.RouteDef]:
        """Return both paths with what answers them."""
        return [web.get("/_fastlb/metrics", self._metrics), web.get("/metrics/snapshot", self._snapshot)]

    async def _metrics(self, _request: Request) -> Response:
        return web.Response(body=await self._text.get(), headers={**HEADERS, "Content-Type": TEXT_TYPE})

    async def _snapshot(self, _request: Request) -> Response:
        wait_s = self._turns.take(time.monotonic(), LONGEST_WAIT_S)
        if wait_s is None:
            return text_answer("too many requests for the limit of this path (--snapshot-rate-limit)\n", status=429)
        await asyncio.sleep(wait_s)
        return json_answer((await self._flat.get()).decode())
