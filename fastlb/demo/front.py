"""Requests through HAProxy's doors, as any client makes them; loopback only.

Knows addresses and HTTP, nothing of apps. Every request has a time limit and always ends in an `Answer`: what went
wrong on the way is an answer with status 0.
"""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from socket import create_connection
from typing import TYPE_CHECKING

from fastlb.demo.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Request:
    """GET ``path`` at a port of 127.0.0.1 with these headers; with ``tls`` the name in Host is also the SNI name."""

    port: int
    headers: tuple[tuple[str, str], ...] = ()
    path: str = "/"
    tls: bool = False

    @property
    def host(self) -> str:
        """Return the name in its Host header, or the address."""
        return dict(self.headers).get("Host", HOST)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: ``status`` 0 means nothing usable did, and ``body`` says why. Header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: str
    at_s: float
    """When it was complete; Unix seconds."""

    @property
    def task(self) -> str | None:
        """Return the id of the task that answered."""
        if self.status != 200 or self.headers.get("content-type") != "application/json":
            return None
        task: str | None = json.loads(self.body).get("task")
        return task

    def __str__(self) -> str:
        """Say it in a few words."""
        return f"status {self.status}" if self.status else f"no answer ({self.body})"


def ask(request: Request, within_s: float = TIMEOUT_S) -> Answer:
    """Send ``request`` on a new connection; HAProxy may be silent for so long."""
    try:
        connection = connect(request, within_s)
    except OSError as error:
        return failure(error)
    with_closing = dict(request.headers) | {"Connection": "close"}
    try:
        return exchange(connection, request, with_closing)
    except (OSError, HTTPException) as error:
        return failure(error)
    finally:
        connection.close()


def connect(request: Request, within_s: float = TIMEOUT_S) -> HTTPConnection:
    """Open a connection for ``request``, with this limit for each wait. Raises OSError."""
    connection = HTTPConnection(HOST, request.port, timeout=within_s)
    plain = create_connection((HOST, request.port), timeout=within_s)
    connection.sock = _any_certificate().wrap_socket(plain, server_hostname=request.host) if request.tls else plain
    return connection


def exchange(connection: HTTPConnection, request: Request, headers: Mapping[str, str]) -> Answer:
    """Send ``request`` with ``headers`` on an open connection. Raises OSError and HTTPException."""
    connection.request("GET", request.path, headers=dict(headers))
    response = connection.getresponse()
    body = response.read().decode(errors="replace")
    named = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, named, body, time.time())


def failure(error: Exception) -> Answer:
    """Return the answer that stands for none."""
    return Answer(0, {}, f"{type(error).__name__}: {error}", time.time())


def _any_certificate() -> ssl.SSLContext:
    """The demo's certificate is made on the spot, nobody can vouch for it; curl is told the same with -k."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
