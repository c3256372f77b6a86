"""How every answer is dressed: headers, gzip, chunks, error bodies, and the faults of plain answers.

One aiohttp middleware around all handlers (MARATHON.md 1.3, 1.6 to 1.8, 6.3). Handlers return a bare response
with a whole body, or raise Refusal; a response that is already on its way (an event stream) passes untouched.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from fastlb.simulator.faults import WRONG_JSONS, Fault
from fastlb.simulator.refusals import Refusal, WrongType

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler

    from fastlb.simulator.dialects import Dialect
    from fastlb.simulator.faults import Faults

ADMIN_PREFIX = "/_sim/"
OUTPUT_BUFFER_BYTES = 32 * 1024
"""Longer bodies go out chunked (MARATHON.md 1.7)."""
MIN_GZIP_BYTES = 16
GZIP_LEVEL = 1
UNAUTHORIZED_PAGE = b"<html><head><title>Error 401</title></head><body><h2>HTTP ERROR: 401</h2></body></html>"
PORTAL_PAGE = b"<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>"


def json_answer(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """An answer with ``body`` as JSON; bytes are taken as JSON already."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")


def leader_headers(dialect: Dialect, leader: str) -> dict[str, str]:
    """What every answer of the leader carries (MARATHON.md 1.6, 1.8)."""
    headers = {
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
        "Expires": "0",
        "X-Marathon-Leader": leader,
    }
    if dialect.redirects_events:
        headers |= {"X-Frame-Options": "DENY", "X-XSS-Protection": "1; mode=block"}
    return headers


class Manners:
    """The middleware of the leader's address."""

    def __init__(self, dialect: Dialect, faults: Faults, authorization: str | None) -> None:
        """``authorization`` is the exact header that is demanded, None for an open Marathon."""
        self._dialect = dialect
        self._faults = faults
        self._authorization = authorization
        self.leader = ""

    def headers(self) -> dict[str, str]:
        """The headers of the moment, for a response that is not dressed here."""
        return leader_headers(self._dialect, self.leader)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Everything that happens around a handler."""
        if request.path.startswith(ADMIN_PREFIX):
            return await self._reply(request, handler)
        if (delay_s := self._faults.strike(Fault.SLOW, request.path)) is not None:
            await asyncio.sleep(delay_s)
        response = self._spoiled(request) or await self._reply(request, handler)
        if response.prepared or not isinstance(response, web.Response):
            return response
        response.headers.update(self.headers())
        await _pack(request, response)
        if self._faults.strike(Fault.TRUNCATED, request.path) is not None:
            return await _cut_short(request, response)
        return response

    def _spoiled(self, request: web.Request) -> web.Response | None:
        faults, path = self._faults, request.path
        demanded = self._authorization
        forbidden = demanded is not None and request.headers.get("Authorization") != demanded
        if forbidden or faults.strike(Fault.UNAUTHORIZED, path) is not None:
            challenge = {"WWW-Authenticate": 'Basic realm="Mesosphere"'}
            return web.Response(status=401, body=UNAUTHORIZED_PAGE, content_type="text/html", headers=challenge)
        if (status := faults.strike(Fault.ERROR, path)) is not None:
            return json_answer({"message": "Simulated failure"}, int(status))
        if faults.strike(Fault.HTML, path) is not None:
            return web.Response(body=PORTAL_PAGE, content_type="text/html")
        if (which := faults.strike(Fault.WRONG_JSON, path)) is not None:
            return json_answer(WRONG_JSONS[int(which)])
        return None

    async def _reply(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            return json_answer(refusal.body, refusal.status)
        except WrongType as wrong:
            body = {"message": "Invalid JSON", "details": wrong.details}
            return json_answer(body, self._dialect.wrong_type_status)
        except orjson.JSONDecodeError as error:
            return json_answer({"message": "Invalid JSON", "details": str(error)}, 400)
        except web.HTTPNotFound:
            message = {"message": f"URI not found: {request.path}"}
            return json_answer(message, self._dialect.unknown_route_status)
        except web.HTTPMethodNotAllowed as error:
            return json_answer({"message": "HTTP 405 Method Not Allowed"}, 405, {"Allow": error.headers["Allow"]})


async def _pack(request: web.Request, response: web.Response) -> None:
    """Compress and chunk as Jetty does: gzip on GET when accepted, chunks above the output buffer."""
    body = response.body
    if not isinstance(body, bytes):
        return
    accepted = "gzip" in request.headers.get("Accept-Encoding", "")
    if request.method == "GET" and accepted and len(body) >= MIN_GZIP_BYTES and response.status == 200:
        response.body = body = await asyncio.to_thread(_gzip, body)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    if len(body) > OUTPUT_BUFFER_BYTES:
        response.enable_chunked_encoding()


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


async def _cut_short(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Announce the whole body, send half of it, and close."""
    body = response.body if isinstance(response.body, bytes) else b""
    headers = {name: value for name, value in response.headers.items() if name != "Transfer-Encoding"}
    half = web.StreamResponse(status=response.status, headers=headers | {"Content-Length": str(len(body))})
    half.force_close()
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return half
