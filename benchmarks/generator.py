"""A seeded cluster, and Marathon's answer about it: equal arguments give equal bytes, on every machine.

The cluster is the simulator's (its ``population`` says what apps there are), without a socket or a thread; nothing in
it ever happens.
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
    from benchmarks.figures import Size
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


def apps_answer(size: Size) -> bytes:
    """Return what ``GET /v2/apps?embed=apps.tasks`` answers for a cluster of that size."""
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
    cluster.load(population(*size, seed=SEED))
    return b'{"apps":[%s]}' % b",".join(shapes.app_bytes(app, dialect, EMBEDS) for app in cluster.apps.values())


def event_stream(megabytes: float) -> bytes:
    """Return about so many megabytes of an event stream: task events of one app after another, as Marathon's are."""
    events, held, number, seed = [], 0, 0, Random(SEED)
    while held < megabytes * 1e6:
        number += 1
        task = f"shop_svc-{number % 5000}.instance-{seed.getrandbits(128):032x}._app.1"
        event = (
            f'event: status_update_event\r\ndata: {{"slaveId":"agent-S{number % 32}","taskId":"{task}",'
            f'"taskStatus":"TASK_RUNNING","message":"","appId":"/shop/svc-{number % 5000}","host":"127.0.0.9",'
            f'"ipAddresses":[{{"ipAddress":"127.99.100.7","protocol":"IPv4"}}],"ports":[31000],'
            f'"version":"2020-05-22T08:00:00.000Z","eventType":"status_update_event",'
            f'"timestamp":"2020-05-22T08:00:00.000Z"}}\r\n\r\n'
        ).encode()
        events.append(event)
        held += len(event)
    return b"".join(events)
