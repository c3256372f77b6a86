"""The assembled daemon in a folder of its own, at a loopback address of its own; and apps to put behind it.

Nothing is faked here but Marathon (the simulator) and the tasks it runs: `FrontDoor` starts ``python -m fastlb`` as a
user would, watches it through its journal, its log, its files and real requests, and at the end demands that no
process, socket or temporary file is left.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import psutil

from fastlb.errors import RuntimeApiError
from fastlb.master import Master

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fastlb.simulator.server import SimulatedMarathon

T = TypeVar("T")
Json = dict[str, Any]

HTTP_PORT, HTTPS_PORT, STATS_PORT, APPID_PORT = 21080, 21443, 21090, 21091
CLAIM_PORT = 21001
"""Whoever listens there has the address; all other ports of it are then free."""
WITHIN_S = 20.0
STOP_WITHIN_S = 30.0
IN_LISTS = frozenset({"tasks"})
"""What fastlb has embedded when it reads all apps."""
FOREIGN = (
    "FASTLB_",
    "HAPROXY_",
    "MARATHON_",
    "VAULT_",
    "DCOS_",
    "POLL_",
    "SYSLOG_",
    "FRAMEWORK_",
    "LIBPROCESS_",
    "MESOS_",
)
"""Variables that fastlb would take for its own."""
QUICK = ("--settle", "0.01", "--settle-max", "0.1", "--max-backoff", "0.2", "--stop-grace", "2")


def until(what: Callable[[], T], within_s: float = WITHIN_S, said: Callable[[], object] = lambda: "") -> T:
    """Poll until ``what()`` is true, and return it; fail with what is ``said`` after the deadline."""
    deadline_s = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline_s, f"it did not happen within {within_s} s\n{said()}"
        time.sleep(0.02)
    return found


def app(name: str, port: int, *, instances: int = 2, checks: bool = False, **more: Any) -> Json:
    """A definition: ``name`` is the app's id without slash and its vhost is ``name.test``; ``labels`` are added."""
    labels = {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": f"{name}.test", **more.pop("labels", {})}
    health = [{"protocol": "HTTP", "path": "/health", "intervalSeconds": 2}] if checks else []
    definition = {"id": f"/{name}", "cmd": "serve", "instances": instances, "healthChecks": health}
    return {**definition, "portDefinitions": [{"port": port}], **more, "labels": labels}


def distort(marathon: SimulatedMarathon, app_id: str, change: Callable[[Json], None]) -> None:
    """Have Marathon answer for one app what it would never answer by itself, until the app is touched."""

    def work(service: Any) -> None:
        from fastlb.simulator import shapes
        from fastlb.simulator.api import SINGLE_APP_EMBEDS

        app = service.cluster.app(app_id)
        app.touch()
        for embeds in (IN_LISTS, IN_LISTS | SINGLE_APP_EMBEDS):
            document = orjson.loads(shapes.app_bytes(app, service.cluster.world.dialect, embeds))
            change(document)
            app.written[embeds] = orjson.dumps(document)

    marathon.call(work)


@contextlib.contextmanager
def claimed_address() -> Iterator[str]:
    """A loopback address that no other test of this machine uses meanwhile."""
    for third in range(1, 250):
        address = f"127.251.{third}.1"
        try:
            claim = socket.create_server((address, CLAIM_PORT))
        except OSError:
            continue
        with claim:
            yield address
        return
    raise AssertionError("every address is taken")


@dataclass
class FrontDoor:
    """One folder in which a daemon runs, perhaps several times after each other."""

    folder: Path
    address: str
    process: subprocess.Popen[bytes] | None = None
    prefix: tuple[str, ...] = ()
    """Words before the command, of a program that becomes it at last (`exec`)."""
    seen: set[psutil.Process] = field(default_factory=set)

    def __post_init__(self) -> None:
        (self.folder / "tmp").mkdir()
        (self.folder / "etc").mkdir()

    @property
    def config_path(self) -> Path:
        return self.folder / "etc" / "haproxy.cfg"

    def flags(self, marathon: str) -> list[str]:
        paths = ["--haproxy-config", str(self.config_path), "--run-dir", str(self.folder / "run")]
        ports = ["--http-port", str(HTTP_PORT), "--https-port", str(HTTPS_PORT)]
        ports += ["--stats-port", str(STATS_PORT), "--appid-port", str(APPID_PORT)]
        return ["--marathon", marathon, "--group", "external", "--bind-address", self.address, *paths, *ports]

    def environment(self, **more: str) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return {**mine, "TMPDIR": str(self.folder / "tmp"), "FASTLB_JOURNAL": str(self.folder / "journal"), **more}

    def command(self, mode: str, marathon: str, *flags: str) -> list[str]:
        quiet = ["--syslog-socket", "/dev/null", *QUICK]
        return [*self.prefix, sys.executable, "-m", "fastlb", mode, *self.flags(marathon), *quiet, *flags]

    def start(self, marathon: str, *flags: str, mode: str = "sse", **environment: str) -> FrontDoor:
        """Start it; ``flags`` beat those that every test uses."""
        assert self.process is None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(mode, marathon, *flags),
                cwd=self.folder,
                env=self.environment(**environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def up(self, marathon: str, *flags: str, mode: str = "sse", **environment: str) -> FrontDoor:
        """Start it and wait until it has applied what Marathon says."""
        start = self.now()
        self.start(marathon, *flags, mode=mode, **environment)
        self.wait_for("reload", start, ok=True)
        return self

    def run(
        self, marathon: str, *flags: str, mode: str = "sse", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(mode, marathon, *flags),
            cwd=self.folder,
            env=self.environment(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    def stop(self, *, keeps_haproxy: bool = False) -> int:
        """End it as an operator does; demand that nothing is left, but for the sockets of a HAProxy that it has not."""
        assert self.process is not None
        process, self.process = self.process, None
        if process.poll() is None:
            self.tree(process.pid)
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_WITHIN_S)
        finally:
            self._demand_that_nothing_is_left(process, sockets=keeps_haproxy)
        return code

    def _demand_that_nothing_is_left(self, process: subprocess.Popen[bytes], *, sockets: bool) -> None:
        left = [one for one in self.seen if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        for one in left:
            one.kill()
        if process.poll() is None:
            process.kill()
            process.wait()
        self.seen.clear()
        assert left == [], self.log()
        temporary = [*self.folder.rglob("*.fastlb-new"), *(self.folder / "tmp").iterdir()]
        listening = [path for path in self.folder.rglob("*") if path.is_socket() and not sockets]
        assert (temporary, listening) == ([], []), self.log()

    def tree(self, pid: int | None = None) -> list[psutil.Process]:
        """The processes of the running daemon; remembered, so that each of them has to be gone at the end."""
        assert pid or self.process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(pid or self.process.pid).children(recursive=True)
            self.seen.update(found)
            return found
        return []

    def controller(self) -> psutil.Process:
        return until(lambda: next((one for one in self.tree() if "controller" in _arguments(one)), None))

    def master(self) -> psutil.Process:
        """HAProxy's master: the one that has no HAProxy above it."""
        return until(lambda: next((one for one in self.haproxies() if _name(one.parent()) != "haproxy"), None))

    def worker(self) -> psutil.Process:
        """The worker that serves."""

        def serving() -> psutil.Process | None:
            with contextlib.suppress(RuntimeApiError):  # the master of 2.6 replaces itself after a reload
                process = Master(self.folder / "run" / "master.sock", timeout_s=5).processes().serving
                return psutil.Process(process.pid) if process else None
            return None

        return until(serving)

    def haproxies(self) -> list[psutil.Process]:
        return [one for one in self.tree() if _name(one) == "haproxy" and "-c" not in _arguments(one)]

    def journal(self, kind: str = "", since: int = 0) -> list[Json]:
        """The journal's entries of one kind, from the ``since``th line of it on."""
        path = self.folder / "journal"
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        entries = [orjson.loads(line) for line in lines[since:] if line.endswith(b"\n")]
        return [entry for entry in entries if kind in {"", entry["kind"]}]

    def now(self) -> int:
        """Where the journal ends now, for `journal` and `wait_for`."""
        return len(self.journal())

    def wait_for(self, kind: str, since: int = 0, **fields: Any) -> Json:
        """Wait for an entry of this kind and these fields."""

        def found() -> Json | None:
            entries = self.journal(kind, since)
            return next((one for one in entries if all(one.get(key) == value for key, value in fields.items())), None)

        return until(found, said=self.log)

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def lines(self, text: str) -> list[str]:
        """The lines of the log that contain ``text``."""
        return [line for line in self.log().splitlines() if text in line]

    def wait_for_line(self, text: str) -> str:
        return until(lambda: self.lines(text), said=self.log)[0]

    def config(self) -> str:
        return self.config_path.read_text()

    def get(self, host: str, path: str = "/", port: int = HTTP_PORT) -> tuple[int, Json]:
        """Status and JSON of one request on a connection of its own; (0, {}) if there was no answer."""
        connection = http.client.HTTPConnection(self.address, port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.connect()
            if port == HTTPS_PORT:
                connection.sock = _any_tls().wrap_socket(connection.sock, server_hostname=host)
            connection.request("GET", path, headers={"Host": host, "Connection": "close"})
            response = connection.getresponse()
            body = response.read()
            return response.status, orjson.loads(body) if response.status == 200 else {}
        return 0, {}

    def status(self, host: str, **more: Any) -> int:
        return self.get(host, **more)[0]

    def answering(self, host: str, requests: int = 8) -> set[str]:
        """The tasks that answer several requests for a vhost, "" among them if one was not answered."""
        return {self.get(host)[1].get("task", "") for _ in range(requests)}

    def wait_for_tasks(self, marathon: SimulatedMarathon, name: str, host: str = "") -> None:
        """Wait until exactly the tasks that Marathon has for the app get the requests for its vhost."""
        expected = {task["id"] for task in marathon.tasks(f"/{name}") if task["state"] == "TASK_RUNNING"}
        until(lambda: self.answering(host or f"{name}.test", 2 * len(expected)) == expected, said=self.log)

    def wait_for_status(self, host: str, status: int, **more: Any) -> None:
        until(lambda: self.status(host, **more) == status, said=lambda: f"{self.status(host, **more)}\n{self.log()}")

    def routed(self) -> set[str]:
        """The names of the backends of services in the configuration on disk."""
        return set(re.findall(r"^backend (\S+)$", self.config(), re.MULTILINE))


@contextlib.contextmanager
def front_door(folder: Path) -> Iterator[FrontDoor]:
    """A `FrontDoor` that has not started; ended at the end."""
    with claimed_address() as address:
        door = FrontDoor(folder, address)
        try:
            yield door
        finally:
            if door.process is not None:
                door.stop()


def _any_tls() -> ssl.SSLContext:
    """TLS that believes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _name(process: psutil.Process | None) -> str:
    try:
        return process.name() if process else ""
    except psutil.NoSuchProcess:
        return ""
