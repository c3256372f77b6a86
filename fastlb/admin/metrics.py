"""The two paths of metrics: made on another thread than the server's, and at most so often for collectors of Mesos."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from aiohttp import web

from fastlb.admin.answers import HEADERS, json_answer, text_answer
from fastlb.metrics.exposition import TEXT_TYPE

if TYPE_CHECKING:
    from aiohttp.web import Request, Response

    from fastlb.metrics.exposition import Metrics
    from fastlb.rate_limit import Turns

LONGEST_WAIT_S = 5.0
"""As in libprocess, who asks too often waits; here not for longer than that."""


class MetricsEndpoints:
    """``/_fastlb/metrics`` for Prometheus, ``/metrics/snapshot`` as Mesos' own processes have it."""

    def __init__(self, metrics: Metrics, turns: Turns) -> None:
        self._metrics = metrics
        self._turns = turns

    def routes(self) -> list[web.RouteDef]:
        """Return both paths with what answers them."""
        return [web.get("/_fastlb/metrics", self._text), web.get("/metrics/snapshot", self._snapshot)]

    async def _text(self, _request: Request) -> Response:
        body = await asyncio.to_thread(self._metrics.text)
        return web.Response(body=body, headers={**HEADERS, "Content-Type": TEXT_TYPE})

    async def _snapshot(self, _request: Request) -> Response:
        wait_s = self._turns.take(time.monotonic(), LONGEST_WAIT_S)
        if wait_s is None:
            return text_answer("too many requests for the limit of this path (--snapshot-rate-limit)\n", status=429)
        await asyncio.sleep(wait_s)
        return json_answer((await asyncio.to_thread(self._metrics.flat)).decode())
