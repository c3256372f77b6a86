"""A bounded, steady load of four kinds in a process of its own: ``python -m tests.zdd.load HOST ADDRESS:PORT...``.

    short   a connection for each request
    slow    a connection for each request, which takes the task two seconds
    kept    one connection for many requests
    long    a connection that is no HTTP after its beginning, for some seconds

It goes on until SIGTERM has come; what is under way then is finished. A request fails if its answer is not whole, a
long connection if it ends before the client wants it to. A kept connection that was closed before a request was written
to it is no failure, since the client saw that in time. Moments are `time.monotonic`, which all processes share.
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
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple, Self

from tests.zdd.sizes import IS_LONG

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

ROOT = Path(__file__).parent.parent.parent
PAUSES_S = {"short": 0.1, "slow": 0.05, "kept": 0.05, "long": 0.1}
CLIENTS = {"short": 3, "slow": 4, "kept": 4, "long": 3}
"""For each address."""
ANSWER_WITHIN_S = 15.0
LONGEST_S = 1800.0
LONG_S = (1.0, 6.0) if IS_LONG else (0.5, 2.0)
WORD_EVERY_S = 0.1

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Failure(NamedTuple):
    """A request that failed: of which kind, when it began and ended, where it was sent, and how."""

    kind: str
    began_s: float
    ended_s: float
    where: str
    how: str


class Told(NamedTuple):
    """What the load says at its end: requests by kind, and what failed."""

    requests: dict[str, int]
    failures: list[Failure]

    def __str__(self) -> str:
        """Say it in one line."""
        failed = Counter(failure.kind for failure in self.failures)
        return ", ".join(f"{kind} {number}, {failed[kind]} failed" for kind, number in self.requests.items())


class Load:
    """A context manager: inside it the load is on; ``told`` is there after it."""

    told: Told

    def __init__(self, host: str, where: Sequence[str]) -> None:
        self._words = [sys.executable, "-m", "tests.zdd.load", host, *where]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE, cwd=ROOT, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "on\n"
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        said = self._process.communicate(timeout=4 * ANSWER_WITHIN_S)[0]
        requests, failures = json.loads(said)
        self.told = Told(requests, [Failure(*failure) for failure in failures])


class _Clients:
    def __init__(self, host: str, where: Sequence[str]) -> None:
        self._host = host
        self._where = where
        self._stop = asyncio.Event()
        self.requests: Counter[str] = Counter()
        self.failures: list[Failure] = []

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.call_later(LONGEST_S, self._stop.set)
        sys.stdout.write("on\n")
        sys.stdout.flush()
        every = [(kind, where) for where in self._where for kind, number in CLIENTS.items() for _ in range(number)]
        await asyncio.gather(*(self._client(kind, where, self._way(kind)) for kind, where in every))

    def _way(self, kind: str) -> Callable[[str], Awaitable[None]]:
        """Return how a new client of this kind asks."""
        return {"short": self._short, "slow": self._slow, "kept": _Kept(self._host).ask, "long": self._long}[kind]

    async def _client(self, kind: str, where: str, ask: Callable[[str], Awaitable[None]]) -> None:
        while not self._stop.is_set():
            began_s = monotonic()
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    await ask(where)
            except (OSError, ValueError, IndexError, EOFError) as error:
                self.failures.append(Failure(kind, began_s, monotonic(), where, repr(error)))
            self.requests[kind] += 1
            await asyncio.sleep(PAUSES_S[kind] * random.uniform(0.5, 1.5))

    async def _short(self, where: str) -> None:
        await self._once(where, "/")

    async def _slow(self, where: str) -> None:
        await self._once(where, "/slow")

    async def _once(self, where: str, path: str) -> None:
        connection = await _connect(where)
        with contextlib.closing(connection[1]):
            await _ask(connection, self._host, path, "close")

    async def _long(self, where: str) -> None:
        """Talk for a while; every word has to come back."""
        connection = reader, writer = await _connect(where)
        with contextlib.closing(writer):
            writer.write(_request(self._host, "/socket", "Upgrade\r\nUpgrade: words"))
            if await _status(connection) != 101:
                raise ValueError("the connection is not switched")
            until_s = monotonic() + random.uniform(*LONG_S)
            while monotonic() < until_s:
                writer.write(b"word")
                if await reader.readexactly(4) != b"word":
                    raise ValueError("another word came back")
                await asyncio.sleep(WORD_EVERY_S)


class _Kept:
    """One client that keeps its connection for as long as it lasts."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._connection: Connection | None = None

    async def ask(self, where: str) -> None:
        connection, self._connection = self._connection, None
        if connection is None or connection[0].at_eof():
            if connection is not None:
                connection[1].close()
            connection = await _connect(where)
        stays = False
        try:
            stays = await _ask(connection, self._host, "/", "keep-alive")
        finally:
            if not stays:
                connection[1].close()
        self._connection = connection if stays else None


async def _connect(where: str) -> Connection:
    address, _, port = where.rpartition(":")
    return await asyncio.open_connection(address, int(port))


def _request(host: str, path: str, connection: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n".encode()


async def _ask(connection: Connection, host: str, path: str, wish: str) -> bool:
    """Send one request and read its answer; return whether the connection may be used again."""
    reader, writer = connection
    writer.write(_request(host, path, wish))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r")[0]))
    if int(head.split()[1]) != 200:
        raise ValueError(f"status {head.split()[1].decode()}")
    return wish == "keep-alive" and b"connection: close" not in head


async def _status(connection: Connection) -> int:
    return int((await connection[0].readuntil(b"\r\n\r\n")).split()[1])


def main() -> None:
    clients = _Clients(sys.argv[1], sys.argv[2:])
    asyncio.run(clients.run())
    sys.stdout.write(json.dumps([{kind: clients.requests[kind] for kind in CLIENTS}, clients.failures]))


if __name__ == "__main__":
    main()
