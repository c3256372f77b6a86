"""The cluster as Marathon's API sees it: its apps, what may be done to them, and what may be asked.

Pure: no socket, no thread, no clock of its own (see `world` and `agenda`), so a test can drive it by hand.
Data flow: an operation checks its input, calls `deployments` or `instances`, and returns; what follows
happens on the agenda.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fastlb.simulator import service_ports, shapes
from fastlb.simulator.definitions import normal_id, overlay, parent_group, read_definition
from fastlb.simulator.deployments import Deployments
from fastlb.simulator.instances import Instances
from fastlb.simulator.refusals import (
    Refusal,
    existing_app,
    invalid,
    missing_app,
    missing_deployment,
    missing_group,
)
from fastlb.simulator.state import ApiPost, App

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastlb.simulator.definitions import Definition, Json
    from fastlb.simulator.state import Deployment, Task
    from fastlb.simulator.world import World


class Cluster:
    """Everything that Marathon knows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.apps: dict[str, App] = {}
        self.instances = Instances(world)
        self.deployments = Deployments(world, self.apps, self.instances)

    def app(self, app_id: str) -> App:
        """The app of that id. Raises Refusal (404)."""
        try:
            return self.apps[normal_id(app_id)]
        except KeyError:
            raise missing_app(normal_id(app_id)) from None

    def task(self, task_id: str) -> Task:
        """The task of that id. Raises Refusal (404)."""
        try:
            return self.instances.tasks[task_id]
        except KeyError:
            raise Refusal(404, f"Task '{task_id}' does not exist") from None

    @property
    def idle(self) -> bool:
        """No deployment runs and nothing is going to happen by itself."""
        return not self.deployments.running and self.world.agenda.quiet

    def load(self, raws: Iterable[Json]) -> None:
        """Apps that have been running for long: no events, no delays, every task healthy."""
        used = {port for app in self.apps.values() for port in app.definition.service_ports}
        for raw in raws:
            definition = service_ports.assign(read_definition(raw, self.world.dialect), None, used)
            used.update(definition.service_ports)
            version = self.world.new_version()
            app = App(definition, version, version, version, history={version: definition})
            self.apps[definition.id] = app
            for _ in range(definition.instances):
                self.instances.appear(app)

    def create(
        self, raw: Json, *, client_ip: str = "127.0.0.1", uri: str = "/v2/apps", force: bool = False
    ) -> Deployment:
        """POST /v2/apps. Raises Refusal (409, 422) and WrongType."""
        definition = read_definition(raw, self.world.dialect)
        if definition.id in self.apps:
            raise existing_app(definition.id)
        self._refuse_group_ids(definition.id)
        post = ApiPost(client_ip, uri, definition)
        return self._change_one(definition.id, definition, force=force, post=post)

    def update(
        self,
        app_id: str,
        given: Json,
        *,
        partial: bool = True,
        force: bool = False,
        client_ip: str = "127.0.0.1",
        uri: str | None = None,
    ) -> Deployment:
        """PUT or PATCH of one app; creates it when there is none. Raises Refusal (409, 422), WrongType."""
        app_id = normal_id(app_id)
        definition = self._updated(app_id, given, partial=partial)
        post = ApiPost(client_ip, uri or f"/v2/apps{app_id}")
        return self._change_one(app_id, definition, force=force, post=post)

    def update_many(self, givens: Iterable[Json], *, partial: bool = True, force: bool = False) -> Deployment:
        """PUT or PATCH of a list of apps: one deployment, no `api_post_event`."""
        target = {normal_id(raw.get("id", "/")): raw for raw in givens}
        definitions: dict[str, Definition | None] = {
            app_id: self._updated(app_id, raw, partial=partial) for app_id, raw in target.items()
        }
        return self.deployments.change(definitions, group="/", force=force)

    def put_group(self, group_id: str, raw: Json, *, force: bool = False) -> Deployment:
        """PUT of a group: its apps and those of its groups become exactly the given ones."""
        target: dict[str, Definition | None] = dict.fromkeys(self.below(group_id))
        target |= {each.id: each for each in self._definitions_in(normal_id(group_id), raw)}
        return self.deployments.change(target, group=normal_id(group_id), force=force)

    def delete_group(self, group_id: str, *, force: bool = False) -> Deployment:
        """DELETE of a group with all its apps. Raises Refusal (404, 409)."""
        target: dict[str, Definition | None] = dict.fromkeys(self.below(group_id))
        if not target:
            raise missing_group(normal_id(group_id))
        return self.deployments.change(target, group=normal_id(group_id), force=force)

    def delete(self, app_id: str, *, force: bool = True) -> Deployment:
        """DELETE of one app; ``force`` is on by default, as in Marathon's source (MARATHON.md 6)."""
        return self._change_one(self.app(app_id).definition.id, None, force=force)

    def restart(self, app_id: str, *, force: bool = False) -> Deployment:
        """Replace every task without a change."""
        definition = self.app(app_id).definition
        group = parent_group(definition.id)
        return self.deployments.change({definition.id: definition}, group=group, force=force, restart=True)

    def kill(self, tasks: Sequence[Task]) -> None:
        """Kill ``tasks``; Marathon replaces them."""
        for task in tasks:
            self.instances.kill_and_replace(task)

    def kill_and_scale(self, tasks: Sequence[Task], *, force: bool = False) -> Deployment:
        """Kill ``tasks`` and lower `instances` by as many, not under 0 (MARATHON.md 6.1)."""
        target: dict[str, Definition | None] = {}
        for task in tasks:
            definition = target.get(task.app.definition.id) or task.app.definition
            target[definition.id] = replace(definition, instances=max(0, definition.instances - 1))
        return self.deployments.change(target, group="/", force=force, victims=tasks)

    def roll_back(self, deployment_id: str, *, force: bool = False) -> Deployment | None:
        """DELETE of a deployment: back to what was; with ``force`` just stop (None). Raises Refusal (404)."""
        deployment = self.deployments.running.get(deployment_id)
        if deployment is None:
            raise missing_deployment(deployment_id)
        self.deployments.cancel(deployment, "Cancelled by the operator")
        return None if force else self.deployments.change(deployment.original, group="/", force=True)

    def change_leader(self) -> None:
        """What a new leader no longer knows: the results of Marathon's own health checks."""
        self.instances.forget_marathon_health()

    def below(self, group_id: str) -> list[str]:
        """The ids of all apps in a group, at any depth."""
        prefix = normal_id(group_id).rstrip("/") + "/"
        return [app_id for app_id in self.apps if app_id.startswith(prefix)]

    def _change_one(
        self, app_id: str, definition: Definition | None, *, force: bool, post: ApiPost | None = None
    ) -> Deployment:
        return self.deployments.change({app_id: definition}, group=parent_group(app_id), force=force, post=post)

    def _updated(self, app_id: str, given: Json, *, partial: bool) -> Definition:
        app, dialect = self.apps.get(app_id), self.world.dialect
        if "version" in given:
            return self._former(app_id, given)
        if app is None:
            self._refuse_group_ids(app_id)
        if app is not None and partial:
            given = overlay(shapes.definition_json(app.definition, dialect), given)
        return read_definition({**given, "id": app_id}, dialect)

    def _former(self, app_id: str, given: Json) -> Definition:
        """The definition of an older version, which may not come with anything else (MARATHON.md 6.1)."""
        if given.keys() - {"id", "version"}:
            raise invalid("/version", "The 'version' field may only be combined with the 'id' field.")
        try:
            return self.app(app_id).history[given["version"]]
        except KeyError:
            raise Refusal(404, f"App '{app_id}' has no version {given['version']}") from None

    def _definitions_in(self, group_id: str, raw: Json) -> Iterable[Definition]:
        for app in raw.get("apps", []):
            yield read_definition({**app, "id": _inside(group_id, app["id"])}, self.world.dialect)
        for group in raw.get("groups", []):
            yield from self._definitions_in(_inside(group_id, group["id"]), group)

    def _refuse_group_ids(self, app_id: str) -> None:
        if self.below(app_id):
            raise invalid("/id", f"Groups and Applications may not have the same identifier: {app_id}")


def _inside(group_id: str, name: str) -> str:
    return normal_id(name if name.startswith("/") else f"{group_id}/{name}")
