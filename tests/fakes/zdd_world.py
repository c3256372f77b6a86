"""A cluster in a few numbers: two apps, Marathon that starts and kills tasks, load balancers that follow the rule.

The rule of COMPAT.md 3.2 is written down here once more, from the page and not from the code, over nothing but names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastlb.zdd.draining import TaskSeen, Verdict
from fastlb.zdd.machine import Aim, Delete, Kill, Scale, Scene
from fastlb.zdd.state import Side, TaskState

if TYPE_CHECKING:
    from fastlb.zdd.machine import Step


@dataclass
class AppThere:
    app_id: str
    instances: int
    target: int | None
    scaled_at: int = 0
    healthy: dict[str, bool] = field(default_factory=dict)
    dying: set[str] = field(default_factory=set)
    """Tasks that were killed and take their time; Marathon lists them as running (MARATHON.md 3.2)."""
    born: int = 0

    def side(self) -> Side:
        tasks = tuple(TaskState(*task) for task in self.healthy.items())
        busy = ("some",) if len(self.healthy) != self.instances or self.dying else ()
        return Side(self.app_id, self.instances, tasks, busy, f"{self.scaled_at:06d}", "1", self.target)

    def bury(self) -> None:
        for task in self.dying:
            del self.healthy[task]
        self.dying.clear()

    def launch(self) -> None:
        self.born += 1
        self.healthy[f"{self.app_id}.{self.born:03d}"] = False


class Cluster:
    """``views`` load balancers, each of which may lag behind."""

    def __init__(self, new: AppThere, old: AppThere, views: int = 1) -> None:
        self.new, self.old = new, old
        self.apps = {new.app_id: new, old.app_id: old}
        self.time = max(new.scaled_at, old.scaled_at)
        self.held: dict[str, int] = {}
        self.views: list[dict[str, bool]] = [{} for _ in range(views)]
        for view in range(views):
            self.follow(view)

    def marked(self) -> set[str]:
        """Who is to drain by the rule."""
        new, old = self.new, self.old
        if self.new.app_id not in self.apps or self.old.app_id not in self.apps:
            return set()
        if old.scaled_at > new.scaled_at:
            new, old = old, new
        assert new.target is not None, "a generator would give up on such a group"
        healthy = sum(new.healthy.values())
        count = min(len(old.healthy), healthy, max(0, healthy + old.instances - new.target))
        return set(sorted(old.healthy)[:count])

    def follow(self, view: int) -> None:
        marked = self.marked()
        self.views[view] = {task: task in marked for app in self.apps.values() for task in app.healthy}

    def settle(self) -> None:
        """All that was begun comes to its end."""
        for app in self.apps.values():
            app.bury()
            while len(app.healthy) < app.instances:
                app.launch()
            app.healthy = dict.fromkeys(app.healthy, True)
        for view in range(len(self.views)):
            self.follow(view)
        self.held.clear()

    def scene(self, *, late: bool = False) -> Scene:
        tasks = [task for app in self.apps.values() for task in app.healthy]
        old = self.old.side() if self.old.app_id in self.apps else Side(self.old.app_id, 0)
        return Scene(self.new.side(), old, Verdict({task: self._seen(task) for task in tasks}, ()), late)

    def _seen(self, task: str) -> TaskSeen:
        names = [(f"lb{number}", view) for number, view in enumerate(self.views)]
        up = tuple(name for name, view in names if view.get(task) is False)
        healthy = any(app.healthy.get(task) for app in self.apps.values())
        out = tuple(name for name, view in names if view.get(task) is True)
        absent = tuple(name for name, view in names if task not in view)
        return TaskSeen(task, up, up if healthy else (), out, absent, self.held.get(task, 0), 0)

    def do(self, step: Step, *, dies_after_kill: bool = False) -> None:
        """Carry out one step, as Marathon would; of a kill only the first half, if the run dies there."""
        if isinstance(step, Scale):
            self.scale(step)
        elif isinstance(step, Kill):
            app = self.apps[step.app_id]
            assert not app.dying & set(step.task_ids), "Marathon would lower the instances once more"
            app.dying.update(step.task_ids)
            app.instances -= len(step.task_ids)
            self._scaled(app)
            if step.then and not dies_after_kill:
                self.scale(step.then)
        elif isinstance(step, Delete):
            del self.apps[step.app_id]

    def scale(self, step: Scale) -> None:
        app = self.apps[step.app_id]
        assert step.instances > app.instances, "the machine never has Marathon choose whom to kill"
        app.instances = step.instances
        self._scaled(app)

    def _scaled(self, app: AppThere) -> None:
        self.time += 1
        app.scaled_at = self.time

    def healthy(self) -> int:
        """How many tasks are healthy and will be."""
        return sum(good for app in self.apps.values() for task, good in app.healthy.items() if task not in app.dying)

    def running(self) -> set[str]:
        """The tasks that are healthy as Marathon lists them."""
        return {task for app in self.apps.values() for task, good in app.healthy.items() if good}

    def serving(self) -> set[str]:
        """The healthy tasks that some load balancer gives requests."""
        return {task for view in self.views for task, out in view.items() if not out} & self.running()


def cluster(new: int, old: int, total: int, *, views: int = 1, old_target: int | None = -1) -> Cluster:
    """A swap under way, all tasks healthy; the new app was scaled last."""
    target = total if old_target == -1 else old_target
    made = Cluster(AppThere("/new", new, total, 2), AppThere("/old", old, target, 1), views)
    made.settle()
    return made


def aim_of(made: Cluster, **more: int | bool) -> Aim:
    total = made.new.target or 0
    return Aim("web", made.new.app_id, made.old.app_id, total, thins=(made.old.target or 0) >= total)._replace(**more)
