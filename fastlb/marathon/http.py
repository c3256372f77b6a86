"""One HTTP request to one answer.

It must not know what is asked for, what the answer means, or where credentials come from: secret headers
are handed in. Data flows: `Request` -> `transfer` -> `Answer`, or `MarathonUnreachable` with the reason in
words.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

import pycurl

from fastlb.errors import MarathonUnreachable
from fastlb.marathon.transfer import Head, Request, Tls, prepare, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: Seconds one request may take in all, however steadily its bytes trickle in.
TOTAL_TIMEOUT_S = 300.0
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
    """Sends one request at a time over kept-alive connections, from one thread at a time.

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
        self._curl = pycurl.Curl()
        self._multi = pycurl.CurlMulti()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; nothing can be sent afterwards."""
        self._curl.close()
        self._multi.close()

    def send(self, request: Request) -> Answer:
        """Send a request and wait for the whole answer, whatever its status.

        Raises:
            MarathonUnreachable: there was no whole answer; the message is the reason, without the URL.

        """
        exchange = _Exchange(self._read_timeout_s, self._max_body_bytes, self._cancelled)
        self._curl.reset()
        prepare(self._curl, request, self._tls, self._connect_timeout_s)
        exchange.attach(self._curl)
        failure = run(self._multi, self._curl, request, exchange.give_up)
        self.requests += 1
        self.received_bytes += exchange.received_bytes
        if failure:
            raise MarathonUnreachable(failure)
        return exchange.answer(self._curl)


class _Exchange:
    """What one running request has received so far, and the limits it has to keep."""

    def __init__(self, read_timeout_s: float, max_body_bytes: int, cancelled: Callable[[], bool]) -> None:
        self.received_bytes = 0
        self._head = Head()
        self._body = bytearray()
        self._read_timeout_s = read_timeout_s
        self._max_body_bytes = max_body_bytes
        self._cancelled = cancelled
        self._last_byte_s = time.monotonic()

    def attach(self, curl: pycurl.Curl) -> None:
        curl.setopt(pycurl.ACCEPT_ENCODING, "gzip")
        curl.setopt(pycurl.TIMEOUT_MS, int(TOTAL_TIMEOUT_S * 1000))
        curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
        curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
        curl.setopt(pycurl.XFERINFOFUNCTION, self._take_progress)
        curl.setopt(pycurl.NOPROGRESS, False)

    def answer(self, curl: pycurl.Curl) -> Answer:
        return Answer(
            status=self._head.status,
            headers=tuple(self._head.headers),
            body=bytes(self._body),
            seconds=curl.getinfo(pycurl.TOTAL_TIME),
            url=curl.getinfo(pycurl.EFFECTIVE_URL),
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
