"""`SimulatedMarathon`: a simulated Marathon in a thread of its own, for tests, the demo and benchmarks.

The door for other threads: every method runs inside the simulator's event loop and returns when it is done
there.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fastlb.simulator import shapes
from fastlb.simulator.service import Service
from fastlb.simulator.settings import SimulatorSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from types import TracebackType

    from fastlb.simulator.definitions import Json
    from fastlb.simulator.faults import Fault
    from fastlb.simulator.state import Deployment
    from fastlb.simulator.tasks import Behaviour

T = TypeVar("T")

CALL_TIMEOUT_S = 60.0
START_TIMEOUT_S = 20.0


class SimulatedMarathon:
    """A context manager; changes return the deployment id at once, `wait_idle` waits for what follows.

    Raises Refusal where Marathon would answer with an error.
    """

    def __init__(self, settings: SimulatorSettings | None = None) -> None:
        self._settings = settings or SimulatorSettings()
        self._thread = threading.Thread(target=self._run, name="simulated-marathon", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._ready.wait(START_TIMEOUT_S):
            raise TimeoutError(f"the simulated Marathon did not start within {START_TIMEOUT_S} s")
        if self._failure is not None:
            self._thread.join(START_TIMEOUT_S)
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CALL_TIMEOUT_S)
        if self._thread.is_alive():
            raise TimeoutError(f"the simulated Marathon did not stop within {CALL_TIMEOUT_S} s")
        if self._failure is not None and error is None:
            raise self._failure

    @property
    def url(self) -> str:
        """The base URL of the leader, such as http://127.0.0.1:8080."""
        return f"http://{self._service.address}"

    @property
    def follower_url(self) -> str:
        """The base URL of the follower; only with the setting ``follower``."""
        return f"http://{self._service.follower.address}"

    def call(self, work: Callable[[Service], T]) -> T:
        """Run ``work`` in the simulator's loop and return what it returns."""

        async def inside() -> T:
            return work(self._service)

        return self._wait_for(inside())

    def load(self, definitions: Iterable[Json]) -> None:
        """Apps that have been running for long, without events or delays."""
        self.call(lambda service: service.cluster.load(definitions))

    def create_app(self, definition: Json) -> str:
        """POST /v2/apps; the deployment's id."""
        return self._begin(lambda service: service.cluster.create(definition))

    def update_app(self, app_id: str, changes: Json) -> str:
        """PUT with a partial update; the deployment's id."""
        return self._begin(lambda service: service.cluster.update(app_id, changes))

    def scale(self, app_id: str, instances: int) -> str:
        """Change the number of instances; the deployment's id."""
        return self.update_app(app_id, {"instances": instances})

    def restart_app(self, app_id: str) -> str:
        """Replace every task; the deployment's id."""
        return self._begin(lambda service: service.cluster.restart(app_id))

    def delete_app(self, app_id: str) -> str:
        """DELETE one app; the deployment's id."""
        return self._begin(lambda service: service.cluster.delete(app_id))

    def kill_task(self, task_id: str, *, scale: bool = False) -> None:
        """Kill one task; it is replaced, or with ``scale`` the app gets smaller."""

        def kill(service: Service) -> None:
            tasks = [service.cluster.task(task_id)]
            if scale:
                service.cluster.kill_and_scale(tasks)
            else:
                service.cluster.kill(tasks)

        self.call(kill)

    def fail_task(self, task_id: str, state: str = "TASK_FAILED") -> None:
        """The task ends by itself and is launched anew."""
        self.call(lambda service: service.cluster.instances.end(service.cluster.task(task_id), state))

    def set_task_state(self, task_id: str, state: str) -> None:
        """Mesos reports another state, such as TASK_UNREACHABLE."""
        self.call(lambda service: service.cluster.instances.set_state(service.cluster.task(task_id), state))

    def set_healthy(self, task_id: str, healthy: bool) -> None:
        """The task's health path and Marathon's health results both say ``healthy``."""
        self.call(lambda service: service.set_healthy(task_id, healthy=healthy))

    def behave(self, task_id: str, behaviour: Behaviour) -> None:
        """How the task's own server answers; Marathon is not told."""
        self.call(lambda service: service.tasks.behave(task_id, behaviour))

    def crash_server(self, task_id: str) -> None:
        """The task's server stops listening; Marathon is not told."""
        self.call(lambda service: service.tasks.end(service.cluster.task(task_id)))

    def tasks(self, app_id: str) -> list[Json]:
        """The app's tasks as a GET shows them."""

        def read(service: Service) -> list[Json]:
            cluster = service.cluster
            tasks = cluster.app(app_id).tasks.values()
            return [shapes.task_json(task, cluster.world.dialect) for task in tasks]

        return self.call(read)

    def arm(self, fault: Fault, *, times: int | None = None, value: float | None = None, path: str = "/") -> None:
        """Let ``fault`` happen ``times`` times, or until it is cleared."""
        self.call(lambda service: service.faults.arm(fault, times=times, value=value, path=path))

    def clear(self, fault: Fault | None = None) -> None:
        """Disarm one fault, or all."""
        self.call(lambda service: service.faults.clear(fault))

    def cut_streams(self) -> None:
        """End every event stream."""
        self.call(lambda service: service.streams.cut())

    def send_garbage(self) -> None:
        """Send what is no event to every stream."""
        self.call(lambda service: service.streams.send())

    def go_down(self) -> None:
        """Refuse connections, and end those that are there; the cluster lives on."""
        self._wait_for(self._service.go_down())

    def come_up(self) -> None:
        """Listen again, at the same address."""
        self._wait_for(self._service.come_up())

    def change_leader(self) -> None:
        """Every stream ends; results of Marathon's own health checks start empty."""
        self.call(lambda service: service.change_leader())

    def stream_count(self) -> int:
        """How many event streams are attached."""
        return self.call(lambda service: service.streams.count)

    def wait_idle(self, timeout_s: float = 30.0) -> None:
        """Wait until no deployment runs and nothing is on its way. TimeoutError names what is left."""
        waiting = asyncio.run_coroutine_threadsafe(self._service.until(lambda: self._service.cluster.idle), self._loop)
        try:
            waiting.result(timeout_s)
        except TimeoutError:
            waiting.cancel()
            left = self.call(lambda service: list(service.cluster.deployments.running.values()))
            apps = [app_id for deployment in left for app_id in deployment.target]
            raise TimeoutError(f"not idle after {timeout_s} s: deployments of {apps or 'no app'} run") from None

    def _wait_for(self, doing: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(doing, self._loop).result(CALL_TIMEOUT_S)

    def _begin(self, work: Callable[[Service], Deployment]) -> str:
        return self.call(lambda service: work(service).id)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in __enter__
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._service = Service(self._settings)
        try:
            await self._service.open()
            self._ready.set()
            await self._stop.wait()
        finally:
            await self._service.close()
