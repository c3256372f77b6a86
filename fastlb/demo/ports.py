"""Which loopback ports the demo uses: the ones asked for where they are free, else the next free ones.

A port is tried and let go again; two demos that start at the same time do not choose the same one, any other program
may still be faster, and then whoever wanted to listen says so.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.errors import FastlbError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOST = "127.0.0.1"
SERVICES_FROM = 12000
"""Below the ports of the simulated agents and the kernel's own range."""

ServicePorts = defaultdict[str, int]
"""A port for whatever name it is asked for, always the same for the same name."""
TRIES = 1000


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens on 127.0.0.1; ``services`` has one for each app, by its id."""

    http: int
    https: int
    appid: int
    stats: int
    marathon: int
    services: ServicePorts


@contextmanager
def chosen_ports(wanted: Mapping[str, int]) -> Iterator[Ports]:
    """Give free ports, as near to the ``wanted`` ones (by field name) as can be. Raises FastlbError."""
    with ExitStack() as claims:
        named = {name: _claimed_port(port, claims) for name, port in wanted.items()}
        yield Ports(**named, services=defaultdict(lambda: _claimed_port(SERVICES_FROM, claims)))


def _claimed_port(wanted: int, claims: ExitStack) -> int:
    for port in range(wanted, min(wanted + TRIES, 65536)):
        if claim := _claim(port):
            claims.enter_context(claim)
            return port
    raise FastlbError(f"no port from {wanted} on is free on {HOST}; name another one")


def _claim(port: int) -> socket.socket | None:
    """Claim a port that nobody listens at: by a name that the kernel forgets with the socket, as the port itself has
    to stay free for HAProxy.
    """
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0fastlb-demo-port-{port}")
        socket.create_server((HOST, port)).close()
    except OSError:
        claim.close()
        return None
    return claim
