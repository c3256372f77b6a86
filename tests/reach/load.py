"""A bounded, paced load in a process of its own: ``python -m tests.reach.load ADDRESS PORT HOST RATE LEAST``.

`CLIENTS` clients send about RATE requests a second until SIGTERM has come and at least LEAST requests were sent; half
of them keep their connection, the others open one per request. What failed is told with the moments (`time.monotonic`,
which all processes share) at which the request began and ended. A request fails if its answer is not a whole 200; a
connection that was closed before a request was written to it is no failure, since the client saw that in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Self

ROOT = Path(__file__).parent.parent.parent
CLIENTS = 16
ANSWER_WITHIN_S = 10.0
LONGEST_S = 1800.0
IDLE_S = 0.5
"""A kept connection that was idle for so long is not used again: HAProxy closes it after a second."""


class Failure(NamedTuple):
    """A request that failed: when it began and ended, and how."""

    began_s: float
    ended_s: float
    how: str


@dataclass
class Told:
    """What the load says at its end; ``latencies_ms`` are p50, p99, p99.9 and the longest."""

    requests: int = 0
    failures: list[Failure] = field(default_factory=list)
    latencies_ms: list[float] = field(default_factory=list)

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

    def __init__(self, address: str, port: int, host: str, *, rate: int, least: int = 0) -> None:
        self._words = [sys.executable, "-m", "tests.reach.load", address, str(port), host, str(rate), str(least)]
        self._longest_s = LONGEST_S
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
        said = self._process.communicate(timeout=self._longest_s)[0]
        if error[0] is None:
            told = json.loads(said)
            failures = [Failure(*failure) for failure in told["failures"]]
            self.told = Told(told["requests"], failures, told["latencies_ms"])


class _Clients:
    def __init__(self, address: str, port: int, host: str, rate: float, least: int) -> None:
        self._where = address, port
        self._host = host
        self._pause_s = CLIENTS / rate
        self._least = least
        self._stop = asyncio.Event()
        self._latencies: list[float] = []
        self._failures: list[Failure] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.call_later(LONGEST_S, self._stop.set)
        sys.stdout.write("on\n")
        sys.stdout.flush()
        await asyncio.gather(*(self._client(number) for number in range(CLIENTS)))

    def told(self) -> dict[str, object]:
        ordered = sorted(self._latencies) or [0.0]
        parts = [ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1000 for part in (0.5, 0.99, 0.999, 1)]
        return {"requests": len(self._latencies), "failures": self._failures, "latencies_ms": parts}

    async def _client(self, number: int) -> None:
        keeps, connection = number % 2 == 0, None
        next_s = monotonic() + self._pause_s * number / CLIENTS
        while not self._stop.is_set() or len(self._latencies) < self._least:
            await asyncio.sleep(next_s - monotonic())
            idle_s, began_s = monotonic() - next_s + self._pause_s, monotonic()
            connection = self._drop(connection) if idle_s > IDLE_S else connection
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    if connection is None or connection[0].at_eof():
                        connection = await asyncio.open_connection(*self._where)
                    keep = await self._ask(*connection, keeps)
                connection = connection if keep else self._drop(connection)
            except (OSError, ValueError, IndexError, EOFError) as error:
                self._failures.append(Failure(began_s, monotonic(), f"keeps={keeps} {error!r}"))
                connection = self._drop(connection)
            self._latencies.append(monotonic() - began_s)
            next_s = max(next_s + self._pause_s, monotonic())
        self._drop(connection)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keeps: bool) -> bool:
        """Send one request and read its answer; return whether the connection may be used again."""
        wish = "keep-alive" if keeps else "close"
        writer.write(f"GET / HTTP/1.1\r\nHost: {self._host}\r\nConnection: {wish}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        status = int(head.split()[1])
        length = int(head.split(b"content-length:")[1].split(b"\r")[0])
        await reader.readexactly(length)
        if status != 200:
            raise ValueError(f"status {status}")
        return keeps and b"connection: close" not in head

    def _drop(self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
        if connection is not None:
            with contextlib.suppress(OSError):
                connection[1].close()


def main() -> None:
    address, port, host, rate, least = sys.argv[1:]
    clients = _Clients(address, int(port), host, float(rate), int(least))
    asyncio.run(clients.run())
    sys.stdout.write(json.dumps(clients.told()))


if __name__ == "__main__":
    main()
