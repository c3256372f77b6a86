"""Each death: the controller, the worker, the master; what hangs, what starts no more."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from fastlb.loaded import LoadedFiles
from fastlb.master import Master
from tests.integration.supervisor.stage import (
    Stage,
    held_connection,
    until,
)

pytestmark = pytest.mark.haproxy


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
