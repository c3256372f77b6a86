"""/v2/events: one published event to the bytes of every open stream (MARATHON.md 5).

Knows nothing of what events mean. Data flow: `publish` makes the frame once and puts it in the queue of each
reader that asked for its type; each reader's coroutine writes its queue, and a heartbeat between.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from fastlb.simulator.faults import Fault
from fastlb.simulator.world import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.simulator.dialects import Dialect
    from fastlb.simulator.faults import Faults
    from fastlb.simulator.manners import Manners

log = logging.getLogger(__name__)

CONTENT_TYPE = "text/event-stream"
STALL_POLL_S = 0.02
GARBAGE = b'event: status_update_event\r\ndata: {"eventType": "status_upd\r\n\r\n\x00\xff\xfe: ]]>\r\n\r\n'


class CloseDelimited(web.StreamResponse):
    """A response whose body ends with the connection: no Content-Length, no chunks."""

    _length_check = False


@dataclass(slots=True, eq=False)
class _Reader:
    address: str
    wanted: frozenset[str]
    """Event types asked for; empty: all."""
    light: bool
    transport: asyncio.BaseTransport | None
    frames: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)

    def cut(self) -> None:
        """End the connection at once, whatever is still queued."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class EventStreams:
    """Every open event stream of one address."""

    def __init__(
        self,
        dialect: Dialect,
        faults: Faults,
        manners: Manners,
        timestamp: Callable[[], str],
        heartbeat_s: float,
        attach_delay_s: float,
    ) -> None:
        """``attach_delay_s`` lies between the headers and `event_stream_attached` (MARATHON.md 5.3)."""
        self._dialect = dialect
        self._faults = faults
        self._manners = manners
        self._timestamp = timestamp
        self._heartbeat_s = heartbeat_s
        self._attach_delay_s = attach_delay_s
        self._readers: list[_Reader] = []

    @property
    def count(self) -> int:
        """How many streams are attached."""
        return len(self._readers)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET /v2/events: 405 unless just an event stream is accepted; frames until somebody hangs up."""
        if request.headers.get("Accept") != CONTENT_TYPE:
            return web.Response(status=405)
        response = CloseDelimited(headers=self._manners.headers())
        response.headers["Content-Type"] = f"{CONTENT_TYPE};charset=utf-8"
        response.force_close()
        await response.prepare(request)
        await asyncio.sleep(self._attach_delay_s)
        reader = self._reader(request)
        self._readers.append(reader)
        self._announce("event_stream_attached", reader)
        try:
            await self._serve(reader, response)
        except ConnectionError:
            log.debug("event stream of %s has gone", reader.address)
        finally:
            self._readers.remove(reader)
            self._announce("event_stream_detached", reader)
        return response

    def publish(self, event: Event) -> None:
        """Queue ``event`` for every stream that asked for its type."""
        if self._faults.strike(Fault.LOST_EVENTS) is not None:
            return
        copies = 2 if self._faults.strike(Fault.DUPLICATE_EVENTS) is not None else 1
        frames: dict[bool, bytes] = {}
        for reader in list(self._readers):
            if reader.wanted and event.kind not in reader.wanted:
                continue
            if reader.light not in frames:
                frames[reader.light] = _frame(event, light=reader.light)
            for _ in range(copies):
                self._queue(reader, frames[reader.light])

    def cut(self) -> None:
        """End every stream, as a leader that steps down does."""
        for reader in list(self._readers):
            reader.cut()

    def send(self, data: bytes = GARBAGE) -> None:
        """Send these bytes to every stream, whatever they are and however slow it is."""
        for reader in self._readers:
            reader.frames.put_nowait(data)

    def _reader(self, request: web.Request) -> _Reader:
        wanted = frozenset(request.query.getall("event_type", []))
        asked_light = self._dialect.plan_format and request.query.get("plan-format") == "light"
        light = asked_light or not self._dialect.heavy_by_default
        return _Reader(request.remote or "", wanted, light, request.transport)

    def _announce(self, kind: str, reader: _Reader) -> None:
        body = {"remoteAddress": reader.address, "eventType": kind, "timestamp": self._timestamp()}
        self.publish(Event(kind, body))

    def _queue(self, reader: _Reader, frame: bytes) -> None:
        """A slow reader loses the event, or in 1.8+ the stream (MARATHON.md 5.3)."""
        if reader.frames.qsize() < self._dialect.max_outstanding:
            reader.frames.put_nowait(frame)
        elif self._dialect.cuts_slow_readers:
            log.info("event stream of %s is too slow; closing it", reader.address)
            reader.cut()

    async def _serve(self, reader: _Reader, response: web.StreamResponse) -> None:
        loop = asyncio.get_running_loop()
        next_beat = loop.time() + self._heartbeat_s
        while True:
            try:
                async with asyncio.timeout_at(next_beat):
                    frame = await reader.frames.get()
            except TimeoutError:
                next_beat += self._heartbeat_s
                await self._while_stalled()
                await response.write(b"\r")
                await response.write(b"\n")
            else:
                await self._while_stalled()
                await response.write(frame)

    async def _while_stalled(self) -> None:
        while self._faults.armed(Fault.STALLED_STREAM):
            await asyncio.sleep(STALL_POLL_S)


def _frame(event: Event, *, light: bool) -> bytes:
    body = event.body
    if event.heavy is not None and not light:
        body = {**body, "plan": {**body["plan"], **event.heavy()}}
    return b"event: %s\r\ndata: %s\r\n\r\n" % (event.kind.encode(), orjson.dumps(body))
