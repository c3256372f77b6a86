"""One run at a time, and runs that were killed."""

from __future__ import annotations

import signal
import threading

import pytest

from fastlb.zdd.outcomes import Code
from tests.fakes.front_door import until


def test_a_second_run_on_the_group_refuses_and_the_first_goes_on(stage, capsys):
    page = stage.balancers[0]
    page.held = {task["id"]: 1 for task in stage.marathon.tasks("/shop/api-blue")}
    with stage.start() as first:
        until(lambda: "/shop/api-green" in stage.sizes())
        assert stage.run("--resume") == Code.TAKEN
        assert f"process {first.pid} " in capsys.readouterr().err
        page.held = {}
        first.communicate()
    assert first.returncode == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


def test_a_lock_that_somebody_elsewhere_keeps_up_is_respected(stage):
    """A holder whose process cannot be seen from here is alive if his label moves."""
    labels = {"FASTLB_ZDD_OWNER": "elsewhere/x/1/1/y", "FASTLB_ZDD_BEAT": "0"}
    stage.marathon.load([{"id": "/shop/api-zdd", "instances": 0, "portDefinitions": [], "labels": labels}])
    asked = threading.Timer(
        1.5, lambda: stage.marathon.update_app("/shop/api-zdd", {"labels": labels | {"FASTLB_ZDD_BEAT": "1"}})
    )
    asked.start()
    assert stage.run() == Code.TAKEN
    asked.join()
    assert stage.sizes()["/shop/api-blue"] == 4


KILL = "[ -e {0}.killed ] || {{ touch {0}.killed; kill -9 $PPID; }}"
"""A hook that kills the run that calls it; once."""


@pytest.mark.parametrize("flag", ["--before-start-hook", "--pre-kill-hook", "--after-finish-hook"])
def test_a_run_that_was_killed_before_during_or_after_all_changes_is_finished_by_the_next(stage, flag):
    hook = stage.hook(KILL.format(stage.folder / "hook"))
    with stage.start(flag, hook) as killed:
        killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    created = stage.started("/shop/api-green")
    assert stage.run("--resume", flag, hook) == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}
    assert created in {None, stage.started("/shop/api-green")}


def test_a_run_that_was_killed_when_all_was_done_has_its_last_hook_run_by_the_next(stage):
    told = stage.folder / "told"
    hook = stage.hook(f'{KILL.format(stage.folder / "hook")}; echo "$1 $3" > {told}')
    with stage.start("--after-finish-hook", hook) as killed:
        killed.communicate()
    told.unlink(missing_ok=True)
    assert stage.run("--resume", "--after-finish-hook", hook) == Code.DONE
    assert told.read_text() == 'null "/shop/api-green is alone"\n'


def test_resuming_a_run_that_ended_and_whose_exit_code_nobody_saw_deploys_nothing(stage, capsys):
    """What a kill after the lock is gone leaves: all there is stands in Marathon."""
    assert stage.run() == Code.DONE
    created = stage.started("/shop/api-green")
    assert stage.run("--resume") == Code.DONE
    assert "/shop/api-green is alone, as was wanted" in capsys.readouterr().err
    assert stage.sizes() == {"/shop/api-green": 4}
    assert stage.started("/shop/api-green") == created
    assert stage.run() == Code.DONE
    assert stage.sizes() == {"/shop/api-blue": 4}


@pytest.mark.parametrize("lines", [3, 5, 7, 9])
def test_a_run_that_was_killed_is_finished_by_the_next(stage, lines):
    with stage.start() as killed:
        for _ in range(lines):
            killed.stdout.readline()
        killed.kill()
        killed.communicate()
    assert stage.healthy() >= 4
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}
    assert stage.healthy() == 4
