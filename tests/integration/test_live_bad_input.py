"""What can be wrong with the HAProxy that is changed live: the loop goes on by reloads, and says so once."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
from itertools import count
from typing import TYPE_CHECKING

import pytest

from fastlb.runtime_api import RuntimeApi
from fastlb.simulator.tasks import Behaviour
from tests.fakes.front_door import HTTP_PORT, app, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastlb.simulator.server import SimulatedMarathon
    from tests.fakes.front_door import FrontDoor

pytestmark = pytest.mark.haproxy

ports = count(25500)
DELETED_WITHIN_S = 50
"""Before 2.8.8, servers are not deleted before half a minute is over."""
BY_RELOADS = "every change needs a reload, since HAProxy's Runtime API cannot be used"
HEAD = """global
  maxconn 500
{stats_socket}  # expose-fd listeners
defaults
  retries 3
  option redispatch
  option idle-close-on-response
  timeout connect 3s
  timeout client 30s
  timeout server 30s
  timeout http-keep-alive 1s
"""
HANGS = object()
OLD = b"Name: HAProxy\nVersion: 2.2.9-2+deb11u6\n\n"
ANSWERS = {
    "nothing": b"",
    "half a line": b"Name: HAPro",
    "not ours": b"HTTP/1.0 400\r\n\r\n",
    "older": OLD,
    "hangs": HANGS,
}


@contextlib.contextmanager
def listening(path: Path, answer: object) -> Iterator[None]:
    """A socket that gives every connection the same answer, or none as long as it is there."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(100)
        hung: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    if answer is HANGS:
                        hung.append(connection)
                        continue
                    with connection, contextlib.suppress(OSError):
                        connection.recv(65_536)
                        connection.sendall(bytes(answer))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in hung:
                connection.close()


@pytest.fixture
def web(own_cluster: SimulatedMarathon) -> SimulatedMarathon:
    own_cluster.load([app("web", next(ports), instances=2)])
    return own_cluster


def runtime_socket(door: FrontDoor) -> Path:
    return door.folder / "run" / "socket"


def scale(cluster: SimulatedMarathon, door: FrontDoor, instances: int) -> None:
    """Scale the app, and wait until its tasks get the requests."""
    cluster.scale("/web", instances)
    cluster.wait_idle()
    door.wait_for_tasks(cluster, "web")


def scale_twice_by_reloads(cluster: SimulatedMarathon, door: FrontDoor) -> None:
    start = door.now()
    scale(cluster, door, 4)
    scale(cluster, door, 1)
    until(lambda: len(door.journal("reload", start)) >= 2, said=door.log)
    assert door.journal("live", start) == []
    assert len(door.lines(BY_RELOADS)) == 1


def test_a_head_that_does_not_speak_of_handing_listeners_over_is_refused(web, door):
    done = door.run(web.url, HAPROXY_HEAD=HEAD.format(stats_socket="").replace("expose-fd", "no"))
    assert (done.returncode, 'add "stats socket' in done.stderr) == (2, True)


def test_a_head_without_a_socket_works_by_reloads(web, door):
    door.up(web.url, HAPROXY_HEAD=HEAD.format(stats_socket=""))
    scale_twice_by_reloads(web, door)
    assert "No such file" in door.lines(BY_RELOADS)[0]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_socket_that_is_not_that_of_our_haproxy_works_by_reloads(web, door, answer):
    runtime_socket(door).parent.mkdir()
    with listening(runtime_socket(door), answer):
        door.up(web.url, HAPROXY_HEAD=HEAD.format(stats_socket=""))
        scale_twice_by_reloads(web, door)


def test_a_socket_that_nobody_listens_at_works_by_reloads(web, door):
    runtime_socket(door).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind(str(runtime_socket(door)))
    door.up(web.url, HAPROXY_HEAD=HEAD.format(stats_socket=""))
    scale_twice_by_reloads(web, door)
    assert "refused" in door.lines(BY_RELOADS)[0]


