"""HTTP requests to answers, one or several at once.

It must not know what is asked for, what the answer means, or where credentials come from: secret headers
are handed in. Data flows: `Request` -> `transfer` -> `Answer`, or `MarathonUnreachable` with the reason in
words.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

import pycurl

from fastlb.errors import MarathonUnreachable
from fastlb.marathon.transfer import TICK_S, Head, Request, Tls, Transfers, prepare

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: Seconds one request may take in all, however steadily its bytes trickle in.
TOTAL_TIMEOUT_S = 300.0
#: Requests under way at once, and so connections: enough to hide the round trips, few for a Marathon that
#: serves everybody else too (`--http_max_concurrent_requests`, MARATHON.md 1.7).
MOST_AT_ONCE = 8
#: Bytes one answer may hold after decompression; 5,000 apps with 3 tasks each are about 17 MB.
MAX_BODY_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, from `url` after any redirect, in `seconds`; header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | bytearray = field(repr=False)
    seconds: float
    url: str

    def values(self, name: str) -> list[str]:
        """All values of the header `name` (lower case), in the order they came."""
        return [value for known, value in self.headers if known == name]


Outcome = Answer | MarathonUnreachable
"""What came of a request: a whole answer, whatever its status, or the reason why there is none, without the URL."""


class Http:
    """Sends requests over kept-alive connections, from one thread at a time (but for `wake`).

    `requests` and `received_bytes` (as on the wire, so compressed) count from the start, failures included.

    Args:
        tls: how https servers are checked.
        connect_timeout_s: how long connecting may take, name resolution included.
        read_timeout_s: how long no byte may arrive before the request is given up.
        max_body_bytes: how big an answer may become, decompressed.
        cancelled: asked about ten times a second while waiting; True gives the request up.

    """

    def __init__(
        self,
        tls: Tls,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        max_body_bytes: int = MAX_BODY_BYTES,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self.requests = 0
        self.received_bytes = 0
        self._tls = tls
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._max_body_bytes = max_body_bytes
        self._cancelled = cancelled
        self._transfers: Transfers[Exchange] = Transfers()
        self._waiting: deque[Exchange] = deque()
        self._over: list[tuple[Exchange, Outcome]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; nothing can be sent afterwards."""
        self._transfers.close()
        for exchange in self._waiting:
            exchange.curl.close()

    def wake(self) -> None:
        """Have a wait of `over` end at once; any thread may ask for it."""
        self._transfers.wake()

    def send(self, request: Request) -> Answer:
        """Send a request at once and wait for the whole answer, whatever its status; others go on meanwhile.

        Raises:
            MarathonUnreachable: there was no whole answer; the message is the reason, without the URL.

        """
        mine = self._exchange(request)
        self._start(mine)
        while True:
            for exchange, outcome in self._step(TICK_S):
                if exchange is not mine:
                    self._over.append((exchange, outcome))
                elif isinstance(outcome, MarathonUnreachable):
                    raise outcome
                else:
                    return outcome

    def begin(self, request: Request, *, first: bool = False) -> Exchange:
        """Have a request sent as soon as fewer than `MOST_AT_ONCE` are under way; `first`: before all that wait."""
        exchange = self._exchange(request)
        (self._waiting.appendleft if first else self._waiting.append)(exchange)
        return exchange

    def drop(self, exchange: Exchange) -> None:
        """Give a request up whose outcome was not given yet; it never will be."""
        self._over = [(other, outcome) for other, outcome in self._over if other is not exchange]
        if exchange in self._waiting:
            self._waiting.remove(exchange)
            exchange.curl.close()
        elif exchange in self._transfers:
            self._transfers.end(exchange)
            self._finish(exchange)

    def over(self, within_s: float) -> list[tuple[Exchange, Outcome]]:
        """Give the requests that are over, perhaps none; waits for one, `within_s` and a tick at the most."""
        while self._waiting and len(self._transfers) < MOST_AT_ONCE:
            self._start(self._waiting.popleft())
        over, self._over = self._over, []
        return over or self._step(within_s)

    def _exchange(self, request: Request) -> Exchange:
        return Exchange(request, self._read_timeout_s, self._max_body_bytes, self._cancelled)

    def _start(self, exchange: Exchange) -> None:
        prepare(exchange.curl, exchange.request, self._tls, self._connect_timeout_s)
        exchange.start()
        self._transfers.begin(exchange)
        self.requests += 1

    def _step(self, within_s: float) -> list[tuple[Exchange, Outcome]]:
        return [(exchange, self._outcome(exchange, failure)) for exchange, failure in self._transfers.step(within_s)]

    def _outcome(self, exchange: Exchange, failure: str) -> Outcome:
        outcome = MarathonUnreachable(failure) if failure else exchange.answer()
        self._finish(exchange)
        return outcome

    def _finish(self, exchange: Exchange) -> None:
        self.received_bytes += exchange.received_bytes
        exchange.curl.close()


class Exchange:
    """One request: what it has received so far, and the limits it has to keep."""

    def __init__(
        self, request: Request, read_timeout_s: float, max_body_bytes: int, cancelled: Callable[[], bool]
    ) -> None:
        self.curl = pycurl.Curl()
        self.request = request
        self.received_bytes = 0
        self._head = Head()
        self._body = bytearray()
        self._read_timeout_s = read_timeout_s
        self._max_body_bytes = max_body_bytes
        self._cancelled = cancelled
        self._last_byte_s = 0.0
        self.curl.setopt(pycurl.ACCEPT_ENCODING, "gzip")
        self.curl.setopt(pycurl.TIMEOUT_MS, int(TOTAL_TIMEOUT_S * 1000))
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        self.curl.setopt(pycurl.XFERINFOFUNCTION, self._take_progress)
        self.curl.setopt(pycurl.NOPROGRESS, False)

    @property
    def silent(self) -> bool:
        """Whether nothing of an answer has come yet."""
        return not self._head.status

    def start(self) -> None:
        """Begin to count the time."""
        self._last_byte_s = time.monotonic()

    def answer(self) -> Answer:
        """Give what came, whole; nothing comes any more."""
        return Answer(
            status=self._head.status,
            headers=tuple(self._head.headers),
            body=self._body,
            seconds=self.curl.getinfo(pycurl.TOTAL_TIME),
            url=self.curl.getinfo(pycurl.EFFECTIVE_URL),
        )

    def give_up(self) -> str:
        """Why not to wait any longer; empty while there is no reason."""
        if self._cancelled():
            return "given up because fastlb is stopping"
        if len(self._body) > self._max_body_bytes:
            return f"an answer of more than {self._max_body_bytes} bytes"
        if time.monotonic() - self._last_byte_s > self._read_timeout_s:
            return f"no byte for {self._read_timeout_s:g} s"
        return ""

    def _take_header(self, line: bytes) -> None:
        self._last_byte_s = time.monotonic()
        self._head.take(line)

    def _take_body(self, data: bytes) -> int:
        """Keep a piece; a number that is not its length makes libcurl stop."""
        self._last_byte_s = time.monotonic()
        self._body += data
        return len(data) if len(self._body) <= self._max_body_bytes else 0

    def _take_progress(self, _expected: int, received_bytes: int, *_sent: int) -> None:
        self.received_bytes = received_bytes


def named_status(status: int) -> str:
    """An HTTP status as text, with its usual name."""
    known = {member.value: member.phrase for member in HTTPStatus}
    return f"HTTP {status} {known.get(status, '')}".rstrip()
