"""HTTP requests to answers, one or several at once.

It must not know what is asked for, what the answer means, or where credentials come from: secret headers
are handed in. Data flows: `Request` -> `transfer` -> `Answer`, or `MarathonUnreachable` with the reason in
words.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

import pycurl

from fastlb.errors import MarathonUnreachable
from fastlb.marathon.transfer import Head, Request, Tls, prepare, run_all

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
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
    body: bytes = field(repr=False)
    seconds: float
    url: str

    def values(self, name: str) -> list[str]:
        """All values of the header `name` (lower case), in the order they came."""
        return [value for known, value in self.headers if known == name]


class Http:
    """Sends requests over kept-alive connections, from one thread at a time.

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
        self._multi = pycurl.CurlMulti()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; nothing can be sent afterwards."""
        self._multi.close()

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the whole answer, whatever its status.

        Raises:
            MarathonUnreachable: there was no whole answer; the message is the reason, without the URL.

        """
        [(_, outcome)] = self.send_all([request])
        if isinstance(outcome, MarathonUnreachable):
            raise outcome
        return outcome

    def send_all(self, requests: Iterable[Request]) -> Generator[tuple[Request, Answer | MarathonUnreachable]]:
        """Send requests, at most `MOST_AT_ONCE` at once, and give each with what came of it, as that comes.

        Nothing else can be sent before the iterator has come to its end or was closed, which gives up the rest.
        """
        with ExitStack() as stack:
            exchanges = (self._begin(request, stack) for request in requests)
            with closing(run_all(self._multi, exchanges, MOST_AT_ONCE)) as ended:
                for exchange, failure in ended:
                    yield exchange.request, MarathonUnreachable(failure) if failure else exchange.answer()

    def _begin(self, request: Request, stack: ExitStack) -> _Exchange:
        exchange = _Exchange(request, self._read_timeout_s, self._max_body_bytes, self._cancelled)
        stack.callback(self._end, exchange)
        prepare(exchange.curl, request, self._tls, self._connect_timeout_s)
        self.requests += 1
        return exchange

    def _end(self, exchange: _Exchange) -> None:
        self.received_bytes += exchange.received_bytes
        exchange.curl.close()


class _Exchange:
    """What one running request has received so far, and the limits it has to keep."""

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
        self._last_byte_s = time.monotonic()
        self.curl.setopt(pycurl.ACCEPT_ENCODING, "gzip")
        self.curl.setopt(pycurl.TIMEOUT_MS, int(TOTAL_TIMEOUT_S * 1000))
        self.curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        self.curl.setopt(pycurl.XFERINFOFUNCTION, self._take_progress)
        self.curl.setopt(pycurl.NOPROGRESS, False)

    def answer(self) -> Answer:
        return Answer(
            status=self._head.status,
            headers=tuple(self._head.headers),
            body=bytes(self._body),
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
