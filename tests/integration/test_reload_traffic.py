"""Requests under way while routes change: none fails, whatever kind of connection it comes on."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pytest

from tests.fakes.front_door import HTTP_PORT, app, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

PAUSE_S = 0.04
"""Between two requests of one client: four clients send about a hundred a second."""
PORT = 27000
ASLEEP_S = 4.5
"""Longer than the questions wait that are asked before a reload, so that only patience helps."""


@dataclass
class Load:
    """Four clients that ask for one vhost until told to stop: two keep their connection, two open one per request."""

    door: FrontDoor
    host: str
    answered: int = 0
    failures: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for number in range(4):
            thread = threading.Thread(target=self._work, args=(number % 2 == 0,), name=f"client-{number}")
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def _work(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection(self.door.address, HTTP_PORT, timeout=10)
        with contextlib.closing(connection):
            while not self._over.wait(PAUSE_S):
                self._note(self._ask(connection, keeps))

    def _ask(self, connection: http.client.HTTPConnection, keeps: bool) -> str:
        headers = {"Host": self.host} if keeps else {"Host": self.host, "Connection": "close"}
        try:
            connection.request("GET", "/", headers=headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return f"{time.time():.3f} keep-alive={keeps} {error!r}"
        return "" if response.status == 200 else f"{time.time():.3f} keep-alive={keeps} status {response.status}"

    def _note(self, failure: str) -> None:
        with self._lock:
            self.answered += not failure
            self.failures += [failure] if failure else []


def change_ten_times(door: FrontDoor, cluster: SimulatedMarathon, change: Callable[[int], object], how: str) -> Load:
    """Make ten changes, one after another, under load; each is made as ``how`` says and shows before the next one."""
    with Load(door, "web.test") as load:
        for number in range(10):
            start, before = door.now(), load.answered
            change(number)
            cluster.wait_idle()
            door.wait_for(how, start)
            door.wait_for_tasks(cluster, "web")
            until(lambda before=before: load.answered > before)
    return load


@pytest.fixture
def cluster(own_cluster: SimulatedMarathon) -> SimulatedMarathon:
    own_cluster.load([app("web", PORT, instances=3), app("other", PORT + 1)])
    return own_cluster


def test_no_request_fails_while_the_app_is_scaled_up_and_down(cluster, door):
    """A task that is killed with requests under way fails those, whoever balances; so each is announced as dying."""

    def change(number: int) -> None:
        if number % 2 == 0:
            cluster.scale("/web", 5)
            return
        for victim in [task["id"] for task in cluster.tasks("/web")][:2]:
            cluster.set_task_state(victim, "TASK_KILLING")
            until(lambda victim=victim: victim not in door.answering("web.test", 10))
            cluster.kill_task(victim, scale=True)
            cluster.wait_idle()

    load = change_ten_times(door.up(cluster.url), cluster, change, "live")
    assert (load.failures, len(door.journal("live")) > 10) == ([], True), door.log()


def test_no_request_fails_while_another_app_comes_and_goes(cluster, door):
    def change(number: int) -> None:
        if number % 2:
            cluster.delete_app("/guest")
        else:
            cluster.create_app(app("guest", PORT + 2))

    load = change_ten_times(door.up(cluster.url), cluster, change, "reload")
    assert load.failures == [], door.log()


def test_no_request_fails_while_the_controller_is_killed_and_comes_back(cluster, door):
    door.up(cluster.url)
    with Load(door, "web.test") as load:
        for number in range(2):
            start = door.now()
            door.controller().kill()
            door.wait_for("reload", start, ok=True)
            cluster.scale("/web", 4 + number)
            cluster.wait_idle()
            door.wait_for_tasks(cluster, "web")
    assert (load.failures, load.answered > 0) == ([], True), door.log()


def test_a_worker_that_does_not_answer_for_a_while_still_hands_its_listeners_to_the_next_one(cluster, door):
    """It has 1 s for that, else who waits to be accepted by it is reset; so a reload waits until it answers."""
    door.up(cluster.url)
    before, worker = door.now(), door.worker()
    with Load(door, "web.test") as load:
        until(lambda: load.answered > 0)
        worker.suspend()
        wakes = threading.Timer(ASLEEP_S, worker.resume)
        wakes.start()
        cluster.create_app(app("guest", PORT + 2))
        door.wait_for("reload", before, ok=True)
        wakes.join()
        answered = load.answered
        until(lambda: load.answered > answered + 20)
    assert "Failed to get the sockets" not in door.log()
    assert load.failures == [], door.log()
