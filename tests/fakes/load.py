"""A bounded, paced load in a process of its own, ``python -m tests.fakes.load``; four kinds of clients, in any mixture.

    short   a connection for each request
    slow    the same, for what takes a task long to answer
    kept    one connection for many requests
    long    a connection that is no HTTP after its beginning, for some seconds

    Load --Plan, as JSON--> process: clients until SIGTERM --Told, as JSON--> Load

What is under way when SIGTERM comes is finished. A request fails if its answer is not a whole 200, a long connection if
it ends before the client wants it to. A kept connection that was closed before a request was written to it is no
failure, since the client saw that in time. Moments are `time.monotonic`, which all processes share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent.parent
PATHS = {"short": "/", "slow": "/slow", "kept": "/", "long": "/socket"}
PACED_CLIENTS = 16
ANSWER_WITHIN_S = 10.0
LONGEST_S = 1800.0
IDLE_S = 0.5
"""A kept connection that was idle for so long is not used again: HAProxy closes it after a second."""
WORD_EVERY_S = 0.1


class Crowd(NamedTuple):
    """So many clients of a kind; each asks about every ``every_s`` seconds, later if it has no answer yet."""

    kind: str
    clients: int
    every_s: float


class Plan(NamedTuple):
    """What a load is: all ``crowds`` at each of ``where`` (``ADDRESS:PORT``), and at ``least`` so many requests.

    ``long_s``: from how long to how long long connections last.
    """

    host: str
    where: Sequence[str]
    crowds: Sequence[Crowd]
    least: int = 0
    long_s: tuple[float, float] = (0.5, 2.0)


class Failure(NamedTuple):
    """A request that failed: of which kind, where it was sent, when it began and ended, and how."""

    kind: str
    where: str
    began_s: float
    ended_s: float
    how: str


@dataclass
class Told:
    """What the load says at its end; ``latencies_ms`` are p50, p99, p99.9 and the longest."""

    by_kind: dict[str, int] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(self.by_kind.values())

    def failures_since(self, moment_s: float) -> list[Failure]:
        """Return those of requests that began after a moment."""
        return [failure for failure in self.failures if failure.began_s > moment_s]

    def __str__(self) -> str:
        """Say it in one line."""
        p50, p99, p999, longest = self.latencies_ms
        latency = f"p50 {p50:.1f}, p99 {p99:.1f}, p99.9 {p999:.1f}, longest {longest:.0f} ms"
        return f"{self.requests} requests, {len(self.failures)} failed ({latency})"


class Load:
    """A context manager: inside it the load is on; ``told`` is there after it."""

    def __init__(self, plan: Plan) -> None:
        self._words = [sys.executable, "-m", "tests.fakes.load", json.dumps(plan)]
        self.told = Told()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "on\n"
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        if error[0] is not None:
            self._process.kill()
        said = self._process.communicate(timeout=LONGEST_S)[0]
        if error[0] is None:
            by_kind, failures, latencies_ms = json.loads(said)
            self.told = Told(by_kind, [Failure(*failure) for failure in failures], latencies_ms)


def paced_load(address: str, port: int, host: str, *, rate: int, least: int = 0) -> Load:
    """Return a load of about ``rate`` requests a second; half of its clients keep their connection."""
    crowds = [Crowd(kind, PACED_CLIENTS // 2, PACED_CLIENTS / rate) for kind in ("kept", "short")]
    return Load(Plan(host, [f"{address}:{port}"], crowds, least))


class _Clients:
    """All clients, and what came of their requests."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stop = asyncio.Event()
        self._by_kind = Counter(dict.fromkeys((crowd.kind for crowd in plan.crowds), 0))
        self._latencies_s: list[float] = []
        self._failures: list[Failure] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.call_later(LONGEST_S, self._stop.set)
        sys.stdout.write("on\n")
        sys.stdout.flush()
        plan = self._plan
        each = [(crowd, number) for crowd in plan.crowds for number in range(crowd.clients)]
        await asyncio.gather(*(self._go_on(crowd, number, where) for where in plan.where for crowd, number in each))

    def told(self) -> list[object]:
        ordered = sorted(self._latencies_s) or [0.0]
        parts = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.99, 0.999, 1)]
        return [self._by_kind, self._failures, parts]

    async def _go_on(self, crowd: Crowd, number: int, where: str) -> None:
        """Have one client ask again and again; all of a crowd take turns, more or less."""
        client = _Client(self._plan, crowd.kind, where)
        next_s = monotonic() + crowd.every_s * number / crowd.clients
        while not self._stop.is_set() or len(self._latencies_s) < self._plan.least:
            await asyncio.sleep(next_s - monotonic())
            began_s = monotonic()
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await client.ask()
            except (OSError, ValueError, IndexError, EOFError) as error:
                self._failures.append(Failure(crowd.kind, where, began_s, monotonic(), repr(error)))
                client.drop()
            self._latencies_s.append(monotonic() - began_s)
            self._by_kind[crowd.kind] += 1
            next_s = max(next_s + crowd.every_s * random.uniform(0.5, 1.5), monotonic())
        client.drop()


class _Client:
    """One client; it has at most one connection, which only one of kind ``kept`` uses again."""

    def __init__(self, plan: Plan, kind: str, where: str) -> None:
        self._plan = plan
        self._kind = kind
        self._address, _, self._port = where.rpartition(":")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_s = 0.0

    async def ask(self) -> None:
        """Send one request and read its answer; or talk for a while. Raises what a failure is."""
        reader, writer = await self._connection()
        wish = {"kept": "keep-alive", "long": "Upgrade\r\nUpgrade: words"}.get(self._kind, "close")
        path = PATHS[self._kind]
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._plan.host}\r\nConnection: {wish}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        wanted = 101 if self._kind == "long" else 200
        if int(head.split()[1]) != wanted:
            raise ValueError(f"status {head.split()[1].decode()}")
        if self._kind == "long":
            await self._talk(reader, writer)
        else:
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r")[0]))
        self._used_s = monotonic()
        if self._kind != "kept" or b"connection: close" in head:
            self.drop()

    def drop(self) -> None:
        """Close the connection, if there is one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            with contextlib.suppress(OSError):
                streams[1].close()

    async def _connection(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams and (self._streams[0].at_eof() or monotonic() - self._used_s > IDLE_S):
            self.drop()
        self._streams = self._streams or await asyncio.open_connection(self._address, int(self._port))
        return self._streams

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say words; every one has to come back."""
        until_s = monotonic() + random.uniform(*self._plan.long_s)
        while monotonic() < until_s:
            writer.write(b"word")
            if await reader.readexactly(4) != b"word":
                raise ValueError("another word came back")
            await asyncio.sleep(WORD_EVERY_S)


def _read_plan(text: str) -> Plan:
    host, where, crowds, least, long_s = json.loads(text)
    every: list[Any] = [Crowd(*crowd) for crowd in crowds]
    return Plan(host, where, every, least, tuple(long_s))


def main() -> None:
    clients = _Clients(_read_plan(sys.argv[1]))
    asyncio.run(clients.run())
    sys.stdout.write(json.dumps(clients.told()))


if __name__ == "__main__":
    main()
