"""A light load on the app that no step changes: not one of its requests may fail.

One thread, about `RATE_PER_S` requests a second, in turn on two kept connections and on a new one. A kept connection
that has been silent for too long is opened anew, as HAProxy ends silent ones after a second (`timeout
http-keep-alive`) and no client may rely on it; nothing else is ever tried twice.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import cycle
from typing import TYPE_CHECKING, Self

from fastlb.demo.front import Answer, ask, connect, exchange, failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from fastlb.demo.board import Board
    from fastlb.demo.front import Request

RATE_PER_S = 20.0
KEPT_CONNECTIONS = 2
LONGEST_SILENCE_S = 0.7
JOIN_TIMEOUT_S = 15.0


class Load:
    """A context manager: inside it ``request`` is sent over and over, and the board learns of every answer."""

    def __init__(self, request: Request, board: Board) -> None:
        self._board = board
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(request,), name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(JOIN_TIMEOUT_S)

    def _run(self, request: Request) -> None:
        kept = [KeptConnection(request) for _ in range(KEPT_CONNECTIONS)]
        ways: list[Callable[[], Answer]] = [*(connection.ask for connection in kept), partial(ask, request)]
        for way in cycle(ways):
            if self._stop.wait(1.0 / RATE_PER_S):
                break
            answer = way()
            self._board.loaded(failed="" if answer.status == 200 else str(answer))
        for connection in kept:
            connection.close()


class KeptConnection:
    """A connection that is used again and again, as long as HAProxy keeps it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._connection: HTTPConnection | None = None
        self._used_at_s = 0.0

    def ask(self) -> Answer:
        """Send the request on it."""
        if time.monotonic() - self._used_at_s > LONGEST_SILENCE_S:
            self.close()
        try:
            if self._connection is None or self._connection.sock is None:
                self._connection = connect(self._request)
            answer = exchange(self._connection, self._request, dict(self._request.headers))
        except (OSError, HTTPException) as error:
            self.close()
            return failure(error)
        self._used_at_s = time.monotonic()
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
