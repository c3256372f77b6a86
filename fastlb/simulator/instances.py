"""The life of tasks: launched, staged, started, running, checked, killed, failed, launched anew.

Pure: each life is a process on the agenda. A task's state is changed before its events are published, so that
whoever looks because of an event sees the change (MARATHON.md 5.6). Deployments only ask for launches and
kills.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.simulator.definitions import MARATHON_RUN, Mode
from fastlb.simulator.state import Health, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.simulator.agenda import Process
    from fastlb.simulator.definitions import Json
    from fastlb.simulator.state import App
    from fastlb.simulator.world import World


class Instances:
    """Everything that happens to tasks, and the index of all of them by id."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.tasks: dict[str, Task] = {}

    def launch(self, app: App) -> Task:
        """Begin the life of one more instance."""
        task = self._new_task(app, self._world.new_uuid(), 1)
        self._world.agenda.spawn(self._life(task))
        return task

    def appear(self, app: App) -> Task:
        """One more instance that has been running and healthy for long: no delays, no events."""
        task = self._new_task(app, self._world.new_uuid(), 1)
        task.state, task.started_at, task.address_known = "TASK_RUNNING", task.staged_at, True
        task.health = [self._result(None, alive=True) for _ in task.health]
        self._world.audience.task_started(task)
        return task

    def kill(self, task: Task) -> None:
        """Stop ``task`` for good, after the killing delay."""
        if task.stopping:
            return
        task.stopping = True
        if self._world.dialect.keeps_dead and not task.dead:
            self._publish_instance(task)  # 1.8+ reports the changed goal under the old condition
        self._world.agenda.spawn(self._death(task))

    def kill_and_replace(self, task: Task) -> None:
        """Stop ``task`` and launch another instance in its place."""
        self.kill(task)
        self._world.agenda.spawn(self._replacement(task.app, lambda: task.id not in self.tasks))

    def end(self, task: Task, state: str = "TASK_FAILED", message: str = "Command exited with status 1") -> None:
        """The task ends by itself; Marathon launches it anew after the backoff."""
        now = self._world.timestamp()
        task.app.last_failure = {
            "appId": task.app.definition.id,
            "host": task.place.host,
            "message": message,
            "state": state,
            "taskId": task.id,
            "timestamp": now,
            "version": task.version,
            "slaveId": task.place.agent_id,
        }
        if not self._world.dialect.keeps_dead:
            self._remove(task, state, message)
            self._world.agenda.spawn(self._replacement(task.app, lambda: True))
            return
        self._world.audience.task_ended(task)
        self.set_state(task, state, message)
        self._world.agenda.spawn(self._relaunch(task))

    def set_state(self, task: Task, state: str, message: str = "") -> None:
        """Mesos reports ``state`` for ``task``, such as TASK_UNREACHABLE and TASK_RUNNING again."""
        task.state = state
        task.app.touch()
        self._publish_status(task, message)
        self._publish_instance(task)
        self._world.agenda.stir()

    def set_health(self, task: Task, *, alive: bool) -> None:
        """Every check of the app reports ``alive`` for ``task``; flips are published (MARATHON.md 5.5)."""
        flips = [alive is not (was is not None and was.alive) for was in task.health]
        before = task.healthy
        task.health = [self._result(was, alive=alive) for was in task.health]
        task.app.touch()
        if task.healthy is not before:
            self._publish_instance_health(task)
        for flipped in flips:
            if flipped:
                self._publish_health(task, alive=alive)
        self._world.agenda.stir()

    def forget_marathon_health(self) -> None:
        """A new leader knows no result of its own checks until they ran again (MARATHON.md 3.3)."""
        for task in list(self.tasks.values()):
            checks = task.definition.health_checks
            lost = [check["protocol"] in MARATHON_RUN for check in checks]
            if any(lost) and task.state == "TASK_RUNNING":
                alive = task.healthy is not False
                task.health = [None if gone else result for gone, result in zip(lost, task.health, strict=True)]
                task.app.touch()
                self._world.agenda.spawn(self._checked_again(task, alive))

    def _new_task(self, app: App, uuid: str, incarnation: int) -> Task:
        world = self._world
        name = app.definition.id[1:].replace("/", "_")
        keeps_dead = world.dialect.keeps_dead
        task_id = f"{name}.instance-{uuid}._app.{incarnation}" if keeps_dead else f"{name}.{uuid}"
        instance_id = f"{name}.instance-{uuid}" if keeps_dead else f"{name}.marathon-{uuid}"
        place = world.addresses.place(app.definition, [task.place for task in app.tasks.values()])
        task = Task(
            app, app.definition, task_id, instance_id, incarnation, place, app.version, staged_at=world.timestamp()
        )
        task.health = [None] * len(app.definition.health_checks)
        app.tasks[task.id] = self.tasks[task.id] = task
        app.touch()
        return task

    def _life(self, task: Task) -> Process:
        delays = self._world.delays
        for condition in ("Scheduled", "Provisioned") if self._world.dialect.keeps_dead else ("Created",):
            self._publish_instance(task, condition)
        steps = (
            (delays.staging_s, "TASK_STAGING"),
            (delays.starting_s, "TASK_STARTING"),
            (delays.running_s, "TASK_RUNNING"),
        )
        for delay_s, state in steps:
            yield delay_s
            if self._interrupted(task):
                return
            self._enter(task, state)
        if not task.address_known:
            yield delays.address_s
            if self._interrupted(task):
                return
            task.address_known = True
            self.set_state(task, task.state)
        yield delays.healthy_s
        if task.health and not self._interrupted(task):
            self.set_health(task, alive=True)

    def _enter(self, task: Task, state: str) -> None:
        if state == "TASK_STARTING":
            self._world.audience.task_started(task)
        if state == "TASK_RUNNING":
            late = task.definition.mode is Mode.CONTAINER and self._world.delays.address_s > 0
            task.started_at, task.address_known = self._world.timestamp(), not late
        self.set_state(task, state)

    def _interrupted(self, task: Task) -> bool:
        return task.stopping or task.dead or task.id not in self.tasks

    def _death(self, task: Task) -> Process:
        yield self._world.delays.killing_s
        if task.id in self.tasks:
            self._remove(task, "TASK_KILLED", "Command terminated with signal Terminated")

    def _relaunch(self, task: Task) -> Process:
        yield self._world.delays.relaunch_s
        if task.stopping or task.id not in self.tasks:
            return
        self._forget(task)
        uuid = task.instance_id.partition(".instance-")[2]
        successor = self._new_task(task.app, uuid, task.incarnation + 1)
        yield from self._life(successor)

    def _replacement(self, app: App, gone: Callable[[], bool]) -> Process:
        yield gone
        yield self._world.delays.relaunch_s
        if len(app.staying) < app.definition.instances:
            self.launch(app)

    def _checked_again(self, task: Task, alive: bool) -> Process:
        yield self._world.delays.healthy_s
        if not self._interrupted(task):
            self.set_health(task, alive=alive)

    def _remove(self, task: Task, state: str, message: str) -> None:
        was_dead = task.dead
        self._forget(task)
        if was_dead:
            return
        self._world.audience.task_ended(task)
        self.set_state(task, state, message)

    def _forget(self, task: Task) -> None:
        self._world.addresses.release(task.place)
        del task.app.tasks[task.id], self.tasks[task.id]
        task.app.touch()

    def _result(self, was: Health | None, *, alive: bool) -> Health:
        now, was = self._world.timestamp(), was or Health(alive=False)
        if alive:
            return Health(True, 0, was.first_success or now, now, was.last_failure)
        return Health(False, was.consecutive_failures + 1, was.first_success, was.last_success, now)

    def _publish_status(self, task: Task, message: str) -> None:
        self._world.publish(
            "status_update_event",
            {
                "slaveId": task.place.agent_id,
                "taskId": task.id,
                "taskStatus": task.state,
                "message": message,
                "appId": task.app.definition.id,
                "host": task.place.host,
                "ipAddresses": [{"ipAddress": task.place.ip, "protocol": "IPv4"}] if task.address_known else [],
                "ports": list(task.place.host_ports),
                "version": task.version,
            },
        )

    def _publish_instance(self, task: Task, condition: str | None = None) -> None:
        words = task.state.removeprefix("TASK_").split("_")
        body: Json = {
            "instanceId": task.instance_id,
            "condition": condition or "".join(word.capitalize() for word in words),
            "runSpecId": task.app.definition.id,
            "agentId": task.place.agent_id,
            "host": task.place.host,
            "runSpecVersion": task.version,
        }
        self._world.publish("instance_changed_event", body)

    def _publish_instance_health(self, task: Task) -> None:
        body: Json = {"instanceId": task.instance_id, "runSpecId": task.app.definition.id}
        body |= {"healthy": task.healthy, "runSpecVersion": task.version}
        self._world.publish("instance_health_changed_event", body)

    def _publish_health(self, task: Task, *, alive: bool) -> None:
        body: Json = {"appId": task.app.definition.id, "instanceId": task.instance_id}
        self._world.publish("health_status_changed_event", {**body, "version": task.version, "alive": alive})
