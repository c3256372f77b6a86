"""One supervised process: its pauses, its ending, and how it is known again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastlb import children
from fastlb.children import Child, Ending, Leftover, describe, find_leftovers


def test_a_program_that_dies_at_once_starts_again_after_longer_and_longer_pauses():
    child, pauses = Child("x"), []
    for _life in range(9):
        assert child.start(["true"])
        assert child.process is not None
        os.waitpid(child.process.pid, 0)
        child.ended(0, again=True)
        assert child.due is not None
        pauses.append(round(child.due - time.monotonic(), 1))
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_a_program_that_lived_well_starts_again_at_once_and_after_that_with_the_first_pause(monkeypatch):
    child, pauses = Child("x"), []
    monkeypatch.setattr(children, "GOOD_LIFE_S", 0)
    for _life in range(2):
        assert child.start(["true"])
        assert child.process is not None
        os.waitpid(child.process.pid, 0)
        child.ended(0, again=True)
        pauses.append(child.is_due())
        monkeypatch.setattr(children, "GOOD_LIFE_S", 60)
    assert pauses == [True, False]


def test_a_program_that_is_missing_is_logged_and_due_again(caplog):
    child = Child("x")
    assert not child.start(["/no/such/program"])
    assert (child.process, child.due is not None) == (None, True)
    assert "x could not be started: /no/such/program: No such file or directory" in caplog.text


def test_an_ending_waits_before_each_signal_unless_it_is_hurried():
    sent: list[int] = []
    ending = Ending(sent.append, (0, 1), (600, 2), (600, 3))
    ending.step()
    ending.step()
    assert sent == [1]
    ending.step(hurry=True)
    ending.step()
    assert sent == [1, 2]
    for _more in range(3):
        ending.step(hurry=True)
    assert sent == [1, 2, 3]


def test_a_leftover_is_only_who_has_the_right_start_time_and_the_mark():
    mark = Path(sys.argv[0]).name
    mine = json.loads(describe([os.getpid()]))[0]
    assert find_leftovers(json.dumps([mine]), "--no-such-argument") == []
    assert find_leftovers(json.dumps([[mine[0], mine[1] + 1]]), mark) == []
    assert Leftover(*mine).is_alive()
    assert not Leftover(mine[0], mine[1] + 1).is_alive()


@pytest.mark.parametrize("described", [None, "", "[[1", "7", '{"format": 9}', "[[1, 2, 3]]", "\udcff\x00"])
def test_without_a_process_file_that_can_be_read_all_processes_are_looked_through(described: str | None):
    mark = f"mark-{os.getpid()}"
    fork = "import os, time; os.fork(); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", fork, mark], process_group=0) as master:
        try:
            deadline_s = time.monotonic() + 10
            while not (found := find_leftovers(described, mark)) and time.monotonic() < deadline_s:
                time.sleep(0.01)  # its arguments are seen a moment after it was started
        finally:
            os.killpg(master.pid, signal.SIGKILL)
    assert [one.pid for one in found] == [master.pid]
