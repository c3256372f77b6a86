"""What the whole-program benchmark runs and looks at: the simulator, fastlb with its HAProxy, the event stream.

Each is a context manager that ends what it started, by its process id. All of it listens on loopback addresses that are
this process's own, so that several runs on one machine do not meet.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

PAUSE_S = 0.005
REQUEST_WITHIN_S = 10.0
STOP_WITHIN_S = 60.0
OWN_PORTS = {"--http-port": 9080, "--https-port": 9443, "--appid-port": 9091, "--stats-port": 9090}
"""Between the ranges that the simulator takes service ports from."""

Server = tuple[str, int]


class Probed(NamedTuple):
    """An app to look at: its id, service port, and how many tasks it has at first."""

    id: str
    port: int
    tasks: int


def until(probe: Callable[[], T | None], within_s: float, what: str) -> T:
    """Ask ``probe`` again and again until it returns something true. Raises TimeoutError naming ``what``."""
    give_up_s = monotonic() + within_s
    while not (found := probe()):
        if monotonic() > give_up_s:
            raise TimeoutError(f"no {what} within {within_s:g} s")
        sleep(PAUSE_S)
    return found


def own_address() -> str:
    """Return a loopback address that depends on the process id."""
    return f"127.251.{os.getpid() // 254 % 254}.{1 + os.getpid() % 254}"


class _Program:
    """A process of ours."""

    def __init__(self, words: list[str], folder: Path, log: str, **environment: str) -> None:
        self._words = [sys.executable, "-m", "fastlb", *words]
        self.folder = folder
        self._log = folder / log
        self._environment = {**os.environ, **environment}

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                self._words, cwd=self.folder, stdout=log, stderr=log, env=self._environment, stdin=subprocess.DEVNULL
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def said(self) -> str:
        """Return its log. Raises RuntimeError with its end if the process has ended."""
        text = self._log.read_text(errors="replace")
        if self.process.poll() is not None:
            raise RuntimeError(f"{' '.join(self._words)} ended with {self.process.returncode}:\n{text[-2000:]}")
        return text


class Simulator(_Program):
    """A simulated Marathon with so many apps and tasks."""

    def __init__(self, apps: int, tasks: int, folder: Path) -> None:
        self.host = own_address()
        words = ["simulate", "--host", self.host, "--port", "0", "--apps", str(apps), "--tasks", str(tasks)]
        super().__init__(words, folder, "simulator.log")

    def __enter__(self) -> Self:
        super().__enter__()
        self.url = until(self._url, STOP_WITHIN_S, "simulator")
        return self

    def plain_http_apps(self) -> list[Probed]:
        """Return apps with one service port, in http mode, that nothing special happens to."""
        found = []
        for app in self._ask("GET", "/v2/apps?embed=apps.tasks")["apps"]:
            mappings = app.get("portDefinitions") or app["container"]["portMappings"]
            labels = app["labels"]
            plain = labels.get("HAPROXY_0_MODE") == "http" and "healthChecks" not in app
            if plain and len(mappings) == 1 and "HAPROXY_DEPLOYMENT_GROUP" not in labels:
                found.append(Probed(app["id"], mappings[0].get("servicePort") or mappings[0]["port"], app["instances"]))
        return found

    def scale(self, app: Probed, instances: int) -> None:
        """Ask for so many tasks."""
        self._ask("PUT", f"/v2/apps{app.id}", {"instances": instances})

    def create(self, app_id: str, labels: dict[str, str]) -> None:
        """Add an app with one task."""
        definition = {"id": app_id, "instances": 1, "labels": {"HAPROXY_GROUP": "external", **labels}}
        self._ask("POST", "/v2/apps", definition)

    def _url(self) -> str | None:
        heading, found, _ = self.said().partition("\n")
        return heading.rpartition(" ")[2] if found else None

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=STOP_WITHIN_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}: {text[:500]!r}")
        return json.loads(text)


class Fastlb(_Program):
    """``fastlb sse`` with a HAProxy of its own, watched through its journal and through requests."""

    def __init__(self, marathon: str, address: str, folder: Path) -> None:
        words = ["sse", "--marathon", marathon, "--group", "external", "--health-check", "--haproxy-map"]
        words += ["--bind-address", address, "--haproxy-config", str(folder / "haproxy.cfg")]
        words += ["--run-dir", str(folder / "run"), "--syslog-socket", "/dev/null", "--log-level", "INFO"]
        words += [str(word) for pair in OWN_PORTS.items() for word in pair]
        self._journal = folder / "journal"
        super().__init__(words, folder, "fastlb.log", FASTLB_JOURNAL=str(self._journal))
        self._address = address
        self._serves = False
        self.requests = self.failures = 0

    def answering_server(self, port: int) -> Server | None:
        """Send one request to a service port; return who answered. What fails after the first answer is counted."""
        connection = http.client.HTTPConnection(self._address, port, timeout=REQUEST_WITHIN_S)
        self.requests += self._serves
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                self._serves = True
                said = json.loads(body)
                return said["address"], said["port"]
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        self.failures += self._serves
        self.said()
        return None

    def servers(self, app: Probed, count: int) -> set[Server]:
        """Return the servers that answer for ``app``, once there are ``count``."""
        seen: set[Server] = set()

        def all_seen() -> bool:
            server = self.answering_server(app.port)
            seen.update({server} if server else ())
            return len(seen) >= count

        until(all_seen, STOP_WITHIN_S, f"answers of {count} servers of {app.id}")
        return seen

    def served_by_another(self, app: Probed, known: set[Server]) -> float | None:
        """Send one request; return when it ended (monotonic seconds) if a server that is not ``known`` answered."""
        server = self.answering_server(app.port)
        return monotonic() if server and server not in known else None

    def journal(self, kind: str) -> list[dict[str, Any]]:
        """Return what the journal says of that kind."""
        lines = self._journal.read_text().splitlines(keepends=True) if self._journal.exists() else []
        entries = [json.loads(line) for line in lines if line.endswith("\n")]
        return [entry for entry in entries if entry["kind"] == kind]

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of each part."""
        supervisor = psutil.Process(self.process.pid)
        parts = {"the supervisor": [supervisor], "the controller": [], "HAProxy, master and workers": []}
        for child in supervisor.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                named = "HAProxy, master and workers" if "haproxy" in child.name() else "the controller"
                parts[named].append(child)
        return {name: sum(process.memory_info().rss for process in each) / 2**20 for name, each in parts.items()}


class Events:
    """The event stream, read by a thread: when each app's last new task began to run."""

    def __init__(self, marathon: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(marathon).netloc, timeout=STOP_WITHIN_S)
        self._running: dict[str, float] = {}
        self._thread = threading.Thread(target=self._read, name="events", daemon=True)

    def __enter__(self) -> Self:
        path = "/v2/events?plan-format=light&event_type=status_update_event"
        self._connection.connect()
        self._socket = self._connection.sock  # the connection forgets it once the answer has begun
        self._connection.request("GET", path, headers={"Accept": "text/event-stream"})
        self._answer = self._connection.getresponse()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(STOP_WITHIN_S)
        self._answer.close()
        self._connection.close()

    def running_since(self, app_id: str) -> float | None:
        """Return when (monotonic seconds) the app's newest task was said to run; None while that has not happened."""
        return self._running.get(app_id)

    def forget(self) -> None:
        """Start anew."""
        self._running.clear()

    def _read(self) -> None:
        with suppress(OSError, ValueError, http.client.HTTPException):
            for line in self._answer:
                if line.startswith(b"data: "):
                    event = json.loads(line.removeprefix(b"data: "))
                    if event.get("taskStatus") == "TASK_RUNNING":
                        self._running[event["appId"]] = monotonic()
