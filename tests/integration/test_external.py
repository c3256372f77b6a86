"""The reload command of a HAProxy that somebody else runs: one is run here, in the place of that somebody."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest

from fastlb import external
from fastlb.external import ReloadCommand, reload_by_command
from fastlb.haproxy import find_haproxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.haproxy

CONFIG = """defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
frontend in
    bind 127.0.0.1:{port}
    http-request return status 200
"""


@dataclass
class Foreign:
    """A HAProxy in master-worker mode, reloaded by a signal; `counted` counts the runs of a command in a file."""

    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def reload_command(self) -> str:
        """One for a shell: a machine need not have a program called kill."""
        return f"kill -USR2 {self.process.pid}"

    def counted(self, then: str = "true") -> str:
        return f"sh -c 'echo x >> {self.folder}/runs; {then}'"

    def runs(self) -> int:
        return len((self.folder / "runs").read_text().split())


@pytest.fixture(autouse=True)
def _only_ours(monkeypatch):
    """Other tests on this machine may start HAProxies at the same time; what we did not start is not looked at."""
    everybody = psutil.process_iter

    def ours(attributes: list[str]) -> Iterator[psutil.Process]:
        mine = set(psutil.Process().children(recursive=True))
        return (process for process in everybody(attributes) if process in mine)

    monkeypatch.setattr(external.psutil, "process_iter", ours)


@pytest.fixture
def foreign(tmp_path) -> Iterator[Foreign]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (tmp_path / "haproxy.cfg").write_text(CONFIG.format(port=port))
    command = [find_haproxy(None, os.environ).path, "-W", "-f", tmp_path / "haproxy.cfg"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    deadline = time.monotonic() + 20
    while "Loading success" not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield Foreign(tmp_path, process)
    process.send_signal(signal.SIGTERM)
    process.wait(20)


def test_a_reload_that_brings_a_new_process_is_ok_and_names_it(foreign):
    before = {child.pid for child in psutil.Process(foreign.process.pid).children()}
    outcome = reload_by_command(
        ReloadCommand(f"sh -c '{foreign.reload_command}'", retries=10, interval_s=10, give_up_s=30)
    )
    assert outcome.ok, outcome.log
    assert outcome.worker_pid not in before | {None}
    assert psutil.Process(outcome.worker_pid).name() == "haproxy"


@pytest.mark.parametrize(("retries", "runs"), [(1, 1), (3, 3), (0, 1)])
def test_without_a_new_process_the_command_runs_as_often_as_retries_say(foreign, retries, runs):
    outcome = reload_by_command(
        ReloadCommand(foreign.counted(), retries=retries, interval_s=0.05, give_up_s=1 if retries == 0 else 60)
    )
    assert (outcome.ok, outcome.worker_pid) == (False, None)
    assert foreign.runs() == runs
    assert outcome.log == f"no new haproxy process, run {runs} times"


@pytest.mark.parametrize("retries", [0, -1])
def test_the_wait_is_bounded_even_without_a_limit_of_retries(foreign, retries):
    outcome = reload_by_command(ReloadCommand(foreign.counted(), retries=retries, interval_s=0.05, give_up_s=3))
    assert not outcome.ok
    assert outcome.seconds >= 3
    assert foreign.runs() == 1 if retries == 0 else foreign.runs() > 1


def test_a_later_run_may_succeed(foreign):
    then = f"test $(wc -l < {foreign.folder}/runs) -lt 2 || {foreign.reload_command}"
    outcome = reload_by_command(ReloadCommand(foreign.counted(then), retries=5, interval_s=1, give_up_s=60))
    assert outcome.ok, outcome.log
    assert foreign.runs() >= 2


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("sh -c 'exit 3'", "it ended with status 3"),
        ("/no/such/program --reload", "it cannot be started: No such file or directory"),
        ("echo 'open", "it cannot be split into words: No closing quotation"),
        ("", "it is empty"),
    ],
)
def test_a_command_that_fails_is_given_up_at_once_and_logged(command, why, caplog):
    outcome = reload_by_command(ReloadCommand(command, retries=0, interval_s=600, give_up_s=600))
    assert (outcome.ok, outcome.log) == (False, why)
    assert f"reload command {command!r}: {why}; given up" in caplog.text


def test_a_command_that_hangs_is_killed_at_the_limit():
    outcome = reload_by_command(ReloadCommand("sleep 600", retries=3, interval_s=0.1, give_up_s=0.3))
    assert not outcome.ok
    assert "was killed" in outcome.log


def test_no_shell_is_involved(tmp_path):
    outcome = reload_by_command(
        ReloadCommand(f"true; touch {tmp_path}/made $HOME", retries=1, interval_s=0.1, give_up_s=5)
    )
    assert not outcome.ok
    assert list(tmp_path.iterdir()) == []
