"""What load balancers say of the servers they have: plain values between who asks them and who decides.

It must not know where they came from: a statistics page of some version, or fastlb's own endpoint.
"""

from __future__ import annotations

from typing import NamedTuple


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
