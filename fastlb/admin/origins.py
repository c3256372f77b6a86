"""Where a request to the admin server comes from: through which socket, from which address, with which token."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp.web import Request

CLIENT = "X-Fastlb-Client"
"""HAProxy puts the address of its client there, whatever the client sent."""


def came_through(request: Request, socket_path: Path) -> bool:
    """Whether a request came through this socket."""
    transport = request.transport
    return transport is not None and transport.get_extra_info("sockname") == str(socket_path)


def client_of(request: Request) -> str:
    """Return the address of HAProxy's client; empty if HAProxy names none."""
    return request.headers.get(CLIENT, "")


def token_of(request: Request) -> str:
    """Return the token that a request brings; empty if there is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
