"""Random change to a simulated cluster, as operators and failing tasks make it: equal seeds ask for equal changes.

What is changed stays of the same size: what was deleted is created again. Host names and ports stay unique, since who
of two wins depends on history, and a fresh render has none.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

from fastlb.simulator.population import population
from fastlb.simulator.refusals import Refusal
from tests.fakes.front_door import app

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from fastlb.simulator.server import SimulatedMarathon
    from tests.soak.sizes import Sizes

WEB, FLUX, HELD = 28000, 28001, 28002
NEW = 28100
MOST_NEW, MOST_SICK = 20, 10
FEWEST_TASKS, MOST_TASKS = 1, 6
FEWEST_LOADED = 3
SEED = 7
BALANCES = ("roundrobin", "leastconn", "source")

Json = dict[str, Any]


def watched() -> list[Json]:
    """Return the apps that get requests: `web` is never touched, `flux` is scaled, `held` keeps connections."""
    tcp = {"HAPROXY_0_MODE": "tcp", "HAPROXY_0_VHOST": ""}
    return [app("web", WEB, instances=4), app("flux", FLUX, instances=4), app("held", HELD, labels=tcp)]


class Changes:
    """``made`` counts what was done, by kind; ``refused`` what Marathon would not do, as the app was locked."""

    def __init__(self, cluster: SimulatedMarathon, sizes: Sizes, calm: Event) -> None:
        """``calm`` is set while Marathon can be heard: only then tasks with load on them go."""
        self._cluster = cluster
        self._calm = calm
        self._random = Random(SEED)
        self._pause_s = 1 / sizes.changes_per_s
        self._apps: dict[str, Json] = {each["id"]: each for each in population(sizes.apps, sizes.tasks)}
        self._ids = sorted(self._apps)
        self._pairs = [each for each in self._ids if each.endswith("-blue")]
        self._new: list[int] = []
        self._sick: list[str] = []
        self._number = 0
        self.made: Counter[str] = Counter()
        self.refused = 0

    def load(self) -> None:
        """Fill the cluster."""
        self._cluster.load([*watched(), *self._apps.values()])

    def go_on(self, stop: Event) -> None:
        """Change one thing after another until it is told to stop; then nobody is sick any more."""
        ways = {way: share for way, share in self._ways().items() if share}
        while not stop.wait(self._pause_s):
            (way,) = self._random.choices(tuple(ways), tuple(ways.values()))
            self._try(way)
        self._cluster.wait_idle()
        while self._sick:
            self._try(self._heal)

    def _ways(self) -> dict[Callable[[], None], int]:
        return {
            self._scale: 25,
            self._kill: 15,
            self._fail: 5,
            self._sicken: 10,
            self._heal: 10,
            self._scale_loaded: 10,
            self._move: 8,
            self._relabel: 4,
            self._restart: 4,
            self._shift_colours: 4 if self._pairs else 0,
            self._create: 3,
            self._delete: 3,
        }

    def _try(self, way: Callable[[], None]) -> None:
        try:
            way()
        except Refusal:
            self.refused += 1
        else:
            self.made[way.__name__.strip("_").replace("_", " ")] += 1

    def _any(self) -> str:
        return self._random.choice(self._ids)

    def _any_task(self) -> str:
        tasks: list[str] = [task["id"] for task in self._cluster.tasks(self._any()) if task["state"] == "TASK_RUNNING"]
        if not tasks:
            raise Refusal(404, "no task runs")
        return self._random.choice(tasks)

    def _scale(self) -> None:
        self._cluster.scale(self._any(), self._random.randint(FEWEST_TASKS, MOST_TASKS))

    def _scale_loaded(self) -> None:
        if not self._calm.is_set():
            raise Refusal(503, "nobody would hear of it")
        self._cluster.scale("/flux", self._random.randint(FEWEST_LOADED, MOST_TASKS))

    def _kill(self) -> None:
        self._cluster.kill_task(self._any_task())

    def _fail(self) -> None:
        self._cluster.fail_task(self._any_task())

    def _sicken(self) -> None:
        task = self._any_task()
        self._cluster.set_healthy(task, False)
        self._sick.append(task)
        if len(self._sick) > MOST_SICK:
            self._heal()

    def _heal(self) -> None:
        if self._sick:
            self._cluster.set_healthy(self._sick.pop(0), True)

    def _move(self) -> None:
        """Another host name, where an app has one: live with maps."""
        app_id = self._any()
        labels = self._apps[app_id]["labels"]
        if "HAPROXY_DEPLOYMENT_GROUP" in labels or "HAPROXY_0_VHOST" not in labels:
            raise Refusal(409, "its host name is another's too")
        self._number += 1
        self._label(app_id, {"HAPROXY_0_VHOST": f"moved-{self._number}.example.com"})

    def _relabel(self) -> None:
        """Another way to balance: a reload."""
        self._label(self._any(), {"HAPROXY_0_BALANCE": self._random.choice(BALANCES)})

    def _label(self, app_id: str, labels: dict[str, str]) -> None:
        definition = self._apps[app_id]
        definition["labels"] = {**definition["labels"], **labels}
        self._cluster.update_app(app_id, {"labels": definition["labels"]})

    def _restart(self) -> None:
        self._cluster.restart_app(self._any())

    def _shift_colours(self) -> None:
        """One step of a deployment from one colour to the other, or back."""
        blue = self._random.choice(self._pairs)
        tasks = self._random.randint(0, 3)
        self._cluster.scale(blue, tasks)
        self._cluster.scale(blue.removesuffix("blue") + "green", 3 - tasks)

    def _create(self) -> None:
        if len(self._new) >= MOST_NEW:
            self._delete()
        self._number += 1
        place = next(each for each in range(MOST_NEW + 1) if each not in self._new)
        self._cluster.create_app(app(f"new{place}", NEW + place, checks=True))
        self._new.append(place)

    def _delete(self) -> None:
        if self._new:
            self._cluster.delete_app(f"/new{self._new[0]}")
            self._new.pop(0)
