"""The server: two Unix sockets, one thread with an event loop of its own, and what holds for every request.

It must not know what an endpoint says. Data flows: a request -> is its client allowed -> its endpoint, for a limited
time -> an answer, whatever happens. A socket belongs to the user that fastlb runs as.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from typing import TYPE_CHECKING

from aiohttp import web

from fastlb.admin.answers import text_answer
from fastlb.admin.loop import LoopBusyError
from fastlb.admin.origins import came_through, client_of, token_of
from fastlb.errors import FastlbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from aiohttp.typedefs import Handler

    from fastlb.access import Access

log = logging.getLogger(__name__)

START_WITHIN_S = 10.0
STOP_WITHIN_S = 5.0
REQUEST_WITHIN_S = 60.0
IDLE_S = 15.0
MOST_BYTES_TAKEN = 1024
SOCKET_MODE = 0o600
BACKLOG = 128


class AdminServer:
    """Serves the routes until it is stopped. ``front`` is HAProxy's socket, ``local`` the operator's.

    ``front_uid`` is the user that HAProxy runs as, None for our own: a socket is for its owner alone.
    """

    def __init__(
        self,
        front: Path,
        local: Path,
        access: Access,
        routes: Iterable[web.RouteDef],
        *,
        front_uid: int | None = None,
    ) -> None:
        self._front = front
        self._front_uid = front_uid
        self._local = local
        self._access = access
        self._routes = tuple(routes)
        self._thread = threading.Thread(target=self._run, name="admin-server", daemon=True)
        self._started = threading.Event()
        self._stop: Callable[[], object] | None = None

    def start(self) -> None:
        """Begin to listen; a failure is logged, since nothing depends on this server but what people see."""
        self._thread.start()
        if not self._started.wait(START_WITHIN_S):
            log.error("the admin endpoints are not available yet: no socket after %g s", START_WITHIN_S)

    def stop(self) -> None:
        """End it and remove its sockets."""
        if self._stop is not None:
            self._stop()
        self._thread.join(STOP_WITHIN_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            log.error("the admin endpoints are not available: %s", error)
            log.debug("the admin server ended", exc_info=True)
        finally:
            self._stop = None
            self._started.set()

    async def _serve(self) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(middlewares=[self._answer], client_max_size=MOST_BYTES_TAKEN)
        app.add_routes(self._routes)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=IDLE_S, handler_cancellation=True)
        await runner.setup()
        ours: dict[Path, int] = {}
        try:
            for path in (self._front, self._local):
                listener = _listening(path)
                if path == self._front and self._front_uid is not None:
                    os.chown(path, self._front_uid, -1)
                await web.SockSite(runner, listener, backlog=BACKLOG).start()
                ours[path] = path.stat().st_ino
            self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
            self._started.set()
            await stopped.wait()
        finally:
            self._stop = None
            await runner.cleanup()
            for path, inode in ours.items():
                _remove(path, inode)

    @web.middleware
    async def _answer(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not came_through(request, self._local):
            refusal = self._access.refusal(request.path, client_of(request), token_of(request))
            if refusal:
                return text_answer(f"{refusal}\n", status=403)
        try:
            async with asyncio.timeout(REQUEST_WITHIN_S):
                return await handler(request)
        except LoopBusyError as error:
            return text_answer(f"{error}; ask again in a moment\n", status=503)
        except FastlbError as error:
            return text_answer(f"{error}\n", status=503)
        except web.HTTPException as error:
            return text_answer(f"{error.reason}\n", status=error.status)
        except TimeoutError:
            return text_answer(f"no answer within {REQUEST_WITHIN_S:g} s\n", status=503)
        except Exception:
            log.exception("the admin endpoint %.200r failed; please report this", request.path)
            return text_answer("fastlb failed on this request; its log says more\n", status=500)


def _listening(path: Path) -> socket.socket:
    """Return a socket at ``path`` for its owner alone, in the place of what an ended process left there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        # Before it is bound, so that there is no moment in which others may connect.
        os.fchmod(listener.fileno(), SOCKET_MODE)
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    return listener


def _remove(path: Path, inode: int) -> None:
    """Remove a socket, unless the one there is that of a controller that was started meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_ino == inode:
            path.unlink()
