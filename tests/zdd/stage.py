"""A whole front for deployments: simulated Marathon, load balancers, load, and somebody who watches.

    zdd --> simulated Marathon --events--> fastlb + HAProxy, one or two <-- load of four kinds
     '------------------------ what they see --------------'

Nothing is faked but Marathon and its tasks. `Watch` looks every moment at how many tasks are healthy, and what the
deployment waits for: Marathon, requests that are still under way, or itself, which is what it costs beyond these.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import orjson

from fastlb.deployment import GROUP as GROUP_LABEL
from fastlb.simulator import shapes
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays
from fastlb.zdd.balancers import BalancerError, Balancers
from fastlb.zdd.draining import draining, places_of_tasks
from fastlb.zdd.lease import OWNER
from tests.fakes.front_door import FOREIGN, HTTP_PORT, STATS_PORT, app, front_door
from tests.fakes.load import ROOT, Load, Plan
from tests.zdd.sizes import CROWDS, LONG_S, Spent
from tests.zdd.tasks import SICK, BusyTasks, use_busy_tasks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fastlb.simulator.service import Service
    from fastlb.simulator.state import Task
    from fastlb.zdd.draining import Verdict
    from tests.fakes.front_door import FrontDoor

Json = dict[str, Any]

GROUP, HOST = "web", "web.test"
PORT, ALTERNATIVE = 26000, 26100
DELAYS = Delays(staging_s=0.05, starting_s=0.05, running_s=0.1, healthy_s=0.3, killing_s=0.01)
LOOK_EVERY_S = 0.1
ENDS_WITHIN_S = 400.0


class Moment(NamedTuple):
    """What was seen at a moment: healthy tasks of both colours, and what it was spent on."""

    at_s: float
    healthy: int
    spent: Spent


@dataclass
class Stage:
    """Everything that runs, and where; ``definition`` is what the app file says."""

    folder: Path
    marathon: SimulatedMarathon
    tasks: BusyTasks
    doors: list[FrontDoor]
    definition: Json
    runs: list[subprocess.Popen[bytes]] = field(default_factory=list)
    version: int = 0

    @property
    def balancer_urls(self) -> list[str]:
        return [f"http://{door.address}:{STATS_PORT}" for door in self.doors]

    @property
    def load(self) -> Load:
        where = [f"{door.address}:{HTTP_PORT}" for door in self.doors]
        return Load(Plan(HOST, where, CROWDS, long_s=LONG_S))

    def zdd(self, *flags: str, **labels: str) -> subprocess.Popen[bytes]:
        """Start ``fastlb zdd`` on the app file, with more ``labels``; its output goes to a file of its own.

        The file is a new version, unless ``flags`` are to go on with one.
        """
        number = len(self.runs) + 1
        self.version += "--resume" not in flags
        path = self.folder / f"app-{number}.json"
        labels = self.definition["labels"] | {"VERSION": str(self.version)} | labels
        path.write_text(json.dumps(self.definition | {"labels": labels}))
        words = ["--marathon", self.marathon.url, "--json", str(path), "--force", "--syslog-socket", "/dev/null"]
        words += ["--marathon-lb", *self.balancer_urls, "--step-delay", "0.25", "--max-wait", "120"]
        mine = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        with self.said(number).open("wb") as said:
            self.runs.append(
                subprocess.Popen(
                    [sys.executable, "-m", "fastlb", "zdd", *words, *flags],
                    cwd=ROOT,
                    env=mine,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                )
            )
        return self.runs[-1]

    def said(self, number: int) -> Path:
        """Where a run's output is; they are counted from 1."""
        return self.folder / f"zdd-{number}"

    def outputs(self) -> str:
        """Return the last lines of the last runs, for a failure."""
        numbers = range(max(1, len(self.runs) - 2), len(self.runs) + 1)
        return "\n".join(f"--- run {each}\n{self.said(each).read_text(errors='replace')[-3000:]}" for each in numbers)

    def ends(self, *flags: str, **labels: str) -> int:
        """Run it to its end and return its exit code."""
        return self.zdd(*flags, **labels).wait(ENDS_WITHIN_S)

    def apps(self) -> list[Json]:
        """Return the apps of the group as Marathon shows them, tasks included; whatever else there is is zdd's own."""

        def read(service: Service) -> list[bytes]:
            apps, dialect = service.cluster.apps.values(), service.cluster.world.dialect
            members = [each for each in apps if GROUP_LABEL in each.definition.labels]
            return [shapes.app_bytes(each, dialect, frozenset({"tasks"})) for each in members]

        return [orjson.loads(each) for each in self.marathon.call(read)]

    def instances(self) -> dict[str, int]:
        """Return how many instances each app has."""
        return {document["id"]: document["instances"] for document in self.apps()}

    def see(self, documents: list[Json]) -> Verdict:
        """Return what the load balancers see of the tasks."""
        places = {task: where for document in documents for task, where in places_of_tasks(document, {}).items()}
        return draining(Balancers(self.balancer_urls, 5.0, app_id=GROUP).look(), places)

    def is_at_work(self) -> bool:
        """Whether the last run holds the lock: its process has started, and is not done."""
        lock = self.marathon.call(lambda service: service.cluster.apps.get(f"/{GROUP}-zdd"))
        return bool(lock and self.runs and f"/{self.runs[-1].pid}/" in lock.definition.labels[OWNER])

    def all_ready(self) -> bool:
        """Whether every load balancer gives every task requests."""
        documents = self.apps()
        with contextlib.suppress(BalancerError):
            verdict = self.see(documents)
            wanted = sum(int(document["instances"]) for document in documents)
            return len(verdict.ready(verdict.tasks)) == wanted > 0
        return False

    def close(self) -> None:
        """End whatever run goes on."""
        for run in self.runs:
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)
                run.wait()


