"""A real HAProxy in master-worker mode: reloads and their outcome, process list, probe, Runtime API."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from fastlb.errors import RuntimeApiError
from fastlb.haproxy import find_haproxy
from fastlb.master import BusyBind, Master, probe_binds, read_processes
from fastlb.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.haproxy

CONFIG = """global
    stats socket {folder}/api.sock mode 600 level admin
defaults
    mode http
    option idle-close-on-response
    timeout connect 2s
    timeout client 5s
    timeout server 5s
frontend in
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string {answer}
backend b
    server s 127.0.0.1:1 weight 7
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


@dataclass
class Running:
    """A HAProxy of its own, its configuration in `folder`."""

    folder: Path
    port: int

    @property
    def master(self) -> Master:
        return Master(self.folder / "master.sock", timeout_s=5)

    @property
    def api(self) -> RuntimeApi:
        return RuntimeApi(self.folder / "api.sock", 5)

    def write(self, answer: str, more: str = "") -> None:
        text = CONFIG.format(folder=self.folder, port=self.port, answer=answer) + more
        (self.folder / "haproxy.cfg").write_text(text)

    def answers(self) -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", "/")
            return connection.getresponse().read().decode()

    def is_up(self) -> bool:
        try:
            return bool(self.master.processes().workers) and bool(self.api.info())
        except RuntimeApiError:
            return False


@pytest.fixture
def running(tmp_path) -> Iterator[Running]:
    here = Running(tmp_path, free_port())
    here.write("first")
    command = [find_haproxy(None, os.environ).path, "-W", "-S", f"{tmp_path}/master.sock,mode,600"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "-f", tmp_path / "haproxy.cfg"], stderr=log)
    try:
        until(here.is_up)
        yield here
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_a_good_reload_is_confirmed_by_the_new_worker_serving(running):
    before = running.master.processes()
    running.write("second")
    outcome = running.master.reload(20)
    assert outcome.ok, outcome.log
    assert outcome.worker_pid not in {None, before.workers[0].pid}
    assert outcome.worker_pid == int(running.api.info()["Pid"])
    assert running.answers() == "second"
    assert running.master.processes().master.pid == before.master.pid


def test_a_failed_reload_is_reported_and_the_old_worker_keeps_serving(running):
    worker = running.master.processes().workers[0].pid
    for _twice in range(2):
        running.write("second", more="backend bad\n    frobnicate\n")
        outcome = running.master.reload(20)
        assert (outcome.ok, outcome.worker_pid) == (False, worker), outcome.log
        assert running.answers() == "first"
    assert running.master.processes().master.failed_reloads > 0
    running.write("third")
    assert running.master.reload(20).ok
    assert running.answers() == "third"


def test_why_a_reload_failed_is_in_its_log_where_haproxy_tells(running):
    running.write("second", more="backend bad\n    frobnicate\n")
    log = running.master.reload(20).log
    told_by_socket = find_haproxy(None, os.environ).version >= (2, 7, 0)
    assert ("frobnicate" if told_by_socket else "failed in a row") in log


def test_an_old_worker_that_still_has_a_connection_is_listed_as_such(running):
    worker = running.master.processes().workers[0].pid
    with socket.create_connection(("127.0.0.1", running.port)) as held:
        held.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert held.recv(4096).startswith(b"HTTP/1.1 200")
        outcome = running.master.reload(20)
        listed = running.master.processes()
        assert [old.pid for old in listed.old_workers] == [worker]
        assert (listed.old_workers[0].reloads, listed.serving) == (1, listed.workers[0])
        assert listed.workers[0].pid == outcome.worker_pid
    until(lambda: not running.master.processes().old_workers)


def test_a_dead_master_is_an_outcome_and_no_exception(tmp_path):
    outcome = Master(tmp_path / "master.sock", timeout_s=1).reload(1)
    assert (outcome.ok, outcome.worker_pid) == (False, None)
    assert "No such file or directory" in outcome.log


