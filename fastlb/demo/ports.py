"""Which loopback ports the demo uses: the ones asked for where they are free, else the next free ones.

They are tried and let go again, so another program may still be faster; then fastlb says which port is held.
"""

from __future__ import annotations

import socket
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.errors import FastlbError

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def choose_ports(wanted: Mapping[str, int]) -> Ports:
    """Return free ports, as near to the ``wanted`` ones (by field name) as can be. Raises FastlbError."""
    taken: set[int] = set()
    named = {name: _free_port(port, taken) for name, port in wanted.items()}
    return Ports(**named, services=defaultdict(lambda: _free_port(SERVICES_FROM, taken)))


def _free_port(wanted: int, taken: set[int]) -> int:
    for port in range(wanted, min(wanted + TRIES, 65536)):
        if port not in taken and _is_free(port):
            taken.add(port)
            return port
    raise FastlbError(f"no port from {wanted} on is free on {HOST}; name another one")


def _is_free(port: int) -> bool:
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True
