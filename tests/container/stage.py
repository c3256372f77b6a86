"""A container of the image, run by any engine that takes docker's words, seen from outside through requests and /proc.

``CONTAINER_ENGINE`` names the engine; without it docker is taken, and where none runs the one beside this file.
``FASTLB_IMAGE`` names an image that is there already; without it the image is built from this checkout.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.container.transcript import Recorder
from tests.fakes.front_door import APPID_PORT, HTTP_PORT, HTTPS_PORT, STATS_PORT, FrontDoor, until

if TYPE_CHECKING:
    import signal
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
BUILT_WITHIN_S = 900.0
ENGINE_WITHIN_S = 60.0
GRACE_S = 10
QUICK = ("--settle", "0.01", "--settle-max", "0.1", "--max-backoff", "0.2", "--log-level", "INFO")
READ_ONLY = ("--read-only", "--tmpfs", "/run/haproxy:mode=1777", "--tmpfs", "/tmp:mode=1777")
NOBODY = ("--user", "12345:12345", "--cap-drop", "all")
RECORDER = Recorder()
ONE_CAPABILITY = ("--cap-add", "NET_BIND_SERVICE")


@cache
def chosen_engine() -> str | Path:
    """Return the engine; docker counts only if its daemon answers."""
    if named := os.environ.get("CONTAINER_ENGINE"):
        return named
    docker = shutil.which("docker")
    if (
        docker
        and subprocess.run([docker, "info"], capture_output=True, timeout=ENGINE_WITHIN_S, check=False).returncode == 0
    ):
        return docker
    return Path(__file__).with_name("engine")


def engine(*words: str | Path, within_s: float = ENGINE_WITHIN_S) -> subprocess.CompletedProcess[str]:
    """Run the engine to its end."""
    command = [chosen_engine(), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=within_s, check=False, cwd=ROOT)
    RECORDER.did([str(word) for word in words], done.returncode, done.stdout + done.stderr)
    return done


def built_image() -> str:
    """Return the name of the image under test, after it was built."""
    named = os.environ.get("FASTLB_IMAGE")
    if named:
        return named
    done = engine("build", "-t", "localhost/fastlb-under-test", str(ROOT), within_s=BUILT_WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return "localhost/fastlb-under-test"


@dataclass(eq=False)
class Container:
    """One container; ``door`` asks it over HTTP, as tests without a container do."""

    image: str
    folder: Path
    address: str
    door: FrontDoor = field(init=False)
    name: str = field(default_factory=lambda: f"fastlb-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.door = FrontDoor(self.folder, self.address)

    def words(self, marathon: str, *, http_port: int = HTTP_PORT) -> list[str]:
        """Return what the issue asks for, at ports of our own."""
        ports = ["--http-port", http_port, "--https-port", HTTPS_PORT]
        ports += ["--stats-port", STATS_PORT, "--appid-port", APPID_PORT]
        words = ["sse", "--health-check", "--group", "external", "--haproxy-map", "--marathon", marathon]
        return [*words, "--bind-address", self.address, *map(str, ports), *QUICK]

    def start(self, words: Sequence[str], *options: str, **environ: str) -> Container:
        """Start it in the background; its output stays with the engine until `log` asks for it."""
        variables = [f"--env={name}={value}" for name, value in {"PORTS": "80,443", **environ}.items()]
        host = ("--network", "host")
        done = engine("run", "--detach", "--name", self.name, *host, *options, *variables, self.image, *words)
        assert done.returncode == 0, done.stderr
        return self

    def log(self) -> str:
        """Return what it has said; what goes to standard error is said before it becomes fastlb."""
        done = engine("logs", self.name)
        return done.stderr + done.stdout

    def wait_for(self, text: str) -> str:
        """Wait until it has said this; return all it has said."""
        return until(lambda: next((log for log in [self.log()] if text in log), ""), 60, said=self.log)

    def serving(self, host: str, *, port: int = HTTP_PORT) -> Container:
        """Wait until requests for the vhost are answered."""
        until(lambda: self.door.status(host, port=port) == 200, 60, said=self.log)
        return self

    def execute(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return engine("exec", self.name, *words)

    def state(self, what: str) -> str:
        """Return one word of its state: Pid, ExitCode, Running."""
        return engine("inspect", "--format", "{{.State." + what + "}}", self.name).stdout.strip()

    def top(self) -> psutil.Process:
        """Return its first process, tini."""
        return psutil.Process(int(self.state("Pid")))

    def tree(self) -> list[psutil.Process]:
        """Return its processes, and have them on record."""
        tree = self._processes()
        RECORDER.saw([(_depth(one, self.top()), words_of(one)) for one in tree])
        return tree

    def _processes(self) -> list[psutil.Process]:
        return [self.top(), *self.top().children(recursive=True)]

    def supervisor(self) -> psutil.Process:
        """Return tini's one child."""
        (supervisor,) = self.top().children()
        return supervisor

    def controller(self) -> psutil.Process:
        """Return the process that may crash."""
        return until(
            lambda: next((one for one in self._processes() if "controller" in words_of(one)), None), said=self.log
        )

    def haproxies(self) -> list[psutil.Process]:
        """Return master and workers, of which the first is the master."""
        return [one for one in self._processes() if name_of(one) == "haproxy" and "-c" not in words_of(one)]

    def zombies(self) -> list[psutil.Process]:
        """Return whoever has ended and was not reaped."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [one for one in self._processes() if one.status() == psutil.STATUS_ZOMBIE]
        return []

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal as the engine does."""
        assert engine("kill", "--signal", number.name, self.name).returncode == 0

    def stop(self) -> int:
        """Stop it as an operator does, and return its exit code: 137 if it had to be killed."""
        engine("stop", "--time", str(GRACE_S), self.name)
        return int(self.state("ExitCode"))

    def remove(self) -> None:
        """Leave nothing behind."""
        if engine("rm", "--force", self.name).returncode:
            engine("rm", "--force", self.name)


def _depth(process: psutil.Process, top: psutil.Process) -> int:
    """Return how far below the first process of the container it is; 0 for one that is gone."""
    with contextlib.suppress(psutil.Error):
        parents = process.parents()
        return parents.index(top) + 1 if top in parents else 0
    return 0


def words_of(process: psutil.Process) -> list[str]:
    """Return the arguments of a process that may be gone."""
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def name_of(process: psutil.Process) -> str:
    """Return the name of a process that may be gone."""
    with contextlib.suppress(psutil.Error):
        return process.name()
    return ""
