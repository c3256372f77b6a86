"""A real supervisor with a real HAProxy and a small controller; each death, each signal, nothing left behind."""

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
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
import pytest

from fastlb.children import describe
from fastlb.errors import RuntimeApiError
from fastlb.haproxy import find_haproxy
from fastlb.loaded import LoadedFiles
from fastlb.master import Master

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

pytestmark = pytest.mark.haproxy

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


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for supervisor in stage.supervisors:
        if supervisor.poll() is None:
            end(supervisor)
    left = stage.processes()
    for process in left:
        process.kill()
    assert left == [], stage.log()


def test_haproxy_starts_when_the_controller_asks_and_asking_again_is_ok(stage):
    stage.start()
    until(lambda: stage.notes("controller"))
    assert stage.master() == 0
    stage.write()
    first = stage.ask()
    assert (first["ok"], first["was_running"], stage.answer()) == (True, False, "first")
    assert first["pid"] == stage.master()
    second = stage.ask(1)
    assert (second["ok"], second["was_running"], second["pid"]) == (True, True, first["pid"])


def test_a_configuration_of_a_former_run_is_served_before_the_controller_says_anything(stage):
    stage.write()
    stage.start()
    assert until(stage.answer) == "first"
    assert stage.notes("signal") == []


def test_an_empty_configuration_is_not_served_at_boot(stage):
    (stage.folder / "haproxy.cfg").touch()
    stage.start()
    stage.controller_pid()
    assert "HAProxy started" not in stage.log()


def test_a_daemon_keyword_does_not_take_haproxy_out_of_sight(stage):
    stage.write(extra="daemon")
    stage.start()
    until(stage.is_up)
    assert psutil.Process(stage.master()).ppid() == stage.supervisors[0].pid


def test_a_haproxy_that_cannot_start_is_reported_with_what_it_said(stage):
    stage.start()
    stage.write(more="backend bad\n    frobnicate\n")
    outcome = stage.ask()
    assert not outcome["ok"]
    assert "ended after" in outcome["log"]
    assert "unknown keyword 'frobnicate'" in outcome["log"]
    assert "unknown keyword 'frobnicate'" in stage.log()
    stage.write()
    assert until(stage.answer) == "first"


def test_a_killed_controller_comes_back_and_haproxy_does_not_notice(stage):
    stage.write()
    stage.start()
    until(stage.is_up)
    before = stage.master()
    os.kill(stage.controller_pid(), signal.SIGKILL)
    assert stage.controller_pid(1) != stage.controller_pid(0)
    assert (stage.master(), stage.answer()) == (before, "first")
    outcome = stage.ask()
    assert (outcome["ok"], outcome["was_running"]) == (True, True)
    assert "signal 9 (Killed)" in stage.log()


@pytest.mark.parametrize("who", ["master", "worker"])
def test_a_killed_haproxy_comes_back_and_the_controller_is_told(stage, who):
    stage.start()
    stage.write()
    before = stage.ask()["pid"]
    os.kill(before if who == "master" else stage.worker(), signal.SIGKILL)
    until(lambda: len(stage.notes("event")) == 3)
    started, exited, again = stage.notes("event")
    assert (started["event"], exited["event"], again["event"]) == ("HAProxyStarted", "HAProxyExited", "HAProxyStarted")
    assert (started["pid"], exited["pid"]) == (before, before)
    assert again["pid"] == stage.master() != before
    assert ("signal 9 (Killed)" if who == "master" else "exit status 137") in exited["said"]
    assert stage.answer() == "first"


def test_the_workers_of_a_killed_master_hold_no_port_even_if_they_hang(stage):
    stage.write()
    stage.start()
    until(stage.is_up)
    before, hanging = stage.master(), stage.worker()
    os.kill(hanging, signal.SIGSTOP)
    os.kill(before, signal.SIGKILL)
    until(lambda: stage.is_up() and stage.master() != before)
    until(lambda: hanging not in {process.pid for process in stage.processes()})
    for _ in range(20):
        assert stage.answer() == "first"
    assert f"sending SIGKILL to process {hanging} of a former HAProxy" in stage.log()


def test_old_workers_end_with_their_master_whatever_they_hold(stage):
    stage.write()
    stage.start()
    until(stage.is_up)
    before = stage.master()
    with held_connection(stage.port):
        old = stage.worker()
        assert Master(stage.folder / "run" / "master.sock", timeout_s=5).reload(20).ok
        os.kill(before, signal.SIGKILL)
        until(lambda: stage.is_up() and stage.master() != before)
        until(lambda: old not in {process.pid for process in stage.processes()})
    assert stage.answer() == "first"


