"""Following Marathon's event stream: a thread that is always connected, or about to be.

It must not know what anybody does with an event. Data flows: libcurl -> `EventDecoder` -> `mark_of` -> one
message to `deliver`, which is called in this thread and must neither wait nor raise. Each (re)connect goes
to the next URL of the list in turn, after a random wait that grows (COMPAT.md 2.4). Nothing ends the thread
but `stop`: a refused login, an endpoint that answers something else and an event that makes no sense are
reported, and the following goes on.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import orjson
import pycurl

from fastlb.errors import LoginError, MarathonAnswerError
from fastlb.events import SUBSCRIPTION, EventArrived, StreamLost, StreamOpened, mark_of
from fastlb.marathon.http import Http, named_status
from fastlb.marathon.transfer import Head, Request, prepare, run
from fastlb.sse import EventDecoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.events import Mark, StreamMessage
    from fastlb.marathon.config import MarathonConfig
    from fastlb.sse import RawEvent

log = logging.getLogger(__name__)

#: `Accept` has to be exactly this, or Marathon answers 405 (MARATHON.md 5.1).
HEADERS = ("Accept: text/event-stream", "Cache-Control: no-cache", "User-Agent: marathon-lb")
PATH = "/v2/events?" + urlencode([("plan-format", "light"), *(("event_type", kind) for kind in SUBSCRIPTION)])

#: Seconds after the headers in which Marathon has to confirm the subscription (MARATHON.md 5.3).
BARRIER_LIMIT_S = 5.0
#: The first upper bound of the wait before a reconnect, in seconds; what it grows by; and how many seconds a
#: connection has to live to bring it back (COMPAT.md 2.4).
FIRST_BACKOFF_S = 3.0
BACKOFF_GROWTH = 1.5
LONG_LIFE_S = 600.0
#: Seconds between two log lines about events that make no sense.
GARBAGE_QUIET_S = 60.0
#: Seconds that `stop` waits for the thread, which looks about ten times a second whether to go on.
STOP_LIMIT_S = 5.0


class Backoff:
    """How long to wait before the next attempt: uniform in [0, w), with a w that grows up to `max_s`."""

    def __init__(self, max_s: float) -> None:
        self._max_s = max_s
        self.bound_s = min(FIRST_BACKOFF_S, max_s)

    def next_s(self, lived_s: float) -> float:
        """Give the wait in seconds after a connection that lived `lived_s`."""
        if lived_s > LONG_LIFE_S:
            self.bound_s = min(FIRST_BACKOFF_S, self._max_s)
        wait_s = random.uniform(0, self.bound_s)
        self.bound_s = min(self.bound_s * BACKOFF_GROWTH, self._max_s)
        return wait_s


class Tally:
    """What has arrived since the start: connections opened, events, and those of them that made no sense."""

    def __init__(self) -> None:
        self.connections = 0
        self.events = 0
        self.garbage = 0
        self._quiet_until_s = 0.0

    def add_garbage(self, url: str, what: str) -> None:
        """Count an event that made no sense, and say so once in a while."""
        self.garbage += 1
        now_s = time.monotonic()
        if now_s < self._quiet_until_s:
            return
        self._quiet_until_s = now_s + GARBAGE_QUIET_S
        log.warning(
            "the event stream of %s brought %s; it is ignored, the stream goes on (%d such events so far, "
            "no further message about them for %g s)",
            url,
            what,
            self.garbage,
            GARBAGE_QUIET_S,
        )


class EventStream(threading.Thread):
    """Follows the stream until `stop`, and hands every message to `deliver`; `tally` counts what arrives.

    It is a daemon thread, so that a network that hangs never keeps the process alive.
    """

    def __init__(self, config: MarathonConfig, deliver: Callable[[StreamMessage], None]) -> None:
        super().__init__(name="event-stream", daemon=True)
        self.tally = Tally()
        self._config = config
        self._deliver = deliver
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End the thread, connected or not; returns when it has ended, well within a second."""
        self._stopping.set()
        if self.is_alive():
            self.join(STOP_LIMIT_S)
        if self.is_alive():
            log.warning("the event stream did not end within %g s; it is left behind", STOP_LIMIT_S)

    def run(self) -> None:
        """Connect, follow, wait, connect again."""
        config = self._config
        backoff = Backoff(config.max_backoff_s)
        with Http(
            config.tls,
            connect_timeout_s=config.connect_timeout_s,
            read_timeout_s=config.read_timeout_s,
            cancelled=self._stopping.is_set,
        ) as http:
            for url in itertools.cycle(config.urls):
                began_s = time.monotonic()
                reason = self._follow(url, http)
                if self._stopping.is_set():
                    return
                retry_in_s = backoff.next_s(time.monotonic() - began_s)
                self._deliver(StreamLost(f"{url}: {reason}", retry_in_s))
                if self._stopping.wait(retry_in_s):
                    return

    def _follow(self, url: str, http: Http) -> str:
        """Be connected to one endpoint for as long as it lasts; give the reason why it ended."""
        login = self._config.login
        try:
            request = Request(url + PATH, HEADERS, login.headers(http))
        except LoginError as error:
            return str(error)
        connection = _Connection(self._config, url, self._deliver, self.tally, self._stopping.is_set)
        reason = connection.follow(request)
        if connection.status == HTTPStatus.UNAUTHORIZED:
            login.renew()
        return reason


