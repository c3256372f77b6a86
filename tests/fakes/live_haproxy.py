"""A real HAProxy on a configuration of its own, tasks that answer it, and clients that never stop asking.

For tests of live changes: one backend per test, written as the default templates write it, before and after a change.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import socketserver
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from fastlb import kernel
from fastlb.errors import RuntimeApiError
from fastlb.haproxy import find_haproxy
from fastlb.master import Master
from fastlb.runtime import Runtime
from fastlb.runtime_api import RuntimeApi
from fastlb.servers import Backend, read_backend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fastlb.master import ReloadOutcome

WITHIN_S = 20.0
SHARED = """global
    nbthread 2
    maxconn 400
    stats socket {folder}/api.sock mode 600 level admin
    server-state-file {folder}/state
defaults
    load-server-state-from-file global
    mode http
    retries 3
    option redispatch
    option http-server-close
    option idle-close-on-response
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 1s
frontend in
    bind 127.0.0.1:{port}
    mode {mode}
    default_backend app_10000
{map_rules}
"""
MAP_RULES = "    use_backend %[req.hdr(host),lower,map({folder}/hosts.map)]\n"
BACKEND = "\nbackend {name}\n  balance {balance}\n  mode {mode}\n{more}"
CHECK = " check inter 10s fall 4"
NO_STATES = "1\n# be_id be_name srv_id srv_name\n"


def until(what: Callable[[], Any], within_s: float = WITHIN_S) -> Any:
    deadline_s = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline_s, f"it did not happen within {within_s} s"
        time.sleep(0.01)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def lines(ports: Sequence[int], options: str = "", *, sticky: bool = False, disabled: Sequence[int] = ()) -> str:
    """The server lines that the default template writes for tasks at these ports of 127.0.0.1."""
    servers = [("127.0.0.1", "127.0.0.1", port, port in disabled) for port in ports]
    every = kernel.server_values(servers, sticky, [options])
    line = "  server {serverName} {host_ipv4}:{port} id {serverId}{cookieOptions}{healthCheckOptions}{otherOptions}\n"
    return "".join(line.format(**values) for values in every)


def backend(
    servers: str, more: str = "", *, name: str = "app_10000", mode: str = "http", balance: str = "roundrobin"
) -> Backend:
    """One backend as text, read; ``more`` are lines of its head."""
    return read_backend(name, BACKEND.format(name=name, balance=balance, mode=mode, more=more), servers)


@dataclass
class LiveHAProxy:
    """A master and its worker, their files in ``folder``."""

    folder: Path
    port: int = field(default_factory=free_port)
    mode: str = "http"
    process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> RuntimeApi:
        return RuntimeApi(self.folder / "api.sock", 5)

    @property
    def runtime(self) -> Runtime:
        return Runtime(self.api)

    @property
    def _master(self) -> Master:
        return Master(self.folder / "master.sock", timeout_s=5)

    @property
    def map_path(self) -> str:
        return f"{self.folder}/hosts.map"

    def write(self, texts: Sequence[str], entries: Sequence[tuple[str, str]] | None = None) -> None:
        """Write the configuration: backends as text, and the map if there are entries."""
        rules = "" if entries is None else MAP_RULES.format(folder=self.folder)
        if entries is not None:
            (self.folder / "hosts.map").write_text(kernel.map_text(list(entries)))
        shared = SHARED.format(folder=self.folder, port=self.port, mode=self.mode, map_rules=rules)
        (self.folder / "haproxy.cfg").write_text(shared + "".join(texts))

    def start(self) -> Self:
        (self.folder / "state").write_text(NO_STATES)
        program = find_haproxy(None, os.environ).path
        command: list[str | Path] = [
            program,
            "-W",
            "-S",
            f"{self.folder}/master.sock,mode,600",
            "-f",
            f"{self.folder}/haproxy.cfg",
        ]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log)
        until(self._is_up)
        return self

    def reload(self) -> ReloadOutcome:
        return self._master.reload(WITHIN_S)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(WITHIN_S)

    def servers(self, name: str = "app_10000") -> dict[str, tuple[Any, ...]]:
        """What of its servers a change is about: without their health, which is HAProxy's business."""
        seen = self.runtime.servers([name])[name]
        return {each.name: each._replace(is_up=False)[1:] for each in seen.values()}

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            return bool(self._master.processes().workers) and bool(self.api.info())
        except RuntimeApiError:
            return False


def text_of(one: Backend, servers: str) -> str:
    return one.head + servers


class _Answer(socketserver.StreamRequestHandler):
    """Answers every request of a connection with the port that it came to."""

    timeout = 10

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while self._request():
                body = str(self.connection.getsockname()[1]).encode()
                self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))

    def _request(self) -> bool:
        first = self.rfile.readline()
        for line in iter(self.rfile.readline, b"\r\n"):
            if not line:
                return False
        return bool(first)


class _Task(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _port(task: _Task) -> int:
    port: int = task.socket.getsockname()[1]
    return port


@contextlib.contextmanager
def tasks(number: int) -> Iterator[list[int]]:
    """The ports of so many tasks, lowest first, that answer with their port."""
    every = sorted((_Task(("127.0.0.1", 0), _Answer) for _ in range(number)), key=_port)
    threads = [threading.Thread(target=each.serve_forever, args=(0.05,), name="task") for each in every]
    for thread in threads:
        thread.start()
    try:
        yield [_port(each) for each in every]
    finally:
        for each, thread in zip(every, threads, strict=True):
            each.shutdown()
            thread.join()
            each.server_close()


@dataclass
class Clients:
    """Two clients that ask one after the other, one of them on a connection that it keeps."""

    port: int
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for keeps in (True, False):
            thread = threading.Thread(target=self._work, args=(keeps,), name="client")
            self._threads.append(thread)
            thread.start()
        until(lambda: len(self.answers) > 10)
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(WITHIN_S)

    def more(self, number: int = 30) -> set[str]:
        """Who answers the next requests."""
        start = len(self.answers)
        until(lambda: len(self.answers) + len(self.failures) >= start + number)
        return set(self.answers[start:])

    def _work(self, keeps: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WITHIN_S)
        with contextlib.closing(connection):
            while not self._over.wait(0.003):
                try:
                    connection.request("GET", "/")
                    response = connection.getresponse()
                    said = response.read().decode()
                    (self.answers if response.status == 200 else self.failures).append(said or str(response.status))
                except (OSError, http.client.HTTPException) as error:
                    self.failures.append(repr(error))
                if not keeps:
                    connection.close()


def answer_to(port: int, cookie: str) -> str:
    """Who answers a client with this cookie."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)) as connection:
        connection.request("GET", "/", headers={"Cookie": f"sid={cookie}"})
        return connection.getresponse().read().decode()


def names(ports: Sequence[int]) -> list[str]:
    return [kernel.server_name("127.0.0.1", "127.0.0.1", port) for port in ports]


def cookie_of(port: int) -> str:
    return kernel.cookie(kernel.server_name("127.0.0.1", "127.0.0.1", port))


@contextlib.contextmanager
def haproxies(folder: Path) -> Iterator[Callable[..., LiveHAProxy]]:
    """Start HAProxies on backends as text, and on a map if there are entries; all are ended at the end."""
    started: list[LiveHAProxy] = []

    def start(*texts: str, entries: Sequence[tuple[str, str]] | None = None, mode: str = "http") -> LiveHAProxy:
        own = folder / str(len(started))
        own.mkdir()
        one = LiveHAProxy(own, mode=mode)
        one.write(texts, entries)
        started.append(one)
        return one.start()

    try:
        yield start
    finally:
        for one in started:
            one.stop()
