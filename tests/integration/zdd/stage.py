"""``fastlb zdd`` against a simulated Marathon: each way a run can end, with its exit code, and what stands then.

Load balancers are statistics made by the rule of deployment groups; tests/zdd has real ones, under load.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson

from fastlb.cli import build_parser
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.zdd.command import zdd_command
from fastlb.zdd.definitions import first_colour
from tests.fakes.statistics_page import statistics_page

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.statistics_page import StatisticsPage

Json = dict[str, Any]

LABELS = {"HAPROXY_GROUP": "external", "HAPROXY_DEPLOYMENT_GROUP": "shop", "HAPROXY_DEPLOYMENT_ALT_PORT": "10001"}
CHECK = {"protocol": "HTTP", "path": "/health", "portIndex": 0}
APP: Json = {
    "id": "/shop/api",
    "instances": 4,
    "cmd": "x",
    "labels": LABELS,
    "portDefinitions": [{"port": 10000}],
    "healthChecks": [CHECK],
}
BLUE = first_colour(APP | {"cmd": "older"}, "2026-01-01T00:00:00.000000")
FAST = ("--force", "--step-delay", "0.05", "--retry-for", "1", "--max-wait", "20", "--health-timeout", "20")


class Stage:
    """A Marathon, load balancers, and the file of an app."""

    def __init__(self, marathon: SimulatedMarathon, folder: Path) -> None:
        self.marathon = marathon
        self.file = folder / "app.json"
        self.folder = folder
        self.balancers: list[StatisticsPage] = []
        self.write(APP)

    def write(self, definition: Json | str) -> None:
        text = definition if isinstance(definition, str) else orjson.dumps(definition).decode()
        self.file.write_text(text)

    def words(self, *more: str, force: bool = True) -> list[str]:
        urls = [page.url for page in self.balancers]
        fast = FAST if force else FAST[1:]
        return ["zdd", "-m", self.marathon.url, "-l", *urls, "-j", str(self.file), *fast, *more]

    def run(self, *more: str, force: bool = True) -> int:
        return zdd_command(build_parser().parse_args(self.words(*more, force=force)), {})

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "fastlb", *self.words("--output", "json", *more)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def sizes(self) -> dict[str, int]:
        apps = self.marathon.call(lambda service: list(service.cluster.apps.values()))
        return {app.definition.id: app.definition.instances for app in apps}

    def started(self, app_id: str) -> str | None:
        """Return when an app was deployed, which tells it from another of its colour; None if it is not there."""
        app = self.marathon.call(lambda service: service.cluster.apps.get(app_id))
        return app.definition.labels["HAPROXY_DEPLOYMENT_STARTED_AT"] if app else None

    def healthy(self) -> int:
        apps = self.marathon.call(lambda service: list(service.cluster.apps.values()))
        return sum(task.ready for app in apps for task in list(app.tasks.values()))

    def hook(self, text: str) -> str:
        path = self.folder / "hook"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)


@contextlib.contextmanager
def staged(folder: Path, *apps: Json, balancers: int = 1, **settings: Any) -> Iterator[Stage]:
    with contextlib.ExitStack() as stack:
        marathon = stack.enter_context(SimulatedMarathon(SimulatorSettings(**settings)))
        marathon.load(apps)
        stage = Stage(marathon, folder)
        stage.balancers = [stack.enter_context(statistics_page(marathon)) for _ in range(balancers)]
        yield stage
