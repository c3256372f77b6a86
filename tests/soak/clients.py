"""Who uses the front door during a soak: two paced loads, and connections that are held for long.

A held connection is one request to a TCP service that is sent a byte now and then; that it still works shows its answer
at the end. One that lives in an old worker goes with it when a limit ends that worker: one of fastlb's, which the
journal tells, or HAProxy's own, by the number of reloads since.
"""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from time import monotonic, time
from typing import TYPE_CHECKING

from tests.fakes.front_door import HTTP_PORT
from tests.fakes.load import paced_load
from tests.soak.changes import HELD

if TYPE_CHECKING:
    from threading import Event

    from tests.fakes.load import Failure
    from tests.soak.sizes import Sizes

SLICE_S = 600.0
"""A load runs for so long, then the next one does: each keeps all its latencies."""
BYTE_EVERY_S = 8.0
"""HAProxy's timeouts of silent connections are 30 s."""
ANSWER_WITHIN_S = 20.0
SHORTEST_S = 5.0


@dataclass
class Requests:
    """The load on one host name; ``p99_ms`` is that of the worst slice."""

    address: str
    host: str
    rate: int
    requests: int = 0
    p99_ms: float = 0.0
    failures: list[Failure] = field(default_factory=list)

    def go_on(self, stop: Event) -> None:
        """Send requests until it is told to stop."""
        while not stop.is_set():
            with paced_load(self.address, HTTP_PORT, self.host, rate=self.rate) as load:
                stop.wait(SLICE_S)
            self.requests += load.told.requests
            self.failures += load.told.failures
            self.p99_ms = max(self.p99_ms, load.told.latencies_ms[1])


@dataclass
class Held:
    """A few held connections, each for a random time.

    ``ends`` counts how they ended, ``lost`` has from when to when the lost ones lived, in Unix seconds.
    """

    address: str
    sizes: Sizes
    ends: Counter[str] = field(default_factory=Counter)
    lost: list[tuple[float, float]] = field(default_factory=list)

    def go_on(self, stop: Event) -> None:
        """Keep them open until it is told to stop; then every one has to answer."""
        random, held = Random(1), list[_Connection]()
        while not stop.wait(0.5):
            while len(held) < self.sizes.held:
                longest_s = max(2 * SHORTEST_S, self.sizes.seconds / 3)
                held.append(_Connection(self.address, random.uniform(SHORTEST_S, longest_s)))
            for each in held:
                each.breathe()
            self._end([each for each in held if each.is_over], held)
        self._end(list(held), held)

    def _end(self, these: list[_Connection], held: list[_Connection]) -> None:
        for each in these:
            how = each.end()
            self.ends[how] += 1
            if how == "lost":
                self.lost.append((each.opened_s, time()))
            held.remove(each)


class _Connection:
    def __init__(self, address: str, for_s: float) -> None:
        self._socket = socket.create_connection((address, HELD), ANSWER_WITHIN_S)
        self._socket.sendall(b"GET / HTTP/1.1\r\nHost: held\r\nX-Held: ")
        self.opened_s = time()
        self._breathed_s = monotonic()
        self._until_s = self._breathed_s + for_s
        self._is_lost = False

    @property
    def is_over(self) -> bool:
        return self._is_lost or monotonic() > self._until_s

    def breathe(self) -> None:
        """Send a byte, if it is time, and see whether the other side is still there."""
        try:
            self._socket.setblocking(False)
            self._is_lost = self._is_lost or self._socket.recv(1) == b""
        except BlockingIOError:
            if monotonic() > self._breathed_s + BYTE_EVERY_S:
                self._breathed_s = monotonic()
                self._socket.send(b"x")
        except OSError:
            self._is_lost = True

    def end(self) -> str:
        """Finish the request; return how it ended."""
        with self._socket:
            try:
                self._socket.settimeout(ANSWER_WITHIN_S)
                self._socket.sendall(b"\r\n\r\n")
                answered = self._socket.recv(64).startswith(b"HTTP/1.1 200")
            except OSError:
                answered = False
        return "answered" if answered else "lost"