def test_a_head_whose_socket_hands_no_listeners_over_works_live(web, door):
    door.up(web.url, HAPROXY_HEAD=HEAD.format(stats_socket=f"  stats socket {runtime_socket(door)} level admin\n"))
    start = door.now()
    scale(web, door, 4)
    scale(web, door, 1)
    until(lambda: len(door.journal("live", start)) >= 2, said=door.log)
    assert door.journal("reload", start) == []
    web.create_app(app("guest", next(ports)))
    door.wait_for_status("guest.test", 200)
    assert door.status("web.test") == 200


@pytest.mark.parametrize("level", ["", " level user", " level operator"], ids=["none", "user", "operator"])
def test_a_socket_that_may_change_nothing_works_by_reloads(web, door, level):
    """None is what marathon-lb's own head has."""
    door.up(web.url, HAPROXY_HEAD=HEAD.format(stats_socket=f"  stats socket {runtime_socket(door)}{level}\n"))
    scale_twice_by_reloads(web, door)
    assert "not `level admin`" in door.lines(BY_RELOADS)[0]


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_a_socket_that_somebody_else_takes_meanwhile_is_healed_by_one_reload(web, door, answer):
    door.up(web.url)
    start = door.now()
    runtime_socket(door).rename(door.folder / "away")
    with listening(runtime_socket(door), answer):
        scale(web, door, 4)
        door.wait_for("reload", start, ok=True)
    assert door.journal("doubt", start)
    scale(web, door, 2)
    assert len(door.journal("reload", start)) == 1
    (door.folder / "away").unlink()


def test_a_master_that_answers_after_its_deadline_loses_no_request_and_no_app(web, door):
    door.up(web.url, "--reload-timeout", "1")
    start, master = door.now(), door.master()
    master.suspend()
    try:
        web.create_app(app("guest", next(ports)))
        door.wait_for("reload", start, ok=False)
        assert door.status("web.test") == 200
    finally:
        master.resume()
    door.wait_for("reload", start, ok=True)
    door.wait_for_status("guest.test", 200)
    scale(web, door, 4)
    assert "could not load the new files" in door.log()


def test_a_map_file_edited_by_hand_is_written_anew_with_the_next_change(web, door):
    door.up(web.url, "--haproxy-map")
    path = door.config_path.with_name("domain2backend.map")
    before = path.read_text()
    path.write_text("web.test nowhere\nevil.test web\n")
    labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": "web.test,other.test"}
    web.update_app("/web", {"labels": labels})
    door.wait_for_status("other.test", 200)
    until(lambda: set(before.split()) < set(path.read_text().split()) and "evil" not in path.read_text())
    assert door.status("web.test") == 200


def test_a_map_file_edited_by_hand_that_a_killed_worker_has_loaded_is_mended(web, door):
    door.up(web.url, "--haproxy-map")
    door.config_path.with_name("domain2backend.map").write_text("web.test nowhere\n")
    start = door.now()
    os.kill(door.worker().pid, signal.SIGKILL)
    door.wait_for("haproxy_started", start)
    door.wait_for_status("web.test", 200)
    assert door.journal("reload", start) == []


def test_a_connection_that_does_not_end_keeps_its_server_out_until_its_time_is_over(web, door):
    door.up(web.url, "--drain-timeout", "2")
    api, start = RuntimeApi(runtime_socket(door), 5), door.now()
    victim = min(web.tasks("/web"), key=lambda task: task["id"])
    web.behave(victim["id"], Behaviour.HUNG)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.create_connection((door.address, HTTP_PORT))) for _ in range(2)]
        for connection in connections:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n")
        (hung,) = set(connections) - set(select.select(connections, [], [], 2)[0])
        web.set_task_state(victim["id"], "TASK_KILLING")
        door.wait_for("live", start)
        server = f"{victim['host'].replace('.', '_')}_{victim['ports'][0]}"
        assert server in api.servers_state()
        assert door.answering("web.test", 4) == {max(task["id"] for task in web.tasks("/web"))}
        assert select.select([hung], [], [], 0.2)[0] == []
        until(lambda: server not in api.servers_state(), DELETED_WITHIN_S, said=door.log)
        assert select.select([hung], [], [], 2)[0] == [hung]
    assert (door.journal("reload", start), door.lines("stays in HAProxy")) == ([], [])
