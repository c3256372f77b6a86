"""The stage: a private folder, the simulated Marathon, fastlb and its HAProxy; all of it ends with the context.

fastlb runs as operators run it, ``fastlb sse`` in a process of its own, and is ended by its pid. It sees none of the
caller's settings, and has a process group of its own, so that Ctrl-C reaches it only through the demo.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from fastlb.controller import JOURNAL
from fastlb.demo.apps import GROUP, first_apps
from fastlb.demo.ports import HOST
from fastlb.errors import FastlbError
from fastlb.kernel import PURE_SWITCH
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from fastlb.demo.ports import Ports
    from fastlb.haproxy import HAProxy

DELAYS = Delays(staging_s=0.1, starting_s=0.1, running_s=0.1, healthy_s=0.2, killing_s=0.2, relaunch_s=0.5)
"""Long enough to be seen, short enough to be waited for."""

END_WITHIN_S = 15.0
INSIST_S = 5.0
SETTINGS_OF_OTHERS = ("FASTLB_", "HAPROXY_", "MARATHON_", "VAULT_", "DCOS_", "FRAMEWORK_NAME", "POLL_INTERVAL")
LAST_WORDS = 10


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs: ``marathon`` in this process, ``fastlb`` beside it, and the folder of their files."""

    folder: Path
    marathon: SimulatedMarathon
    fastlb: subprocess.Popen[bytes]

    @property
    def journal(self) -> Path:
        """Return fastlb's journal."""
        return self.folder / "journal"

    @property
    def master_socket(self) -> Path:
        """Return the socket of HAProxy's master."""
        return self.folder / "run" / "master.sock"

    def check(self) -> None:
        """Raise FastlbError if fastlb has ended, with its last words."""
        if self.fastlb.poll() is not None:
            raise FastlbError(f"fastlb ended with {self.fastlb.returncode}; its last words:\n{self.last_words()}")

    def last_words(self) -> str:
        """Return the end of fastlb's log."""
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST_WORDS:])


@contextmanager
def open_stage(haproxy: HAProxy, ports: Ports, seed: int) -> Iterator[Stage]:
    """Start everything, and end everything with the context. Raises FastlbError if Marathon cannot listen."""
    settings = SimulatorSettings(port=ports.marathon, seed=seed, delays=DELAYS)
    with tempfile.TemporaryDirectory(prefix="fastlb-demo-") as name:
        folder = Path(name)
        try:
            with SimulatedMarathon(settings) as marathon:
                marathon.load(first_apps(ports.services))
                with _running(_command(haproxy, ports, marathon.url, folder), folder) as fastlb:
                    yield Stage(folder, marathon, fastlb)
        except OSError as error:
            raise FastlbError(f"the demo cannot go on: {error}; everything it started is ended") from error


def _command(haproxy: HAProxy, ports: Ports, marathon_url: str, folder: Path) -> list[str]:
    options = {
        "marathon": marathon_url,
        "group": GROUP,
        "haproxy": haproxy.path,
        "haproxy-config": folder / "haproxy.cfg",
        "run-dir": folder / "run",
        "ssl-certs": folder / "run" / "self-signed.pem",
        "bind-address": HOST,
        "http-port": ports.http,
        "https-port": ports.https,
        "appid-port": ports.appid,
        "stats-port": ports.stats,
        "maxconn": 1000,
        "threads": 2,
        "archive-versions": 0,
        "stop-grace": 1,
        "syslog-socket": os.devnull,
        "log-level": "INFO",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "fastlb", "sse", "--haproxy-map", "--health-check", *words]


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run fastlb, its output in a file of ``folder``; end it with the context, whatever happens."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name == PURE_SWITCH or not name.startswith(SETTINGS_OF_OTHERS)
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ | {JOURNAL: str(folder / "journal")},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            process_group=0,
        )
    try:
        yield process
    finally:
        _end(process, folder)


def _end(process: subprocess.Popen[bytes], folder: Path) -> None:
    """End fastlb, which ends HAProxy; then, by force, whatever is left of them, should somebody have killed fastlb."""
    process.terminate()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(INSIST_S)
    left = [each for each in psutil.process_iter(["cmdline"]) if _names(each.info["cmdline"] or (), folder)]
    for survivor in left:
        with suppress(psutil.NoSuchProcess):
            survivor.kill()
    psutil.wait_procs(left, timeout=INSIST_S)


def _names(words: Iterable[str], folder: Path) -> bool:
    """Whether a command line is about the private folder, which nobody else knows."""
    return any(str(folder) in word for word in words)
