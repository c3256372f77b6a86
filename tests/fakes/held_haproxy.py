"""A HAProxy whose old workers live on, because connections through it are held; and the task behind it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastlb.errors import RuntimeApiError
from fastlb.generations import MIB, WorkerLimits
from fastlb.haproxy import find_haproxy
from fastlb.journal import Journal
from fastlb.master import Master
from fastlb.old_workers import OldWorkers
from fastlb.runtime_api import RuntimeApi
from fastlb.settings import Paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMITS = WorkerLimits(most=3, age_s=1800, resident_bytes=10_000 * MIB, patience_s=0)

CONFIG = """global
    stats socket {folder}/socket mode 600 level admin
defaults
    mode tcp
    timeout connect 2s
    timeout client 600s
    timeout server 600s
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
class HeldHAProxy:
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
        outcome = self.master.reload(60)
        assert outcome.ok, outcome
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


@contextmanager
def held_haproxy(folder: Path, more: str = "") -> Iterator[HeldHAProxy]:
    """Run one until the end of the block; ``more`` is added to its configuration."""
    with closing(Task()) as task:
        task.start()
        here = HeldHAProxy(folder, task)
        text = CONFIG.format(folder=folder, plain=here.plain, dear=here.dear, task=task.port)
        here.paths.config.write_text(text + more)
        command = [find_haproxy(None, os.environ).path, "-W", "-S", f"{here.paths.master_socket},mode,600"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*command, "-f", here.paths.config], stderr=log)
        try:
            until(here.is_up)
            with here.held:
                yield here
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
