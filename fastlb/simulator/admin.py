"""/_sim/...: what no Marathon has, for people with curl and tests in other languages: faults, leader, tasks.

GET    /_sim/state             apps, tasks, streams, listeners, idle, armed faults
PUT    /_sim/faults/{fault}    {"times": 3, "value": 503, "path": "/v2/apps"}, all optional
DELETE /_sim/faults            or /_sim/faults/{fault}
POST   /_sim/streams/cut       or /_sim/streams/garbage
POST   /_sim/leader/change
POST   /_sim/tasks/{task}      {"healthy": false} or {"behaviour": "slow"} or {"state": "TASK_UNREACHABLE"}
                               or {"fail": "TASK_FAILED"} or {"crash": true}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from fastlb.simulator.faults import Fault
from fastlb.simulator.manners import json_answer
from fastlb.simulator.refusals import Refusal
from fastlb.simulator.tasks import Behaviour

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.simulator.service import Service
    from fastlb.simulator.state import Task


class AdminApi:
    """Handlers of the admin paths; they never suffer a fault."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [
            web.get("/_sim/state", self.state),
            web.put("/_sim/faults/{fault}", self.arm),
            web.delete("/_sim/faults", self.clear),
            web.delete("/_sim/faults/{fault}", self.clear),
            web.post("/_sim/streams/cut", self.cut_streams),
            web.post("/_sim/streams/garbage", self.garbage),
            web.post("/_sim/leader/change", self.change_leader),
            web.post("/_sim/tasks/{task}", self.change_task),
        ]

    async def state(self, _request: web.Request) -> web.Response:
        """How the simulator is."""
        service = self._service
        body = {
            "apps": len(service.cluster.apps),
            "tasks": len(service.cluster.instances.tasks),
            "streams": service.streams.count,
            "listeners": service.tasks.count,
            "idle": service.cluster.idle,
            "faults": service.faults.listed(),
        }
        return json_answer(body)

    async def arm(self, request: web.Request) -> web.Response:
        """Arm one fault."""
        given = await _body(request)
        times, value, path = given.get("times"), given.get("value"), given.get("path", "/")
        self._service.faults.arm(_fault(request), times=times, value=value, path=path)
        return await self.state(request)

    async def clear(self, request: web.Request) -> web.Response:
        """Disarm one fault, or all."""
        self._service.faults.clear(_fault(request) if "fault" in request.match_info else None)
        return await self.state(request)

    async def cut_streams(self, request: web.Request) -> web.Response:
        """End every event stream."""
        self._service.streams.cut()
        return await self.state(request)

    async def garbage(self, request: web.Request) -> web.Response:
        """Send what is no event."""
        self._service.streams.send()
        return await self.state(request)

    async def change_leader(self, request: web.Request) -> web.Response:
        """Cut the streams and forget Marathon's own health results."""
        self._service.change_leader()
        return await self.state(request)

    async def change_task(self, request: web.Request) -> web.Response:
        """Change one task in one way."""
        service = self._service
        task = service.cluster.task(request.match_info["task"])
        instances = service.cluster.instances
        ways: dict[str, Callable[[Task, Any], None]] = {
            "healthy": lambda task, value: service.set_healthy(task.id, healthy=bool(value)),
            "behaviour": lambda task, value: service.tasks.behave(task.id, Behaviour(value)),
            "state": instances.set_state,
            "fail": instances.end,
            "crash": lambda task, _value: service.tasks.end(task),
        }
        for way, value in (await _body(request)).items():
            if way not in ways:
                raise Refusal(400, f"a task can be changed by one of {', '.join(ways)}; not by {way}")
            ways[way](task, value)
        return await self.state(request)


async def _body(request: web.Request) -> dict[str, Any]:
    raw = await request.read()
    body: dict[str, Any] = orjson.loads(raw) if raw else {}
    return body


def _fault(request: web.Request) -> Fault:
    try:
        return Fault(request.match_info["fault"])
    except ValueError:
        raise Refusal(404, f"a fault is one of {', '.join(Fault)}") from None
