"""One folder with a real supervisor, a real HAProxy and a small controller."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import psutil

from fastlb.errors import RuntimeApiError
from fastlb.haproxy import find_haproxy
from fastlb.master import Master

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
T = TypeVar("T")

TINI = shutil.which(os.environ.get("TINI", "tini"))

CONFIG = """global
    {extra}
defaults
    mode http
    timeout connect 2s
    timeout client 60s
    timeout server 5s
frontend in
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string {answer}
"""

SUPERVISOR = """
import logging, sys
from pathlib import Path
from fastlb.supervisor import Orders, run
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
haproxy, folder, grace_s, timeout_s, *controller = sys.argv[1:]
folder = Path(folder)
sys.exit(
    run(
        Orders(
            haproxy=Path(haproxy),
            config=folder / "haproxy.cfg",
            run_dir=folder / "run",
            maps=(folder / "a.map",),
            server_state=folder / "run" / "servers.state",
            controller=tuple(controller),
            environment={"ONLY_FOR": "the controller"},
            stop_grace_s=float(grace_s),
            controller_timeout_s=float(timeout_s),
        )
    )
)
"""

# Notes what happens to it; asks for HAProxy on SIGUSR1, leaves an orphan on SIGHUP; beats if it is told to.
CONTROLLER = """
import faulthandler, json, os, signal, subprocess, sys, threading
from dataclasses import asdict
from pathlib import Path
from fastlb.supervisor_link import SupervisorLink
signals = {signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
def note(what):
    with Path(sys.argv[1], "notes").open("a") as notes:
        notes.write(json.dumps(what) + "\\n")
def on_event(event):
    note({"event": type(event).__name__} | (asdict(event) if event else {}))
link = SupervisorLink.from_environment(os.environ, on_event)
def beat():
    while True:
        link._next_beat_s = 0
        link.beat()
        threading.Event().wait(0.05)
if Path(sys.argv[1], "beats").exists():
    threading.Thread(target=beat, daemon=True).start()
faulthandler.register(signal.SIGUSR2)
note({"controller": os.getpid(), "told": os.environ["ONLY_FOR"]})
while True:
    signum = signal.sigwait(signals)
    note({"signal": signum})
    if signum == signal.SIGUSR1:
        note({"outcome": asdict(link.start_haproxy(20))})
    elif signum == signal.SIGHUP:
        subprocess.run(["sh", "-c", "sleep 0.1 &"], check=True)
    else:
        link.close()
        break
"""


def until(what: Callable[[], T], within_s: float = 30) -> T:
    deadline = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Stage:
    """One folder with all that runs in it; every process of it has the folder's name among its arguments."""

    folder: Path
    port: int = field(default_factory=free_port)
    supervisors: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def write(self, answer: str = "first", extra: str = "", more: str = "") -> None:
        text = CONFIG.format(port=self.port, answer=answer, extra=extra) + more
        (self.folder / "haproxy.cfg").write_text(text)

    def start(self, grace_s: float = 20, timeout_s: float = 0, below: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        (self.folder / "controller.py").write_text(CONTROLLER)
        haproxy = find_haproxy(None, os.environ).path
        controller = [sys.executable, self.folder / "controller.py", self.folder]
        with (self.folder / "log").open("ab") as log:
            supervisor = [sys.executable, "-c", SUPERVISOR, haproxy, self.folder, str(grace_s), str(timeout_s)]
            command = [*below, *supervisor, *controller]
            self.supervisors.append(subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL))
        return self.supervisors[-1]

    def notes(self, key: str) -> list[Any]:
        path = self.folder / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        return [note for note in map(json.loads, lines) if key in note]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def answer(self) -> str:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
                connection.request("GET", "/", headers={"connection": "close"})
                return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return ""

    def master(self) -> int:
        try:
            return Master(self.folder / "run" / "master.sock", timeout_s=2).processes().master.pid
        except RuntimeApiError:
            return 0

    def is_up(self) -> bool:
        return f"HAProxy {self.master()} serves" in self.log()

    def worker(self) -> int:
        return Master(self.folder / "run" / "master.sock", timeout_s=2).processes().workers[0].pid

    def controller_pid(self, number: int = 0) -> int:
        until(lambda: len(self.notes("controller")) > number)
        return int(self.notes("controller")[number]["controller"])

    def ask(self, number: int = 0) -> dict[str, Any]:
        """Have the controller ask for HAProxy, and wait for the outcome."""
        until(lambda: self.notes("controller"))
        self.supervisors[-1].send_signal(signal.SIGUSR1)
        until(lambda: len(self.notes("outcome")) > number)
        outcome: dict[str, Any] = self.notes("outcome")[number]["outcome"]
        return outcome

    def processes(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["cmdline", "status"])
            if any(str(self.folder) in argument for argument in process.info["cmdline"] or ())
            and process.info["status"] != psutil.STATUS_ZOMBIE
        ]


def end(supervisor: subprocess.Popen[bytes]) -> int:
    supervisor.send_signal(signal.SIGTERM)
    return supervisor.wait(30)


def held_connection(port: int) -> socket.socket:
    held = socket.create_connection(("127.0.0.1", port), timeout=10)
    held.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n")  # unfinished: a soft stop waits for it
    return held