class _Connection:
    """One connection from its request to its end."""

    def __init__(
        self,
        config: MarathonConfig,
        url: str,
        deliver: Callable[[StreamMessage], None],
        tally: Tally,
        stopping: Callable[[], bool],
    ) -> None:
        self._config = config
        self._url = url
        self._deliver = deliver
        self._tally = tally
        self._stopping = stopping
        self._head = Head()
        self._decoder = EventDecoder()
        self._refused = ""
        self._confirmed = False
        # When to stop waiting for the confirmation: never, until the headers are here.
        self._confirm_by_s = float("inf")
        self._last_byte_s = time.monotonic()

    @property
    def status(self) -> int:
        """The HTTP status, 0 before there is one."""
        return self._head.status

    def follow(self, request: Request) -> str:
        """Send the request and deliver what comes until it ends; give the reason why it did."""
        with closing(pycurl.Curl()) as curl:
            prepare(curl, request, self._config.tls, self._config.stream_connect_timeout_s)
            curl.setopt(pycurl.HEADERFUNCTION, self._take_header)
            curl.setopt(pycurl.WRITEFUNCTION, self._take_body)
            return run(curl, request, self._tick) or self._why_refused() or "Marathon closed it"

    def _take_header(self, line: bytes) -> None:
        self._last_byte_s = time.monotonic()
        if self._head.take(line) and not self._is_interim():
            self._refused = self._why_refused()
            self._confirm_by_s = self._last_byte_s + BARRIER_LIMIT_S
            self._tally.connections += not self._refused

    def _is_interim(self) -> bool:
        """Whether another head follows: after `100 Continue` and its like, and after a redirect."""
        return self.status // 100 in {1, 3}

    def _why_refused(self) -> str:
        """Why these headers begin no event stream; empty when they do."""
        if self.status != HTTPStatus.OK:
            return named_status(self.status)
        types = [value for name, value in self._head.headers if name == "content-type"]
        media_type = types[-1].partition(";")[0].strip() if types else ""
        if media_type.lower() != "text/event-stream":
            return f"answered {media_type or 'no content type'} instead of text/event-stream"
        return ""

    def _take_body(self, data: bytes) -> None:
        if self._refused:
            return
        self._last_byte_s = time.monotonic()
        dropped = self._decoder.oversized
        for event in self._decoder.feed(data):
            self._take_event(event)
        if self._decoder.oversized > dropped:
            self._tally.add_garbage(self._url, "an event that is too big")

    def _take_event(self, event: RawEvent) -> None:
        self._tally.events += 1
        try:
            mark = mark_of(orjson.loads(event.data), event.name)
        except orjson.JSONDecodeError:
            self._tally.add_garbage(self._url, f"an event of {len(event.data)} bytes that is no JSON")
        except MarathonAnswerError as error:
            self._tally.add_garbage(self._url, str(error))
        else:
            self._take_mark(mark)

    def _take_mark(self, mark: Mark) -> None:
        if mark.barrier:
            # Marathon tells every stream about every new one; only the first on a connection can be our own.
            if not self._confirmed:
                self._confirmed = True
                self._announce(confirmed=True)
        elif not mark.marks_nothing:
            self._deliver(EventArrived(mark, self._last_byte_s))

    def _announce(self, *, confirmed: bool) -> None:
        self._confirm_by_s = float("inf")
        self._deliver(StreamOpened(self._url, confirmed))

    def _tick(self) -> str:
        """Look at the clock; give a reason to end the connection, or nothing."""
        now_s = time.monotonic()
        silent_s = now_s - self._last_byte_s
        if self._stopping():
            return "fastlb is stopping"
        if silent_s > self._config.heartbeat_timeout_s:
            return f"not even a heartbeat for {silent_s:.1f} s"
        if now_s > self._confirm_by_s and not self._refused:
            log.warning("%s did not confirm the subscription within %g s; going on", self._url, BARRIER_LIMIT_S)
            self._announce(confirmed=False)
        return self._refused
