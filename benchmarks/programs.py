"""The programs that an end-to-end benchmark runs, each in a process of its own: the simulator, fastlb with its HAProxy.

Each is a context manager that ends what it started, by its process id. All of it listens on loopback addresses that are
this process's own, so that several runs on one machine do not meet.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.figures import Size

T = TypeVar("T")

ROOT = Path(__file__).parent.parent
"""Where modules of this package can be run from."""

PAUSE_S = 0.001
START_WITHIN_S = 60.0
STOP_WITHIN_S = 60.0
SAID_CHARACTERS = 3000
HTTP_PORT = 9080
OWN_PORTS = {"--http-port": HTTP_PORT, "--https-port": 9443, "--appid-port": 9091, "--stats-port": 9090}
"""Between the ranges that the simulator takes service ports from."""
MEBIBYTE = 2**20


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


class Program:
    """A process that is started and ended here; what it says goes to a file."""

    def __init__(self, words: Iterable[object], folder: Path, name: str, **environment: str) -> None:
        self._words = [str(word) for word in words]
        self.folder = folder
        self._log = folder / f"{name}.log"
        self._environment = {**os.environ, **environment}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
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
            words = " ".join(self._words)
            raise RuntimeError(f"{words} ended with {self.process.returncode}:\n{text[-SAID_CHARACTERS:]}")
        return text

    def tree(self) -> list[psutil.Process]:
        """Return the process and all below it."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]


def resident_mb(processes: Iterable[psutil.Process]) -> float:
    """Return the resident memory of those that still live."""
    total = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / MEBIBYTE


class App(NamedTuple):
    """An app of the simulator: its id, first service port, first host name, number of tasks, whether it is checked."""

    id: str
    port: int
    host: str
    tasks: int
    checked: bool


class Simulator(Program):
    """A simulated Marathon with so many apps and tasks."""

    def __init__(self, size: Size, folder: Path) -> None:
        self.address = own_address()
        words = ["simulate", "--host", self.address, "--port", 0, "--apps", size.apps, "--tasks", size.tasks]
        super().__init__([sys.executable, "-m", "fastlb", *words], folder, "simulator")

    def __enter__(self) -> Self:
        super().__enter__()
        self.url = until(self._url, START_WITHIN_S, "simulator")
        return self

    def plain_apps(self) -> list[App]:
        """Return http apps with one vhost and one service port, whose tasks have addresses of their own."""
        found = []
        for app in self.ask("GET", "/v2/apps?embed=apps.tasks")["apps"]:
            mappings = app.get("portDefinitions") or app["container"]["portMappings"]
            labels = app["labels"]
            special = {"HAPROXY_DEPLOYMENT_GROUP", "HAPROXY_0_STICKY", "HAPROXY_0_PATH", "HAPROXY_0_REDIRECT_TO_HTTPS"}
            if labels.get("HAPROXY_0_MODE") == "http" and len(mappings) == 1 and not special & labels.keys():
                port = mappings[0].get("servicePort") or mappings[0]["port"]
                host = labels["HAPROXY_0_VHOST"].partition(",")[0]
                found.append(App(app["id"], port, host, app["instances"], "healthChecks" in app))
        return found

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Send one request; return the JSON of the answer. Raises RuntimeError if it was refused."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=START_WITHIN_S)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path} was answered with {answer.status}: {text[:500]!r}")
        return json.loads(text)

    def _url(self) -> str | None:
        heading, found, _ = self.said().partition("\n")
        return heading.rpartition(" ")[2] if found else None


class Fastlb(Program):
    """``fastlb sse`` with a HAProxy of its own."""

    name = "fastlb"

    def __init__(self, marathon: str, address: str, folder: Path) -> None:
        self.address = address
        self.config = folder / "haproxy.cfg"
        self._journal = folder / "journal"
        words = ["sse", "--marathon", marathon, "--group", "external", "--health-check", "--haproxy-map"]
        words += ["--bind-address", address, "--haproxy-config", str(self.config)]
        words += ["--run-dir", str(folder / "run"), "--syslog-socket", "/dev/null", "--log-level", "INFO"]
        words += [str(word) for pair in OWN_PORTS.items() for word in pair]
        command = [sys.executable, "-m", "fastlb", *words]
        super().__init__(command, folder, "fastlb", FASTLB_JOURNAL=str(self._journal))

    def journal(self) -> list[dict[str, Any]]:
        """Return every line of the journal that is complete."""
        lines = self._journal.read_text().splitlines(keepends=True) if self._journal.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def processor_s(self) -> float:
        """Return the processor time that its controller has used."""
        return sum(_processor_s(process) for process in self._controllers())

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of each part."""
        supervisor, *below = self.tree()
        controllers = self._controllers()
        return {
            "supervisor": resident_mb([supervisor]),
            "controller": resident_mb(controllers),
            "HAProxy, master and workers": resident_mb(each for each in below if each not in controllers),
        }

    def _controllers(self) -> list[psutil.Process]:
        found = []
        for each in self.tree()[1:]:
            with suppress(psutil.NoSuchProcess):
                found += [each] if not each.name().startswith("haproxy") else []
        return found


def _processor_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
