"""A start after a sudden end, and a start beside somebody else."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import psutil
import pytest

from fastlb.children import describe
from fastlb.haproxy import find_haproxy
from fastlb.master import Master
from tests.integration.supervisor.stage import (
    Stage,
    end,
    until,
)

pytestmark = pytest.mark.haproxy


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


def test_a_new_haproxy_takes_the_listeners_over_so_that_no_connection_that_waits_there_is_lost(stage):
    stage.write(extra=f"stats socket {stage.folder}/run/socket mode 600 level admin expose-fd listeners")
    killed = stage.start()
    until(stage.is_up)
    first, listening = stage.master(), listeners(stage.port)
    killed.kill()
    killed.wait()
    stage.start()
    until(lambda: stage.is_up() and first not in {process.pid for process in stage.processes()})
    assert stage.answer() == "first"
    assert listeners(stage.port) == listening
    assert Master(stage.folder / "run" / "master.sock", timeout_s=5).reload(30).ok
    assert listeners(stage.port) == listening
    assert end(stage.supervisors[-1]) == 0


def listeners(port: int) -> set[str]:
    """The sockets that listen on a port, by the kernel's number."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}


def test_a_signal_that_the_supervisor_does_not_catch_leaves_haproxy_to_the_next_one_as_kill_9_does(stage):
    stage.write()
    first = stage.start()
    until(stage.is_up)
    served = stage.master()
    first.send_signal(signal.SIGUSR2)
    assert first.wait(30) == -signal.SIGUSR2
    assert stage.answer() == "first"
    supervisor = stage.start()
    until(lambda: stage.is_up() and served not in {process.pid for process in stage.processes()})
    assert end(supervisor) == 0
    assert stage.processes() == []


def test_haproxy_is_written_down_before_it_begins_so_that_no_sudden_end_leaves_an_unknown_one(stage, monkeypatch):
    program, known = stage.folder / "noting-haproxy", stage.folder / "known"
    pids = stage.folder / "run" / "haproxy.pids"
    real = find_haproxy(None, os.environ).path
    program.write_text(f'#!/bin/sh\n[ "$1" = -W ] && cat {pids} > {known}\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HAPROXY", str(program))
    stage.write()
    supervisor = stage.start()
    until(stage.is_up)
    assert [pid for pid, _ in json.loads(known.read_text())] == [stage.master()]
    assert end(supervisor) == 0


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
