"""What every living part of a cluster shares: time, chance, addresses, delays, and who is told.

Pure apart from the two callables it is given. Parts publish through `World.publish`; who listens is not their
business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from fastlb.simulator.addresses import Addresses
    from fastlb.simulator.agenda import Agenda
    from fastlb.simulator.definitions import Json
    from fastlb.simulator.dialects import Dialect
    from fastlb.simulator.state import Task


@dataclass(slots=True)
class Delays:
    """How long each step takes, in seconds; 0 makes it happen within the step before."""

    visible_s: float = 0.0
    """From `deployment_info` to the definition that a GET shows (MARATHON.md 5.6)."""
    staging_s: float = 0.01
    starting_s: float = 0.01
    running_s: float = 0.01
    address_s: float = 0.0
    """From RUNNING to the task's `ipAddresses`."""
    healthy_s: float = 0.01
    """From RUNNING to the first health result, and from a leader change to the next."""
    killing_s: float = 0.01
    relaunch_s: float = 0.05
    """From a task's unplanned end to its successor; Marathon's launch backoff."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``heavy`` gives what heavy plans carry on top of ``plan`` (MARATHON.md 5.1)."""

    kind: str
    body: Json
    heavy: Callable[[], Json] | None = None


class Audience(Protocol):
    """Who has to know what happens in a cluster."""

    def published(self, event: Event) -> None:
        """An event goes out to every stream."""

    def task_started(self, task: Task) -> None:
        """The task's process begins to listen."""

    def task_ended(self, task: Task) -> None:
        """The task's process is gone."""


@dataclass(slots=True)
class World:
    """The surroundings that instances and deployments live in."""

    dialect: Dialect
    delays: Delays
    agenda: Agenda
    addresses: Addresses
    random: Random
    audience: Audience
    wall_clock: Callable[[], datetime]
    _last_version: datetime = field(default_factory=lambda: datetime.min.replace(tzinfo=UTC))

    def timestamp(self) -> str:
        """Now, as Marathon writes it: UTC, always three decimals (MARATHON.md 2.1)."""
        return _written(self.wall_clock())

    def new_version(self) -> str:
        """A timestamp later than every version given out before."""
        now = self.wall_clock()
        self._last_version = max(
            now.replace(microsecond=now.microsecond // 1000 * 1000), self._last_version + MILLISECOND
        )
        return _written(self._last_version)

    def new_uuid(self) -> str:
        """A UUID from the seeded generator, so that equal seeds give equal clusters."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    def publish(self, kind: str, body: Json, heavy: Callable[[], Json] | None = None) -> None:
        """Send one event; every event object has its type and a timestamp."""
        self.audience.published(Event(kind, {**body, "eventType": kind, "timestamp": self.timestamp()}, heavy))


MILLISECOND = timedelta(milliseconds=1)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
