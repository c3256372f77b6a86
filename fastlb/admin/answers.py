"""Answers of the admin server: plain text, JSON, and texts that are sent no faster than they are read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from aiohttp.web import Request, Response, StreamResponse

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
PIECE_BYTES = 64 * 1024
PAUSE_S = 0.02
"""After each piece, so that one who reads gets 3 MB a second, and sending leaves the loop its time."""


def text_answer(text: str, *, status: int = 200) -> Response:
    """Return a plain text; its type has no character set, as in marathon-lb's answers (COMPAT.md 8)."""
    body = text.encode(errors="backslashreplace")
    return web.Response(body=body, status=status, content_type="text/plain", headers=HEADERS)


def json_answer(text: str, *, status: int = 200) -> Response:
    """Return a text that is JSON."""
    return web.Response(body=text.encode(), status=status, content_type="application/json", headers=HEADERS)


async def long_answer(request: Request, body: bytes) -> StreamResponse:
    """Send a long plain text piece by piece, so that a slow reader costs one piece of memory."""
    answer = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/plain", "Content-Length": str(len(body))})
    await answer.prepare(request)
    view = memoryview(body)
    for start in range(0, len(view) if request.method != "HEAD" else 0, PIECE_BYTES):
        await answer.write(view[start : start + PIECE_BYTES])
        if start + PIECE_BYTES < len(view):
            await asyncio.sleep(PAUSE_S)
    await answer.write_eof()
    return answer
