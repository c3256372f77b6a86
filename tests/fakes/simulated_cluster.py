"""The simulated cluster under a clock that is moved by hand, with everything that it says."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from fastlb.simulator import shapes
from fastlb.simulator.addresses import Addresses
from fastlb.simulator.agenda import Agenda
from fastlb.simulator.cluster import Cluster
from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.world import Delays, World

EPOCH = datetime(2020, 5, 22, 8, tzinfo=UTC)
WEB = {"id": "/shop/web", "instances": 2, "labels": {"HAPROXY_GROUP": "external"}}
CHECKED = {**WEB, "healthChecks": [{"protocol": "HTTP"}]}


class Bench:
    """A cluster, its clock, and everything it said."""

    def __init__(self, release: str = "1.8", delays: Delays | None = None) -> None:
        self.now_s = 0.0
        self.events: list[Any] = []
        self.listening: set[str] = set()
        world = World(
            dialect=DIALECTS[release],
            delays=delays or Delays(),
            agenda=Agenda(lambda: self.now_s, lambda: None),
            addresses=Addresses(99, 1000),
            random=random.Random(1),
            audience=self,
            wall_clock=lambda: EPOCH + timedelta(seconds=self.now_s),
        )
        self.cluster = Cluster(world)

    def published(self, event):
        self.events.append(event)

    def task_started(self, task):
        self.listening.add(task.id)

    def task_ended(self, task):
        self.listening.discard(task.id)

    def move(self, seconds_s: float) -> None:
        self.now_s += seconds_s
        self.cluster.world.agenda.advance()

    def settle(self) -> None:
        for _ in range(1000):
            wait_s = self.cluster.world.agenda.advance()
            if self.cluster.idle:
                return
            assert wait_s is not None, "nothing is due, yet a deployment runs"
            self.now_s += wait_s
        pytest.fail("the cluster never became idle")

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event.body for event in self.events if event.kind == kind]

    def created(self, raw: dict[str, Any]):
        self.cluster.create(raw)
        self.settle()
        self.events.clear()
        return self.cluster.app(raw["id"])

    def json(self, app_id: str) -> dict[str, Any]:
        app = self.cluster.app(app_id)
        return orjson.loads(shapes.app_bytes(app, self.cluster.world.dialect, frozenset({"tasks"})))
