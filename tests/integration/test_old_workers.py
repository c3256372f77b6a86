"""Old workers of a real HAProxy: counted, weighed, and kept within their limits by ending the right one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from fastlb.errors import RuntimeApiError
from fastlb.generations import MIB, OldWorker, WorkerLimits
from fastlb.haproxy import find_haproxy
from fastlb.journal import Journal
from fastlb.master import Master
from fastlb.old_workers import OldWorkers
from fastlb.runtime_api import RuntimeApi
from fastlb.settings import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.haproxy

LIMITS = WorkerLimits(most=3, age_s=1800, resident_bytes=10_000 * MIB, patience_s=0)

CONFIG = """global
    stats socket {folder}/socket mode 600 level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 60s
    timeout server 60s
frontend plain
    bind 127.0.0.1:{plain}
    default_backend plain_10000
backend plain_10000
    server s 127.0.0.1:{task}
frontend dear
    bind 127.0.0.1:{dear}
    default_backend dear_10001
backend dear_10001
    server s 127.0.0.1:{task}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def until(what: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Task(threading.Thread):
    """Echoes what it gets, on every connection, until it is closed."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.held: list[socket.socket] = []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.held.append(connection)
            threading.Thread(target=self.echo, args=(connection,), daemon=True).start()

    @staticmethod
    def echo(connection: socket.socket) -> None:
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.held:
            connection.close()


@dataclass
class Stage:
    """A HAProxy of its own and a task behind it; what is held stays open until the end."""

    folder: Path
    task: Task
    plain: int = field(default_factory=free_port)
    dear: int = field(default_factory=free_port)
    held: ExitStack = field(default_factory=ExitStack)

    @property
    def paths(self) -> Paths:
        return Paths(self.folder / "haproxy.cfg", self.folder)

    @property
    def master(self) -> Master:
        return Master(self.paths.master_socket, timeout_s=5)

    def watch(self, *, ours: bool = True, **limits: Any) -> OldWorkers:
        return OldWorkers(self.paths, LIMITS._replace(**limits), Journal(self.folder / "journal"), ours=ours)

    def journal(self, kind: str) -> list[dict[str, Any]]:
        path = self.folder / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in map(json.loads, lines) if line["kind"] == kind]

    def hold(self, port: int) -> socket.socket:
        """A connection that has exchanged something, and does not end by itself."""
        connection = self.held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        talk(connection)
        return connection

    def reload(self) -> int:
        """Reload; return the pid of the worker that served before, once it is an old one."""
        before = self.worker()
        assert self.master.reload(20).ok
        return before

    def worker(self) -> int:
        serving = self.master.processes().serving
        assert serving is not None
        return serving.pid

    def old_pids(self) -> set[int]:
        return {worker.pid for worker in self.master.processes().not_serving}

    def is_up(self) -> bool:
        try:
            return bool(self.master.processes().workers) and bool(RuntimeApi(self.paths.runtime_socket, 5).info())
        except RuntimeApiError:
            return False


def talk(connection: socket.socket) -> None:
    connection.sendall(b"ping")
    assert connection.recv(4096) == b"ping"


def is_cut(connection: socket.socket) -> bool:
    try:
        connection.settimeout(10)
        return connection.recv(4096) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    with closing(Task()) as task:
        task.start()
        here = Stage(tmp_path, task)
        text = CONFIG.format(folder=tmp_path, plain=here.plain, dear=here.dear, task=task.port)
        here.paths.config.write_text(text)
        command = [find_haproxy(None, os.environ).path, "-W", "-S", f"{here.paths.master_socket},mode,600"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen([*command, "-f", here.paths.config], stderr=log)
        try:
            until(here.is_up)
            with here.held:
                yield here
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def test_an_old_worker_is_seen_with_what_it_holds(stage):
    watch = stage.watch()
    held = [stage.hold(stage.plain), stage.hold(stage.plain)]
    assert watch.see() == []
    pid = stage.reload()
    [seen] = watch.see()
    assert (seen.pid, seen.connections) == (pid, 2)
    assert seen.resident_bytes == pytest.approx(psutil.Process(pid).memory_info().rss, rel=0.2)
    for connection in held:
        connection.close()
    until(lambda: watch.see() == [])


def test_our_own_questions_do_not_make_a_silent_worker_look_busy(stage):
    watch = stage.watch()
    quiet, busy = stage.hold(stage.plain), None
    first = stage.reload()
    busy = stage.hold(stage.plain)
    second = stage.reload()
    watch.make_room(0, kept={"plain_10000"})

    def silent_for() -> tuple[float, float]:
        talk(busy)
        seen: dict[int, OldWorker] = {worker.pid: worker for worker in watch.see()}
        return seen[first].idle_s, seen[second].idle_s

    until(lambda: silent_for()[0] > 0.5)
    assert silent_for()[1] < 0.3 < silent_for()[0]
    talk(quiet)
    assert silent_for()[0] < 0.3


def test_the_number_stays_within_the_limit_during_a_series_of_reloads_that_each_leave_a_connection(stage):
    watch, over, seen = stage.watch(), threading.Event(), []

    def sample() -> None:
        while not over.wait(0.01):
            try:
                seen.append(len(stage.old_pids()))
            except RuntimeApiError:  # 2.6's master replaces itself
                continue

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        for _ in range(15):
            stage.hold(stage.plain)
            assert watch.make_room(0) == 0
            stage.reload()
            watch.look_after()
    finally:
        over.set()
        sampler.join()
    assert (max(seen), len(stage.old_pids())) == (3, 3)
    assert len(stage.journal("old_worker_ended")) == 12
    talk(stage.hold(stage.plain))


def test_without_the_watch_each_reload_leaves_one_more(stage):
    for _ in range(5):
        stage.hold(stage.plain)
        stage.reload()
    assert len(stage.old_pids()) == 5


def test_the_one_with_the_fewest_connections_goes_first(stage):
    watch = stage.watch()
    holds = {}
    for count in (3, 1, 2):
        held = [stage.hold(stage.plain) for _ in range(count)]
        holds[stage.reload()] = held
    assert watch.make_room(0) == 0
    [ended] = stage.journal("old_worker_ended")
    [gone] = set(holds) - stage.old_pids()
    assert (ended["pid"], ended["connections"], ended["ok"]) == (gone, 1, True)
    assert all(is_cut(connection) for connection in holds[gone])
    for pid in stage.old_pids():
        talk(holds[pid][0])


def test_connections_to_be_kept_outweigh_their_number(stage):
    watch = stage.watch()
    dear = stage.hold(stage.dear)
    first = stage.reload()
    for _ in range(2):
        for _each in range(2):
            stage.hold(stage.plain)
        stage.reload()
    assert watch.make_room(0, kept={"dear_10001"}) == 0
    assert first in stage.old_pids()
    talk(dear)
    assert stage.journal("old_worker_ended")[0]["kept"] == 0


def test_a_reload_waits_first_and_goes_ahead_when_one_leaves(stage, caplog):
    watch = stage.watch(patience_s=60)
    held = []
    for _ in range(3):
        held.append(stage.hold(stage.plain))
        stage.reload()
    assert 0 < watch.make_room(0) <= 0.5
    assert 0 < watch.make_room(1) <= 0.5
    assert caplog.text.count("the reload waits for one to leave, 60 s at most") == 1
    held[1].close()
    until(lambda: watch.make_room(2) == 0)
    assert stage.journal("old_worker_ended") == []


def test_memory_is_a_limit_too(stage):
    stage.hold(stage.plain)
    resident = psutil.Process(stage.reload()).memory_info().rss
    watch = stage.watch(resident_bytes=int(2.5 * resident))
    for _ in range(4):
        stage.hold(stage.plain)
        assert watch.make_room(0) == 0
        stage.reload()
    total = sum(psutil.Process(pid).memory_info().rss for pid in stage.old_pids())
    assert total <= 2.5 * resident
    assert "--max-old-workers-memory" in stage.journal("old_worker_ended")[0]["why"]


def test_who_is_too_old_is_ended_at_rest_unless_its_connections_are_to_be_kept(stage):
    dear, plain = stage.hold(stage.dear), None
    first = stage.reload()
    plain = stage.hold(stage.plain)
    second = stage.reload()
    watch = stage.watch(age_s=0.2)
    until(lambda: watch.look_after({"dear_10001"}) is not None and second not in stage.old_pids())
    assert is_cut(plain)
    assert stage.old_pids() == {first}
    talk(dear)
    until(lambda: watch.look_after() is None)
    assert is_cut(dear)


def test_a_worker_that_does_not_obey_is_killed_and_the_master_survives(stage, caplog):
    watch = stage.watch(most=1)
    stage.hold(stage.plain)
    stuck = stage.reload()
    os.kill(stuck, signal.SIGSTOP)
    assert watch.make_room(0) == 0
    assert stage.old_pids() == set()
    assert "does not end on SIGTERM; it is killed" in caplog.text
    talk(stage.hold(stage.plain))


def test_a_process_that_is_no_worker_of_our_master_is_never_ended(stage, caplog):
    watch = stage.watch(most=1)
    stage.hold(stage.plain)
    stage.reload()
    [seen] = watch.see()
    watch._known[seen.pid].process = psutil.Process()
    assert not watch._terminate(psutil.Process())
    assert "is no worker of HAProxy's master" in caplog.text


def test_a_haproxy_of_somebody_else_is_counted_and_left_alone(stage, caplog):
    watch = stage.watch(ours=False, most=1)
    for _ in range(2):
        stage.hold(stage.plain)
        stage.reload()
    for _ in range(3):
        assert watch.look_after() is not None
    assert len(stage.old_pids()) == 2
    assert caplog.text.count("they belong to a HAProxy that somebody else runs, so none is ended") == 1


def test_without_a_masters_socket_they_are_the_processes_beside_the_one_that_serves(stage):
    stage.hold(stage.plain)
    old = stage.reload()
    elsewhere = stage.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "socket").symlink_to(stage.paths.runtime_socket)
    watch = OldWorkers(Paths(stage.paths.config, elsewhere), LIMITS, Journal(None), ours=False)
    [seen] = watch.see()
    assert (seen.pid, seen.connections, seen.resident_bytes > MIB) == (old, None, True)


def test_where_no_socket_answers_it_is_said_once_and_nothing_stands_in_the_way(tmp_path, caplog):
    paths = Paths(tmp_path / "haproxy.cfg", tmp_path)
    watch = OldWorkers(paths, LIMITS, Journal(None), ours=False)
    assert [watch.look_after(), watch.look_after(), watch.look_after()] == [None, None, None]
    assert watch.make_room(0) == 0
    assert caplog.text.count("old workers cannot be counted, since no socket of HAProxy answers") == 1
    assert OldWorkers(paths, LIMITS, Journal(None), ours=True).make_room(0) == 0
