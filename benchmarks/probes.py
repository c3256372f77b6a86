"""What looks at a running load balancer from outside: one request, HAProxy's own view of a backend, the event stream.

Times are Unix seconds, as in fastlb's journal. Nothing here knows which load balancer it looks at.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, suppress
from time import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from pathlib import Path

REQUEST_WITHIN_S = 10.0
JOIN_WITHIN_S = 30.0
KINDS = ("status_update_event", "health_status_changed_event", "api_post_event")
RUNNING_STATES = frozenset({"1", "2"})
OUT_OF_SERVICE = 0x01 | 0x02 | 0x08 | 0x10 | 0x20
"""Maintenance or drain, own or inherited, or no address, in ``srv_admin_state``; 0x04 only tells of the past."""

Address = tuple[str, int]
Event = dict[str, Any]


def ask(address: str, port: int, host: str = "bench") -> tuple[int, Any]:
    """Send one request on a connection of its own; return status and the answer's JSON; status 0 without an answer."""
    return ask_at_once(address, port, 1, host)[0]


def ask_at_once(address: str, port: int, count: int, host: str = "bench") -> list[tuple[int, Any]]:
    """Send so many requests, each on a connection of its own, before any answer is read; so many servers get one."""
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    with ExitStack() as stack:
        requests = [stack.enter_context(_Request((address, port), request)) for _ in range(count)]
        return [each.answer() for each in requests]


class _Request:
    """One request on its way."""

    def __init__(self, address: Address, request: bytes) -> None:
        self._connection: socket.socket | None = None
        with suppress(OSError):
            self._connection = socket.create_connection(address, REQUEST_WITHIN_S)
            self._connection.sendall(request)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection:
            self._connection.close()

    def answer(self) -> tuple[int, Any]:
        """Return status and JSON of the answer; status 0 if there is none."""
        try:
            answer = _everything(self._connection) if self._connection else b""
        except OSError:
            return 0, None
        head, _, body = answer.partition(b"\r\n\r\n")
        words = head.split(maxsplit=2)
        if len(words) < 2 or not words[1].isdigit():
            return 0, None
        status = int(words[1])
        return status, json.loads(body) if status == 200 else None


class HAProxyView:
    """What HAProxy says of itself; where its socket is says the configuration."""

    def __init__(self, config: Path) -> None:
        self._config = config
        self._socket = ""

    def backend(self, port: int) -> str:
        """Return the name of the backend of a service port. Raises LookupError if there is none."""
        found = re.search(rf"^backend (\S+_{port})$", self._config.read_text(), re.MULTILINE)
        if not found:
            raise LookupError(f"no backend for service port {port}")
        return found[1]

    def usable_servers(self, backend: str) -> set[Address]:
        """Return the addresses of the servers of ``backend`` that get new connections."""
        usable = set()
        for line in self.say(f"show servers state {backend}").splitlines():
            words = line.split()
            if len(words) > 18 and words[1] == backend:
                serves = words[5] in RUNNING_STATES and words[7] != "0" and not int(words[6]) & OUT_OF_SERVICE
                usable |= {(words[4], int(words[18]))} if serves else set()
        return usable

    def say(self, command: str) -> str:
        """Return the reply to one command; nothing if HAProxy does not answer."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(REQUEST_WITHIN_S)
                connection.connect(self._path())
                connection.sendall(f"{command}\n".encode())
                return _everything(connection).decode(errors="replace")
        except OSError:
            return ""

    def _path(self) -> str:
        if not self._socket:
            found = re.search(r"^\s+stats socket (\S+)", self._config.read_text(), re.MULTILINE)
            self._socket = found[1] if found else ""
        return self._socket


class Stream:
    """The event stream, read by a thread that hands each line to `_take`; ``path`` asks for it."""

    def __init__(self, marathon: str, path: str, quiet_within_s: float = REQUEST_WITHIN_S * 6) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(marathon).netloc, timeout=quiet_within_s)
        self._path = path
        self._thread = threading.Thread(target=self._read, name="stream", daemon=True)

    def __enter__(self) -> Self:
        self._connection.connect()
        self._socket = self._connection.sock  # the connection forgets it once the answer has begun
        self._connection.request("GET", self._path, headers={"Accept": "text/event-stream"})
        self._answer = self._connection.getresponse()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(JOIN_WITHIN_S)
        self._answer.close()
        self._connection.close()

    def _read(self) -> None:
        with suppress(OSError, ValueError, http.client.HTTPException):
            for line in self._answer:
                self._take(line)

    def _take(self, line: bytes) -> None:
        raise NotImplementedError


class Events(Stream):
    """Which events came, and when."""

    def __init__(self, marathon: str) -> None:
        kinds = "&".join(f"event_type={kind}" for kind in KINDS)
        super().__init__(marathon, f"/v2/events?plan-format=light&{kinds}")
        self._seen: list[tuple[float, Event]] = []

    def forget(self) -> None:
        """Start anew."""
        self._seen.clear()

    def first(self, **wanted: object) -> float | None:
        """Return when the first event came whose members are as wanted, one of several if a set; None if none has."""
        for at_s, event in list(self._seen):
            if all(_is(event.get(name), each) for name, each in wanted.items()):
                return at_s
        return None

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data: "):
            at_s, event = time(), json.loads(line.removeprefix(b"data: "))
            definition = event.pop("appDefinition", None) or {}
            self._seen.append((at_s, {"appId": definition.get("id"), **_flat(event)}))


def _is(found: object, wanted: object) -> bool:
    return found in wanted if isinstance(wanted, AbstractSet) else found == wanted


def _flat(event: Event) -> Event:
    """Return the members that can be compared."""
    return {name: value for name, value in event.items() if isinstance(value, str | bool | int)}


def _everything(connection: socket.socket) -> bytes:
    pieces = []
    while piece := connection.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)