@dataclass
class Load:
    """Two bounded clients: one makes a connection per request, one keeps its own; what failed is counted."""

    port: int
    sent: dict[str, int] = field(default_factory=lambda: {"new": 0, "kept": 0})
    failed: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def client(self, kind: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        while not self.over.wait(0.013):
            try:
                connection.request("GET", "/", headers={"connection": "close"} if kind == "new" else {})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failed.append(f"{kind}: {answer.status}")
            except (OSError, http.client.HTTPException) as reason:
                self.failed.append(f"{kind}: {reason!r}")
                connection.close()
            self.sent[kind] += 1
        connection.close()

    def enough(self, more: int) -> Callable[[], bool]:
        aim = {kind: count + more for kind, count in self.sent.items()}
        return lambda: all(self.sent[kind] >= count for kind, count in aim.items())


def test_no_request_fails_during_reloads_under_load(running):
    load = Load(running.port)
    clients = [threading.Thread(target=load.client, args=(kind,)) for kind in load.sent]
    for client in clients:
        client.start()
    try:
        for number in range(5):
            running.write(f"answer{number}")
            outcome = running.master.reload(20)
            assert outcome.ok, outcome.log
            until(load.enough(20))
    finally:
        load.over.set()
        for client in clients:
            client.join()
    assert load.failed == []


def test_free_ports_pass_the_probe_and_taken_ones_are_named_with_the_reason(running):
    taken, free = running.port, free_port()
    busy = probe_binds([("127.0.0.1", taken), ("127.0.0.1", free), ("*", taken), ("", taken), ("::1", free)])
    assert busy == [BusyBind(host, taken, "Address already in use") for host in ("127.0.0.1", "*", "")]
    assert running.answers() == "first"


def test_a_port_with_connections_in_time_wait_passes_the_probe():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = listener.accept()
            accepted.close()  # closing first puts the listening side into TIME_WAIT
            assert client.recv(1) == b""
    assert probe_binds([("127.0.0.1", port)]) == []


def test_an_address_of_another_machine_fails_the_probe_and_a_host_name_is_passed_over():
    assert [busy.reason for busy in probe_binds([("192.0.2.1", 80), ("some.host", 80)])] == [
        "Cannot assign requested address"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may bind every port")
def test_a_privileged_port_fails_the_probe_with_a_hint():
    reasons = [busy.reason for busy in probe_binds([("127.0.0.1", 1)])]
    assert reasons == ["Permission denied; ports below 1024 need a privilege"]


@pytest.mark.parametrize("command", ["show info;show stat", "a\nb", "a\r", "", "  ", "a\0", "\\\\;b", "show info;"])
def test_what_is_not_exactly_one_command_is_not_sent(tmp_path, command):
    with pytest.raises(RuntimeApiError, match="is not exactly one command"):
        RuntimeApi(tmp_path / "none", 1).ask(command)


def test_an_escaped_semicolon_is_part_of_one_command(running):
    assert "Unknown" in running.api.ask("nonsense a\\;b")


def test_the_state_of_servers_is_read(running):
    lines = running.api.servers_state().splitlines()
    assert lines[0] == "1"
    assert any(line.split()[1:4:2] == ["b", "s"] for line in lines[2:] if line)


def test_a_socket_that_never_answers_is_an_error_in_time(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute.sock"))
        listener.listen()
        with pytest.raises(RuntimeApiError, match="no whole answer in time"):
            RuntimeApi(tmp_path / "mute.sock", 0.05).ask("show info")


def test_a_connection_that_ends_without_a_byte_is_an_error(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "shut.sock"))
        listener.listen()

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(RuntimeApiError, match="closed without a byte"):
            RuntimeApi(tmp_path / "shut.sock", 5).ask("show info")
        thread.join()


def test_a_process_list_after_a_failed_reload_of_newer_versions_has_a_serving_worker():
    listed = read_processes(
        "#<PID>          <type>          <reloads>       <uptime>        <version>      \n"
        "18890           master          3 [failed: 1]   1d02h03m04s     3.4.7-1        \n"
        "# workers\n# old workers\n"
        "18880           worker          7               0d00h00m09s     3.4.7-1        \n"
        "18895           worker          2               0d00h00m03s     3.4.7-1        \n\n"
    )
    assert (listed.master.uptime_s, listed.master.failed_reloads, listed.workers) == (93_784, 1, ())
    assert listed.serving == listed.old_workers[1]


def test_an_answer_that_is_no_process_list_is_an_error():
    with pytest.raises(RuntimeApiError, match="no list of processes: 'Unknown command"):
        read_processes("Unknown command")
