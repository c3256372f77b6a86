"""Deployments: one change of one or many apps, planned, made visible, carried out, announced.

Pure. Data flow: `change` locks the apps, plans, and spawns `_carried_out`; that process stores the new
definitions in ``apps``, asks `instances` for launches and kills, and publishes in the order of MARATHON.md
12.6 to 12.8.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from fastlb.simulator import service_ports, shapes
from fastlb.simulator.refusals import locked
from fastlb.simulator.state import Action, App, Deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from fastlb.simulator.agenda import Process
    from fastlb.simulator.definitions import Definition, Json
    from fastlb.simulator.instances import Instances
    from fastlb.simulator.state import ApiPost, Task
    from fastlb.simulator.world import World


class Deployments:
    """All changes on their way; the only writer of ``apps``."""

    def __init__(self, world: World, apps: dict[str, App], instances: Instances) -> None:
        self._world = world
        self._apps = apps
        self._instances = instances
        self.running: dict[str, Deployment] = {}

    def change(
        self,
        target: Mapping[str, Definition | None],
        *,
        group: str,
        force: bool = False,
        restart: bool = False,
        victims: Iterable[Task] = (),
        post: ApiPost | None = None,
    ) -> Deployment:
        """Begin to make ``target`` true (None deletes an app). Raises Refusal 409 when an app is locked."""
        self._unlock(target, force=force)
        deployment = self._plan(target, group=group, restart=restart, post=post)
        deployment.victims = frozenset(task.id for task in victims)
        self.running[deployment.id] = deployment
        self._mark(deployment)
        deployment.process = self._carried_out(deployment)
        self._world.agenda.spawn(deployment.process)
        return deployment

    def cancel(self, deployment: Deployment, reason: str) -> None:
        """End ``deployment`` where it stands; what it did stays done."""
        if deployment.process is not None:
            self._world.agenda.drop(deployment.process)
        deployment.cancelled = True
        del self.running[deployment.id]
        self._mark(deployment)
        for app in deployment.leaving.values():
            self._kill_all(app)
        why: Json = {"reason": reason} if self._world.dialect.full_tasks else {}
        self._publish("deployment_failed", deployment, {"id": deployment.id, **why})
        self._world.agenda.stir()

    def _unlock(self, target: Mapping[str, Definition | None], *, force: bool) -> None:
        holders = [each for each in self.running.values() if each.original.keys() & target.keys()]
        if holders and not force:
            raise locked(each.id for each in holders)
        for holder in holders:
            self.cancel(holder, f"Cancelled by a newer deployment (deployment {holder.id})")

    def _plan(
        self, target: Mapping[str, Definition | None], *, group: str, restart: bool, post: ApiPost | None
    ) -> Deployment:
        original = {app_id: self._definition(app_id) for app_id in target}
        final = dict(self._with_service_ports(target))
        plan = [self._action(app_id, original[app_id], final[app_id], restart=restart) for app_id in final]
        actions = [action for action in plan if action is not None]
        starts = [action for action in actions if action.action == "StartApplication"]
        rest = [action for action in actions if action not in starts]
        scales = [Action("ScaleApplication", action.app_id) for action in starts]
        return Deployment(
            id=self._world.new_uuid(),
            version=self._world.new_version(),
            group=group,
            original=original,
            target=final,
            steps=[step for step in (starts, scales + rest) if step],
            restart=restart,
            post=post,
        )

    def _definition(self, app_id: str) -> Definition | None:
        app = self._apps.get(app_id)
        return app.definition if app else None

    def _with_service_ports(self, target: Mapping[str, Definition | None]) -> Iterator[tuple[str, Definition | None]]:
        used = self._used_ports() if any(each and 0 in each.service_ports for each in target.values()) else set()
        for app_id, wanted in target.items():
            assigned = wanted and service_ports.assign(wanted, self._definition(app_id), used)
            used.update(assigned.service_ports if assigned else ())
            yield app_id, assigned

    def _used_ports(self) -> set[int]:
        return {port for app in self._apps.values() for port in app.definition.service_ports}

    def _action(
        self, app_id: str, was: Definition | None, wanted: Definition | None, *, restart: bool
    ) -> Action | None:
        """What has to be done for one app (MARATHON.md 5.4, 12.8)."""
        if was is None:
            return None if wanted is None else Action("StartApplication", app_id)
        if wanted is None:
            return Action("StopApplication", app_id)
        upgraded = replace(was, instances=wanted.instances) != wanted
        if (upgraded or restart) and was.instances:
            return Action("RestartApplication", app_id)
        return Action("ScaleApplication", app_id) if was != wanted or restart else None

    def _carried_out(self, deployment: Deployment) -> Process:
        if deployment.steps:
            deployment.current_step = 1
            self._publish_step("deployment_info", deployment)
        yield self._world.delays.visible_s
        self._make_visible(deployment)
        for number, step in enumerate(deployment.steps, start=1):
            if number > 1:
                deployment.current_step = number
                self._publish_step("deployment_info", deployment)
            for action in step:
                yield from self._perform(action, deployment)
            self._publish_step("deployment_step_success", deployment)
        del self.running[deployment.id]
        self._mark(deployment)
        self._publish("deployment_success", deployment, {"id": deployment.id})

    def _make_visible(self, deployment: Deployment) -> None:
        for app_id, definition in deployment.target.items():
            self._store(app_id, definition, deployment)
        deployment.visible = True
        self._mark(deployment)
        version = {"groupId": deployment.group, "version": deployment.version}
        self._world.publish("group_change_success", version)
        if post := deployment.post:
            dialect = self._world.dialect
            if post.definition is not None:
                body = shapes.definition_json(post.definition, dialect) | {"version": deployment.version}
            else:
                app_id = next(iter(deployment.target))
                body = shapes.versioned_json(self._apps[app_id], dialect)
            whole = {"clientIp": post.client_ip, "uri": post.uri, "appDefinition": body}
            self._world.publish("api_post_event", whole)

    def _store(self, app_id: str, definition: Definition | None, deployment: Deployment) -> None:
        version = deployment.version
        app = self._apps.get(app_id)
        if definition is None:
            if app is not None:
                deployment.leaving[app_id] = self._apps.pop(app_id)
            return
        if app is None:
            app = self._apps[app_id] = App(definition, version, version, version)
        else:
            self._move_versions(app, definition, deployment)
        app.definition = definition
        app.history[app.version] = definition
        app.touch()

    def _move_versions(self, app: App, definition: Definition, deployment: Deployment) -> None:
        """What moves with which change: MARATHON.md 2.4."""
        was, version = app.definition, deployment.version
        if replace(was, instances=definition.instances) != definition:
            app.version = app.last_scaling_at = app.last_config_change_at = version
        elif deployment.restart:
            app.version = app.last_config_change_at = version
        elif was.instances != definition.instances:
            app.version = app.last_scaling_at = version

    def _perform(self, action: Action, deployment: Deployment) -> Process:
        if action.action == "StopApplication":
            return self._stop(deployment.leaving[action.app_id])
        app = self._apps[action.app_id]
        if action.action == "RestartApplication":
            return self._replace_all(app)
        if action.action == "ScaleApplication":
            return self._scale(app, deployment.victims)
        return _nothing()

    def _stop(self, app: App) -> Process:
        self._kill_all(app)
        yield lambda: not app.tasks
        self._world.publish("app_terminated_event", {"appId": app.definition.id})

    def _kill_all(self, app: App) -> None:
        for task in list(app.tasks.values()):
            self._instances.kill(task)

    def _scale(self, app: App, victims: frozenset[str] = frozenset()) -> Process:
        wanted, before = app.definition.instances, set(app.tasks)
        youngest_first = sorted(app.staying, key=lambda task: task.staged_at or "", reverse=True)
        by_choice = sorted(youngest_first, key=lambda task: task.id not in victims)
        for task in by_choice[: max(0, len(by_choice) - wanted)]:
            self._instances.kill(task)
        for _ in range(wanted - len(by_choice)):
            self._instances.launch(app)
        yield _complete(app, before)

    def _replace_all(self, app: App) -> Process:
        """Rolling replacement within the upgrade strategy; old tasks stay until new ones are ready."""
        definition = app.definition
        most = max(definition.instances + 1, ceil(definition.instances * (1 + definition.maximum_over_capacity)))
        fewest = ceil(definition.instances * definition.minimum_health_capacity)
        if definition.maximum_over_capacity == 0 and fewest < definition.instances:
            most = definition.instances
        while True:
            changed = _changed(app)
            old = [task for task in app.staying if task.version < app.last_config_change_at]
            new = [task for task in app.staying if task.version >= app.last_config_change_at]
            ready = sum(task.ready for task in new)
            if not old and ready >= definition.instances:
                break
            for task in old[: max(0, len(old) + ready - fewest)]:
                self._instances.kill(task)
            room = min(definition.instances - len(new), most - len(app.tasks))
            for _ in range(room):
                self._instances.launch(app)
            yield changed
        yield from self._scale(app)

    def _mark(self, deployment: Deployment) -> None:
        """Keep the apps' own list of running deployments right."""
        for app_id in deployment.target:
            if app := self._apps.get(app_id):
                app.deployment_ids = [each.id for each in self.running.values() if app_id in each.target]
                app.touch()

    def _publish_step(self, kind: str, deployment: Deployment) -> None:
        step = shapes.step_json(deployment.steps[deployment.current_step - 1])
        self._publish(kind, deployment, {"currentStep": step})

    def _publish(self, kind: str, deployment: Deployment, more: Json) -> None:
        dialect = self._world.dialect
        plan = shapes.plan_json(deployment)
        self._world.publish(kind, {**more, "plan": plan}, lambda: shapes.heavy_plan_json(deployment, dialect))


def _nothing() -> Process:
    yield from ()


def _complete(app: App, before: set[str]) -> Callable[[], bool]:
    """True once there are as many tasks as wanted, and all that were not there ``before`` are ready."""

    def complete() -> bool:
        news = [task for task in app.tasks.values() if task.id not in before]
        return len(app.tasks) == app.definition.instances and all(task.ready for task in news)

    return complete


def _changed(app: App) -> Callable[[], bool]:
    """True once the app's tasks, or how ready they are, differ from now."""

    def picture() -> list[tuple[str, bool]]:
        return [(task.id, task.ready) for task in app.tasks.values()]

    before = picture()
    return lambda: picture() != before
