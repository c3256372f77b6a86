"""What each path says: marathon-lb's (COMPAT.md 8) and fastlb's own.

It must not know who may ask. Data flows: a request -> the board, a question to the loop, or HAProxy's master -> an
answer. What reads a file or a socket of HAProxy does so on another thread.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from fastlb.admin.answers import json_answer, long_answer, text_answer
from fastlb.admin.explaining import Explaining
from fastlb.admin.kept import Kept
from fastlb.admin.origins import came_through
from fastlb.admin.processes import haproxy_pids
from fastlb.explain import all_problems
from fastlb.explain_text import as_json, as_text
from fastlb.explanation import Unknown
from fastlb.files import read_text
from fastlb.inbox import Signalled
from fastlb.masking import masked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.web import Request, Response, StreamResponse

    from fastlb.admin.loop import Loop
    from fastlb.board import Board
    from fastlb.explanation import Explanation
    from fastlb.questions import Known
    from fastlb.settings import Paths

LISTED_FOR_S = 1.0
"""All problems are collected once for all who ask within so long: in a bad hour that takes a tenth of a second."""
IN_FORCE_FOR_S = 0.0
"""Joining what HAProxy has takes a tenth of a second in a large cluster that changes: kept for 20 times that."""
MOST_READERS = 8
"""Who reads a long answer slowly keeps one of the connections that HAProxy has to fastlb, of which there are 32."""
MASKED_AT_ONCE = 128 * 1024  # characters; the loop waits for the interpreter as long as that takes
SIGNALS = {"hup": signal.SIGHUP, "usr1": signal.SIGUSR1}


@dataclass(frozen=True, slots=True)
class Limits:
    """When the loop counts as hung, and what was agreed with Marathon as old; seconds."""

    hung_after_s: float
    synced_within_s: float


class Endpoints:
    """All endpoints."""

    def __init__(self, paths: Paths, limits: Limits, board: Board, loop: Loop) -> None:
        self._paths = paths
        self._limits = limits
        self._board = board
        self._loop = loop
        self._masked: tuple[str, bytes] = ("", b"")
        self._explaining = Explaining(paths, loop)
        self._in_force = Kept(self._read_in_force, IN_FORCE_FOR_S)
        self._readers = 0
        self._listed = Kept(lambda: loop.ask(lambda known: all_problems(known.decider)), LISTED_FOR_S)

    def routes(self) -> list[web.RouteDef]:
        """Return every path with what answers it."""
        return [
            web.get("/_haproxy_getconfig", self._config),
            web.get("/_haproxy_getvhostmap", self._vhost_map),
            web.get("/_haproxy_getappmap", self._app_map),
            web.get("/_haproxy_getpids", self._haproxy_pids),
            web.get("/_mlb_signal/{name}", self._signal),
            web.post("/_mlb_signal/{name}", self._signal),
            web.get("/_fastlb/explain", self._explain),
            web.get("/_fastlb/problems", self._problems),
            web.get("/_fastlb/live", self._live),
            web.get("/_fastlb/ready", self._ready),
            web.get("/_fastlb/synced", self._synced),
        ]

    async def _config(self, request: Request) -> StreamResponse:
        config, _, _ = await self._in_force.get()
        if came_through(request, self._paths.local_socket):
            return await self._long(request, config.encode(errors="surrogateescape"))
        if self._masked[0] is not config:
            self._masked = config, await asyncio.to_thread(_masked, config)
        return await self._long(request, self._masked[1])

    async def _vhost_map(self, request: Request) -> StreamResponse:
        return await self._long(request, (await self._in_force.get())[1].encode(errors="surrogateescape"))

    async def _app_map(self, request: Request) -> StreamResponse:
        return await self._long(request, (await self._in_force.get())[2].encode(errors="surrogateescape"))

    async def _long(self, request: Request, body: bytes) -> StreamResponse:
        if self._readers >= MOST_READERS:
            return text_answer("too many are reading the like already; ask again in a moment\n", status=503)
        self._readers += 1
        try:
            return await long_answer(request, body)
        finally:
            self._readers -= 1

    async def _read_in_force(self) -> tuple[str, str, str]:
        """Return configuration and maps as HAProxy has them, live changes included; if that is not known, the files."""
        texts = await self._loop.ask(_texts_in_force)
        if texts is not None:
            return texts
        return await asyncio.to_thread(_texts_on_disk, self._paths)

    async def _haproxy_pids(self, _request: Request) -> Response:
        return text_answer(" ".join(map(str, await asyncio.to_thread(haproxy_pids, self._paths))))

    async def _signal(self, request: Request) -> Response:
        number = SIGNALS.get(request.match_info["name"])
        if number is None:
            raise web.HTTPNotFound
        self._loop.inbox.put(Signalled(number))
        return text_answer(f"Sent {number.name} signal to marathon-lb")

    async def _explain(self, request: Request) -> Response:
        found = await self._explaining.of(request.query.get("app", ""))
        if found is None:
            return text_answer("which app? /_fastlb/explain?app=/its/id\n", status=400)
        return _found(request, found, status=404 if isinstance(found, Unknown) else 200)

    async def _problems(self, request: Request) -> Response:
        return _found(request, await self._listed.get())

    async def _live(self, _request: Request) -> Response:
        busy_since_s = self._board.busy_since_s
        busy_s = 0.0 if busy_since_s is None else time.monotonic() - busy_since_s
        hung = 0 < self._limits.hung_after_s < busy_s
        return _health("live", [f"the loop has been busy for {busy_s:.0f} s"] if hung else [])

    async def _ready(self, _request: Request) -> Response:
        return _health("ready", self._why_not_ready())

    async def _synced(self, _request: Request) -> Response:
        why_not = self._why_not_ready()
        agreed_s = self._board.agreed_s
        age_s = None if agreed_s is None else time.monotonic() - agreed_s
        if age_s is not None and age_s > self._limits.synced_within_s:
            failure = self._board.fetch_failure
            said = f"; Marathon cannot be read: {failure}" if failure else ""
            why_not.append(f"HAProxy last agreed with Marathon {age_s:.0f} s ago{said}")
        if self._board.kept_apps:
            why_not.append(
                f"{self._board.kept_apps} app(s), or tasks of them, that Marathon names no more are kept for now: "
                "they are too many at once (--shrink-grace; SIGHUP gives them up)"
            )
        return _health("synced", why_not, seconds_since_agreement=None if age_s is None else round(age_s, 3))

    def _why_not_ready(self) -> list[str]:
        board, why_not = self._board, []
        if board.haproxy_gone:
            why_not.append(f"HAProxy is gone: {board.haproxy_gone}")
        if board.agreed_s is None:
            said = f"Marathon cannot be read: {board.fetch_failure}" if board.fetch_failure else ""
            why_not.append(said or "HAProxy has not been given yet what Marathon says")
        return why_not


def _masked(config: str) -> bytes:
    """Return it without passwords, made of pieces of whole lines, between which other threads have their turn."""
    pieces, start = [], 0
    while start < len(config):
        end = config.find("\n", start + MASKED_AT_ONCE) + 1 or len(config)
        pieces.append(masked(config[start:end]).encode(errors="surrogateescape"))
        start = end
    return b"".join(pieces)


def _texts_in_force(known: Known) -> tuple[str, str, str] | None:
    document = known.running.document
    return None if document is None else document.rendering().texts


def _texts_on_disk(paths: Paths) -> tuple[str, str, str]:
    return read_text(paths.config) or "", read_text(paths.domain_map) or "", read_text(paths.app_map) or ""


def _found(request: Request, found: Explanation | Unknown | Sequence[str], *, status: int = 200) -> Response:
    if "application/json" in request.headers.get("Accept", ""):
        return json_answer(as_json(found), status=status)
    return text_answer(as_text(found), status=status)


def _health(name: str, why_not: list[str], **more: float | None) -> Response:
    body = json.dumps({name: not why_not, "why_not": why_not, **more}) + "\n"
    return json_answer(body, status=503 if why_not else 200)