def test_a_controller_that_hangs_says_where_and_is_replaced(stage):
    (stage.folder / "beats").touch()
    stage.write()
    stage.start(timeout_s=1)
    until(stage.is_up)
    master, hanging = stage.master(), stage.controller_pid()
    os.kill(hanging, signal.SIGSTOP)
    assert stage.controller_pid(1) != hanging
    assert (stage.master(), stage.answer()) == (master, "first")
    assert "the controller has been silent for more than 1 s; it is killed" in stage.log()


def test_where_a_controller_hangs_is_in_the_log(stage):
    supervisor = stage.start()
    os.kill(stage.controller_pid(), signal.SIGUSR2)
    until(lambda: "most recent call first" in stage.log())
    assert supervisor.poll() is None
    assert len(stage.notes("controller")) == 1


@pytest.mark.parametrize("beats", [True, False])
def test_a_controller_that_beats_or_has_never_beaten_is_left_alone(stage, beats):
    if beats:
        (stage.folder / "beats").touch()
    stage.start(timeout_s=1)
    stage.controller_pid()
    stage.write()
    for number in range(8):
        assert stage.ask(number)["ok"]
        time.sleep(0.2)  # the point is what does not happen meanwhile
    assert len(stage.notes("controller")) == 1


def test_out_of_memory_the_controller_goes_before_haproxy(stage):
    stage.write()
    stage.start()
    until(stage.is_up)

    def score(pid: int) -> int:
        return int(Path(f"/proc/{pid}/oom_score_adj").read_text())

    until(lambda: score(stage.controller_pid()) > score(stage.worker()))


def test_what_is_meant_for_the_controller_is_not_told_to_haproxy(stage):
    stage.write()
    stage.start()
    until(stage.is_up)
    assert stage.controller_pid()
    assert stage.notes("controller")[0]["told"] == "the controller"
    assert "ONLY_FOR" not in psutil.Process(stage.master()).environ()


def keep_what_serves(stage: Stage) -> None:
    LoadedFiles(stage.folder / "run", (stage.folder / "a.map", stage.folder / "haproxy.cfg")).keep()


def test_a_haproxy_that_does_not_start_any_more_gets_the_last_files_that_served(stage):
    (stage.folder / "a.map").write_text("a b\n")
    stage.write("good")
    stage.start()
    until(stage.is_up)
    keep_what_serves(stage)
    stage.write("bad", more="backend bad\n    frobnicate\n")
    (stage.folder / "a.map").unlink()
    os.kill(stage.master(), signal.SIGKILL)
    until(lambda: "the last files that it served are back" in stage.log())
    assert until(stage.answer) == "good"
    assert (stage.folder / "a.map").read_text() == "a b\n"
    assert "frobnicate" in (stage.folder / "haproxy_tmp_conf_fail").read_text()


def test_without_a_copy_of_what_served_it_is_tried_again_and_nothing_is_written(stage):
    stage.write(more="backend bad\n    frobnicate\n")
    stage.start()
    until(lambda: stage.log().count("unknown keyword 'frobnicate'") >= 2)
    assert "frobnicate" in (stage.folder / "haproxy.cfg").read_text()
    assert not (stage.folder / "haproxy_tmp_conf_fail").exists()


@pytest.mark.parametrize(("age_s", "kept"), [(10, True), (3600, False), (-3600, False)])
def test_states_of_servers_from_long_ago_are_not_given_to_a_haproxy_that_starts(stage, age_s, kept):
    stage.write()
    (stage.folder / "run").mkdir()
    states = stage.folder / "run" / "servers.state"
    states.write_text("1\n# of long ago\n")
    os.utime(states, (time.time() - age_s,) * 2)
    stage.start()
    until(stage.is_up)
    assert ("of long ago" in states.read_text()) is kept


def test_signals_are_passed_on_and_orphans_are_reaped(stage):
    supervisor = stage.start()
    stage.controller_pid()
    supervisor.send_signal(signal.SIGHUP)
    until(lambda: stage.notes("signal") == [{"signal": signal.SIGHUP}])

    def children() -> int:
        return len(psutil.Process(supervisor.pid).children())

    until(lambda: children() == 1)


def test_term_ends_everything_with_status_0(stage):
    stage.write()
    supervisor = stage.start()
    until(stage.is_up)
    stage.controller_pid()
    assert end(supervisor) == 0
    assert stage.notes("signal") == [{"signal": signal.SIGTERM}]
    assert stage.processes() == []


