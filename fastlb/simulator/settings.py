"""What a simulated Marathon can be asked to be, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastlb.simulator.world import Delays


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Defaults suit tests: any free port, short delays, the newest release."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any free port."""
    version_shape: str = "1.8"
    """A key of `dialects.DIALECTS`."""
    seed: int = 0
    real_servers: int = 200
    """This many tasks listen at addresses of their own, all further ones share some."""
    agents: tuple[str, ...] = ()
    """Names or addresses of the agents, all loopback; empty: 127.N.0.1 and up."""
    delays: Delays = field(default_factory=Delays)
    heartbeat_s: float = 10.0
    attach_delay_s: float = 0.0
    """Between the headers of a stream and its `event_stream_attached`."""
    authorization: str | None = None
    """The Authorization header that every request must carry."""
    follower: bool = False
    """Also listen at a second address that proxies to the leader (MARATHON.md 1.8)."""
    leader_read_timeout_s: float = 10.0
    """How long the follower waits for the next byte of the leader."""