@contextlib.contextmanager
def staged(folder: Path, *, instances: int, balancers: int, flags: Sequence[str] = ()) -> Iterator[Stage]:
    """Set the stage: load balancers, started with these flags, that have read a cluster without apps."""
    with contextlib.ExitStack() as stack:
        marathon = stack.enter_context(SimulatedMarathon(SimulatorSettings(delays=DELAYS)))
        tasks = use_busy_tasks(marathon)
        marathon.call(_keep_sick_ones_sick)
        marathon.load([app("other", PORT - 1, instances=1)])
        doors = []
        for number in range(balancers):
            (folder / str(number)).mkdir()
            door = stack.enter_context(front_door(folder / str(number)))
            doors.append(door.up(marathon.url, *flags))
        marathon.delete_app("/other")
        marathon.wait_idle()
        stage = Stage(folder, marathon, tasks, doors, definition(instances))
        stack.callback(stage.close)
        yield stage


def definition(instances: int) -> Json:
    """Return what the app file says."""
    labels = {GROUP_LABEL: GROUP, "HAPROXY_DEPLOYMENT_ALT_PORT": str(ALTERNATIVE)}
    return app(GROUP, PORT, instances=instances, checks=True, labels=labels)


def _keep_sick_ones_sick(service: Service) -> None:
    instances = service.cluster.instances
    set_health = instances.set_health

    def honest(task: Task, *, alive: bool) -> None:
        set_health(task, alive=alive and SICK not in task.definition.labels)

    instances.set_health = honest  # type: ignore[method-assign]


class Watch:
    """A context manager that looks at a stage every moment, from a thread of its own."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._failure: Exception | None = None
        self.moments: list[Moment] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(30.0)
        if self._failure is not None:
            raise self._failure

    @property
    def fewest_healthy(self) -> int:
        return min((moment.healthy for moment in self.moments), default=0)

    @property
    def shares(self) -> dict[Spent, float]:
        """Return which part of the time was spent on what."""
        spent_s = dict.fromkeys(Spent, 0.0)
        for now, then in pairwise(self.moments):
            spent_s[now.spent] += then.at_s - now.at_s
        return {what: each_s / (sum(spent_s.values()) or 1.0) for what, each_s in spent_s.items()}

    def _look(self) -> None:
        try:
            while not self._over.wait(LOOK_EVERY_S):
                documents = self._stage.apps()
                healthy = sum(_is_healthy(task) for document in documents for task in document["tasks"])
                deploys = any(document["deployments"] for document in documents)
                with contextlib.suppress(BalancerError):
                    seen = self._stage.see(documents).tasks.values()
                    drains = any(task.out and task.held for task in seen)
                    own = Spent.NOTICING if self._stage.is_at_work() else Spent.STARTING
                    spent = Spent.DEPLOYING if deploys else Spent.DRAINING if drains else own
                    self.moments.append(Moment(monotonic(), healthy, spent))
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits in __exit__
            self._failure = error


def _is_healthy(task: Json) -> bool:
    results = task.get("healthCheckResults") or []
    return task.get("state") == "TASK_RUNNING" and bool(results) and all(result["alive"] for result in results)