def held_connection(port: int) -> socket.socket:
    held = socket.create_connection(("127.0.0.1", port), timeout=10)
    held.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n")  # unfinished: a soft stop waits for it
    return held


def test_what_haproxy_holds_is_finished_during_the_grace_time(stage):
    stage.write()
    supervisor = stage.start()
    until(stage.is_up)
    with held_connection(stage.port) as held:
        supervisor.send_signal(signal.SIGTERM)
        until(lambda: not stage.answer())
        held.sendall(b"\r\n")
        assert held.recv(4096).startswith(b"HTTP/1.1 200")
    assert supervisor.wait(30) == 0


@pytest.mark.skipif(TINI is None, reason="there is no tini")
@pytest.mark.parametrize("subreaper", [False, True])
def test_below_tini_that_signals_its_whole_group_what_is_held_is_finished_and_orphans_are_ours(
    stage, monkeypatch, subreaper
):
    if subreaper:
        monkeypatch.setenv("TINI_SUBREAPER", "")
    stage.write()
    tini = stage.start(below=[str(TINI), "-g", "--"])
    until(stage.is_up)
    stage.controller_pid()
    [supervisor] = psutil.Process(tini.pid).children()
    with held_connection(stage.port) as held:
        tini.send_signal(signal.SIGHUP)
        until(lambda: stage.notes("signal") == [{"signal": signal.SIGHUP}])
        until(lambda: len(supervisor.children()) == 2)
        assert psutil.Process(tini.pid).children() == [supervisor]
        tini.send_signal(signal.SIGTERM)
        until(lambda: not stage.answer())
        held.sendall(b"\r\n")
        assert held.recv(4096).startswith(b"HTTP/1.1 200")
    assert tini.wait(30) == 0
    assert stage.processes() == []


def test_after_the_grace_time_haproxy_is_made_to_stop(stage):
    stage.write()
    supervisor = stage.start(grace_s=0.5)
    until(stage.is_up)
    with held_connection(stage.port) as held:
        assert end(supervisor) == 0
        assert held.recv(4096) == b""


def test_a_second_signal_hurries(stage):
    stage.write()
    supervisor = stage.start(grace_s=600)
    until(stage.is_up)
    with held_connection(stage.port):
        supervisor.send_signal(signal.SIGTERM)
        until(lambda: not stage.answer())
        assert supervisor.poll() is None
        assert end(supervisor) == 0


def test_after_kill_9_haproxy_serves_on_and_the_next_start_takes_over(stage):
    stage.write()
    killed = stage.start()
    until(stage.is_up)
    first, controller = stage.master(), psutil.Process(stage.controller_pid())
    killed.kill()
    killed.wait()
    until(lambda: not controller.is_running() or controller.status() == psutil.STATUS_ZOMBIE)
    assert stage.answer() == "first"
    stage.write("second")
    supervisor = stage.start()
    until(lambda: stage.is_up() and stage.master() != first)
    until(lambda: first not in {process.pid for process in stage.processes()})
    assert stage.answer() == "second"
    assert "sending SIGUSR1 to process" in stage.log()
    assert end(supervisor) == 0
    assert stage.processes() == []


def test_a_leftover_keeps_serving_while_the_new_haproxy_cannot_start(stage):
    stage.write()
    killed = stage.start()
    until(stage.is_up)
    first = stage.master()
    killed.kill()
    killed.wait()
    stage.write("second", more="backend bad\n    frobnicate\n")
    supervisor = stage.start()
    until(lambda: "frobnicate" in stage.log())
    assert (stage.answer(), psutil.pid_exists(first)) == ("first", True)
    assert end(supervisor) == 0
    assert stage.processes() == []


def test_a_process_that_the_file_describes_wrongly_is_left_alone(stage):
    (stage.folder / "run").mkdir()
    (stage.folder / "run" / "haproxy.pids").write_text(describe([os.getpid()]))
    assert end_after_controller(stage) == 0
    assert "of a former run" not in stage.log()


def test_a_broken_process_file_is_logged_and_nothing_is_taken_over(stage):
    (stage.folder / "run").mkdir()
    (stage.folder / "run" / "haproxy.pids").write_text("[[1,")
    assert end_after_controller(stage) == 0
    assert "the process file of a former run cannot be read" in stage.log()


def end_after_controller(stage: Stage) -> int:
    supervisor = stage.start()
    stage.controller_pid()
    return end(supervisor)


def test_a_second_supervisor_in_the_same_folder_is_refused(stage):
    stage.write()
    stage.start()
    until(stage.is_up)
    assert stage.start().wait(30) == 1
    assert "another fastlb runs in" in stage.log()
    assert stage.answer() == "first"
