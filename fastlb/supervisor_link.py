"""The controller's end of the link to its supervisor.

It must not start, signal or wait for a process: it asks. Data flows: a question -> the supervisor -> the
answer with its number; events arrive unasked on the same link and go to `on_event`. One small thread reads;
the questions come from the controller's thread, and each is answered or timed out.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import queue
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastlb.controller_link import LINK_FD, MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HAProxyStarted:
    """HAProxy's master `pid` was started, and its worker serves."""

    pid: int


@dataclass(frozen=True, slots=True)
class HAProxyExited:
    """HAProxy's master `pid` is gone; `said` tells how, `log` is the end of its stderr. It is started
    again."""

    pid: int
    said: str
    log: str


Event = HAProxyStarted | HAProxyExited

BEAT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class StartOutcome:
    """What came of asking for HAProxy to run: `ok` means that it serves.

    `was_running` says that it was started before it was asked for, so it may have loaded an older file.
    """

    ok: bool
    pid: int | None
    log: str
    was_running: bool


class SupervisorLink:
    """Asks the supervisor, and passes on what it reports.

    `on_event` is called from the reading thread and has to be quick; None stands for the end of the link,
    after which every question fails.
    """

    def __init__(self, link: socket.socket, on_event: Callable[[Event | None], None]) -> None:
        self._link = link
        self._on_event = on_event
        self._numbers = itertools.count(1)
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._asking = threading.Lock()
        self._next_beat_s = 0.0
        self.haproxy_pid: int | None = None
        self._last_end: tuple[int | None, bool] = None, False
        self._reader = threading.Thread(target=self._read, name="supervisor-link", daemon=True)
        self._reader.start()

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], on_event: Callable[[Event | None], None]
    ) -> SupervisorLink | None:
        """The link that the supervisor handed down; None if there is no supervisor."""
        number = environment.get(LINK_FD)
        if number is None:
            return None
        try:
            link = socket.socket(fileno=int(number))
        except (OSError, ValueError) as reason:
            log.warning("%s is %r, which is no link to a supervisor (%s); going on without", LINK_FD, number, reason)
            return None
        link.set_inheritable(False)
        return cls(link, on_event)

    def beat(self) -> None:
        """Tell the supervisor that the caller's thread makes progress; cheap enough for every turn of a loop.

        From the first beat on, a silence of ``--controller-timeout`` has this process killed.
        """
        now_s = time.monotonic()
        if now_s >= self._next_beat_s:
            self._next_beat_s = now_s + BEAT_EVERY_S
            with contextlib.suppress(OSError):  # a supervisor that is gone or does not read is noticed by the reader
                self._link.send(b'{"beat": true}', socket.MSG_DONTWAIT)

    def start_haproxy(self, timeout_s: float) -> StartOutcome:
        """Have HAProxy run, and wait until it serves; that it runs already is ok too."""
        with self._asking:
            number = next(self._numbers)
            try:
                self._link.send(json.dumps({"id": number, "ask": "start_haproxy"}).encode())
            except OSError as reason:
                return self._failed(f"the supervisor cannot be asked: {reason.strerror}")
            return self._answer_to(number, time.monotonic() + timeout_s)

    def was_killed(self, pid: int | None) -> bool | None:
        """Whether this master, or its worker, was ended by somebody else; None while its end has not been told."""
        ended_pid, killed = self._last_end
        return killed if pid == ended_pid else None

    def close(self) -> None:
        """End the link and its thread."""
        with contextlib.suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._reader.join()

    def _answer_to(self, number: int, deadline: float) -> StartOutcome:
        while True:
            try:
                answer = self._answers.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                return self._failed("the supervisor did not say in time that HAProxy serves")
            if not answer:
                self._answers.put(answer)
                return self._failed("the supervisor is gone")
            if answer["id"] == number:  # otherwise it answers a question that has timed out
                return StartOutcome(answer["ok"], answer["pid"], answer["log"], answer["was_running"])

    def _failed(self, why: str) -> StartOutcome:
        return StartOutcome(ok=False, pid=self.haproxy_pid, log=why, was_running=False)

    def _read(self) -> None:
        with self._link:
            while message := self._receive():
                told = json.loads(message)
                if "event" in told:
                    self._on_event(self._noted(told))
                else:
                    self.haproxy_pid = told["pid"]
                    self._answers.put(told)
        self._answers.put({})
        self._on_event(None)

    def _receive(self) -> bytes:
        try:
            return self._link.recv(MESSAGE_BYTES)
        except OSError:
            return b""

    def _noted(self, told: dict[str, Any]) -> Event:
        if told["event"] == "started":
            self.haproxy_pid = told["pid"]
            return HAProxyStarted(told["pid"])
        self.haproxy_pid = None
        self._last_end = told["pid"], told.get("killed", False)
        return HAProxyExited(told["pid"], told["said"], told["log"])
