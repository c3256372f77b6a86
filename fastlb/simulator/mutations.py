"""The changing half of Marathon's API: apps, restart, kill, groups, deployments (MARATHON.md 6).

Knows HTTP and the cluster's operations. Data flow: body and query -> one operation of `cluster` -> wait until
the change is visible -> its version and deployment id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from fastlb.simulator import shapes
from fastlb.simulator.manners import json_answer
from fastlb.simulator.refusals import Refusal, WrongType, missing_app

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from fastlb.simulator.agenda import Condition
    from fastlb.simulator.cluster import Cluster
    from fastlb.simulator.definitions import Json
    from fastlb.simulator.state import Deployment, Task

ZERO_COUNTS = {"tasksStaged": 0, "tasksRunning": 0, "tasksHealthy": 0, "tasksUnhealthy": 0}


class ChangeApi:
    """Handlers of POST, PUT, PATCH and DELETE."""

    def __init__(self, cluster: Cluster, until: Callable[[Condition], Awaitable[None]]) -> None:
        """``until`` waits for a condition over the cluster."""
        self._cluster = cluster
        self._until = until

    def routes(self) -> list[web.RouteDef]:
        """All routes; fixed last words come before the app id that may hold anything."""
        return [
            web.post("/v2/apps", self.create),
            web.put("/v2/apps", self.update_many),
            web.patch("/v2/apps", self.update_many),
            web.post("/v2/apps/{id:.+}/restart", self.restart),
            web.delete("/v2/apps/{id:.+}/tasks", self.kill_tasks),
            web.delete("/v2/apps/{id:.+}/tasks/{task}", self.kill_tasks),
            web.put("/v2/apps/{id:.+}", self.put),
            web.patch("/v2/apps/{id:.+}", self.patch),
            web.delete("/v2/apps/{id:.+}", self.delete),
            web.post("/v2/tasks/delete", self.kill_listed),
            web.put("/v2/groups", self.put_group),
            web.put("/v2/groups/{id:.*}", self.put_group),
            web.post("/v2/groups", self.put_group),
            web.delete("/v2/groups/{id:.+}", self.delete_group),
            web.delete("/v2/deployments/{id}", self.roll_back),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """POST /v2/apps: 201 with the app as it was asked for, service ports perhaps still 0."""
        raw = _object(await _json(request))
        source = _source(request)
        deployment = self._cluster.create(raw, force=_flag(request, "force"), **source)
        await self._visible(deployment)
        post = deployment.post
        wanted = post.definition if post else None
        if wanted is None:
            raise missing_app(str(raw.get("id")))
        body = shapes.definition_json(wanted, self._cluster.world.dialect) | {"version": deployment.version}
        body |= ZERO_COUNTS | {"deployments": [{"id": deployment.id}]}
        headers = {"Marathon-Deployment-Id": deployment.id, "Location": wanted.id.rpartition("/")[2]}
        return json_answer(body, 201, headers)

    async def put(self, request: web.Request) -> web.Response:
        """PUT of one app: 200, or 201 when it did not exist."""
        existed = request.match_info["id"] and f"/{request.match_info['id'].strip('/')}" in self._cluster.apps
        return await self._update(request, 200 if existed else 201)

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH of one app: never creates."""
        self._cluster.app(request.match_info["id"])
        return await self._update(request, 200)

    async def update_many(self, request: web.Request) -> web.Response:
        """PUT or PATCH of a list of apps."""
        raws = await _json(request)
        if not isinstance(raws, list):
            raise WrongType("/", "jsarray")
        partial = _flag(request, "partialUpdate", default=True)
        objects = [_object(raw) for raw in raws]
        return await self._done(self._cluster.update_many(objects, partial=partial, force=_flag(request, "force")))

    async def restart(self, request: web.Request) -> web.Response:
        """POST /v2/apps/{id}/restart."""
        return await self._done(self._cluster.restart(request.match_info["id"], force=_flag(request, "force")))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE of one app; `force` is true unless told otherwise."""
        force = _flag(request, "force", default=True)
        return await self._done(self._cluster.delete(request.match_info["id"], force=force))

    async def kill_tasks(self, request: web.Request) -> web.Response:
        """DELETE of all tasks of an app, of those on `host`, or of one."""
        app, task_id = self._cluster.app(request.match_info["id"]), request.match_info.get("task")
        if task_id is not None:
            return await self._kill(request, [self._cluster.task(task_id)], "task")
        host = request.query.get("host", "*")
        tasks = [task for task in app.tasks.values() if host in {"*", task.place.host}]
        return await self._kill(request, tasks, "tasks")

    async def kill_listed(self, request: web.Request) -> web.Response:
        """POST /v2/tasks/delete with a list of ids; ids of tasks that are gone do not matter."""
        ids = _object(await _json(request)).get("ids", [])
        for task_id in ids:
            if "." not in task_id:
                raise Refusal(400, f"Invalid task id '{task_id}'.")
        known = self._cluster.instances.tasks
        return await self._kill(request, [known[each] for each in ids if each in known], "tasks")

    async def put_group(self, request: web.Request) -> web.Response:
        """PUT or POST of a group: one deployment, no `api_post_event`."""
        raw = _object(await _json(request))
        group = request.match_info.get("id") or raw.get("id", "/")
        return await self._done(self._cluster.put_group(group, raw, force=_flag(request, "force")))

    async def delete_group(self, request: web.Request) -> web.Response:
        """DELETE of a group with its apps."""
        force = _flag(request, "force")
        return await self._done(self._cluster.delete_group(request.match_info["id"], force=force))

    async def roll_back(self, request: web.Request) -> web.Response:
        """DELETE of a deployment: rolled back, or with `force` only stopped (202)."""
        deployment = self._cluster.roll_back(request.match_info["id"], force=_flag(request, "force"))
        return web.Response(status=202) if deployment is None else await self._done(deployment)

    async def _update(self, request: web.Request, status: int) -> web.Response:
        raw = _object(await _json(request))
        deployment = self._cluster.update(
            request.match_info["id"],
            raw,
            partial=_flag(request, "partialUpdate", default=True),
            force=_flag(request, "force"),
            **_source(request),
        )
        return await self._done(deployment, status)

    async def _kill(self, request: web.Request, tasks: Sequence[Task], key: str) -> web.Response:
        if _flag(request, "scale"):
            if _flag(request, "wipe"):
                raise Refusal(400, "You cannot use scale and wipe at the same time.")
            return await self._done(self._cluster.kill_and_scale(tasks, force=_flag(request, "force")))
        shown = [shapes.task_json(task, self._cluster.world.dialect) for task in tasks]
        self._cluster.kill(tasks)
        return json_answer({key: shown[0] if key == "task" else shown})

    async def _visible(self, deployment: Deployment) -> None:
        await self._until(lambda: deployment.visible or deployment.cancelled)

    async def _done(self, deployment: Deployment, status: int = 200) -> web.Response:
        await self._visible(deployment)
        body = {"version": deployment.version, "deploymentId": deployment.id}
        return json_answer(body, status, {"Marathon-Deployment-Id": deployment.id})


async def _json(request: web.Request) -> Any:
    return orjson.loads(await request.read())


def _object(value: Any) -> Json:
    if not isinstance(value, dict):
        raise WrongType("/", "jsobject")
    return value


def _flag(request: web.Request, name: str, *, default: bool = False) -> bool:
    return request.query.get(name, str(default)).lower() == "true"


def _source(request: web.Request) -> dict[str, str]:
    return {"client_ip": request.remote or "", "uri": request.path}
