"""A seeded cluster, and Marathon's answer about it: equal arguments give equal bytes, on every machine.

The cluster is the simulator's, without a socket or a thread; nothing in it ever happens.
"""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING

from fastlb.simulator import shapes
from fastlb.simulator.addresses import Addresses
from fastlb.simulator.agenda import Agenda
from fastlb.simulator.cluster import Cluster
from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.population import population
from fastlb.simulator.world import Delays, World

if TYPE_CHECKING:
    from fastlb.simulator.state import Task
    from fastlb.simulator.world import Event

RELEASE = "1.8"
SEED = 0
LONG_AGO = datetime(2020, 5, 22, 8, tzinfo=UTC)
NETWORK = 99
EMBEDS = frozenset({"tasks"})


class Nobody:
    """The audience of a cluster in which nothing happens."""

    def published(self, event: Event) -> None:
        """Hear of an event."""

    def task_started(self, task: Task) -> None:
        """Hear of a task."""

    def task_ended(self, task: Task) -> None:
        """Hear of a task's end."""


def apps_answer(apps: int, tasks: int) -> bytes:
    """Return what ``GET /v2/apps?embed=apps.tasks`` answers for ``apps`` apps of ``tasks`` tasks each."""
    dialect = DIALECTS[RELEASE]
    world = World(
        dialect=dialect,
        delays=Delays(),
        agenda=Agenda(lambda: 0.0, lambda: None),
        addresses=Addresses(NETWORK, real_tasks=0),
        random=Random(SEED),
        audience=Nobody(),
        wall_clock=lambda: LONG_AGO,
    )
    cluster = Cluster(world)
    cluster.load(population(apps, tasks, seed=SEED))
    return b'{"apps":[%s]}' % b",".join(shapes.app_bytes(app, dialect, EMBEDS) for app in cluster.apps.values())
