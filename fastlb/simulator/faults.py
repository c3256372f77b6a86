"""Faults on demand: what goes wrong, how often, and for which paths.

Pure bookkeeping; `manners`, `stream` and `follower` ask `strike` at the place where the fault would happen,
`admin` and `SimulatedMarathon` arm and clear.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """The catalogue; what ``value`` means stands beside each."""

    ERROR = "error"
    """An error answer; value: its status, 500 by default."""
    SLOW = "slow"
    """An answer that comes late; value: seconds, 15 by default."""
    TRUNCATED = "truncated"
    """An answer cut in the middle of its body."""
    HTML = "html"
    """200 with a page of HTML, as a portal in between would send."""
    UNAUTHORIZED = "unauthorized"
    """401 with Basic challenge and HTML body (MARATHON.md 8)."""
    WRONG_JSON = "wrong-json"
    """200 with JSON that no Marathon answers; value: which of `WRONG_JSONS`, the first by default."""
    NO_APPS = "no-apps"
    """GET /v2/apps answers an empty list."""
    STALLED_STREAM = "stalled-stream"
    """Event streams stay open and send nothing, no heartbeat either."""
    LOST_EVENTS = "lost-events"
    """Events reach nobody."""
    DUPLICATE_EVENTS = "duplicate-events"
    """Events are sent twice."""
    NO_LEADER = "no-leader"
    """The follower knows no leader."""


DEFAULT_VALUES = {Fault.ERROR: 500.0, Fault.SLOW: 15.0}
WRONG_JSONS = (
    b"{}",
    b"[]",
    b'{"apps": null, "app": 7}',
    b'{"apps": [7, null], "app": [{}]}',
    b'{"apps": [{"id": 7}], "app": {"id": 7}}',
    b'{"apps": [{"name": "/web"}, {}], "app": {"tasks": 1}}',
    b"\x00\xff\xfe",
)


@dataclass(slots=True)
class Armed:
    """One armed fault; ``times`` None: until cleared."""

    times: int | None
    value: float
    path: str
    """Only requests whose path begins with it."""


class Faults:
    """The faults that are armed now, at most one of each kind."""

    def __init__(self) -> None:
        self._armed: dict[Fault, Armed] = {}

    def arm(self, fault: Fault, *, times: int | None = None, value: float | None = None, path: str = "/") -> None:
        """Let ``fault`` happen the next ``times`` times, or until it is cleared."""
        value = DEFAULT_VALUES.get(fault, 0.0) if value is None else value
        self._armed[fault] = Armed(times, value, path)

    def clear(self, fault: Fault | None = None) -> None:
        """Disarm ``fault``, or all."""
        if fault is None:
            self._armed.clear()
        else:
            self._armed.pop(fault, None)

    def armed(self, fault: Fault) -> bool:
        """Whether ``fault`` would happen now; counts nothing."""
        return fault in self._armed

    def strike(self, fault: Fault, path: str = "/") -> float | None:
        """The value of ``fault`` if it happens now, else None; counts one of its times."""
        armed = self._armed.get(fault)
        if armed is None or not path.startswith(armed.path):
            return None
        if armed.times is not None:
            armed.times -= 1
            if armed.times <= 0:
                del self._armed[fault]
        return armed.value

    def listed(self) -> dict[str, dict[str, object]]:
        """What is armed, for people."""
        return {
            fault.value: {"times": armed.times, "value": armed.value, "path": armed.path}
            for fault, armed in self._armed.items()
        }
