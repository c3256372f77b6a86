"""What load balancers say of the servers they have: plain values between who asks them and who decides.

It must not know where they came from: a statistics page of some version, or fastlb's own endpoint.
"""

from __future__ import annotations

from typing import NamedTuple

OUT = "MAINT"
"""How every status of a server begins that is out: ``MAINT``, ``MAINT (via web_1/a)``, ``MAINT (resolution)``."""
TAKES = ("UP", "no check", "OPEN")
"""How every status of a server begins that is given new requests, as far as HAProxy knows."""


class ServerSeen(NamedTuple):
    """One server of one load balancer."""

    backend: str
    host: str
    port: int
    status: str
    """As HAProxy words it: ``UP``, ``MAINT``, ``DRAIN``, ``DOWN``, ``no check``."""

    sessions: int
    queued: int


class BalancerSeen(NamedTuple):
    """All servers of one load balancer."""

    address: str
    servers: tuple[ServerSeen, ...]
    """A server is there once for each worker of HAProxy that has it and that can be looked into, old ones too."""

    unseen_workers: int = 0
    """Old workers that may hold connections, which nobody can look into: a reload goes on."""
