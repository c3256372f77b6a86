"""HAProxy is started when it should be, and what is said if it cannot."""

from __future__ import annotations

import psutil
import pytest

from tests.integration.supervisor.stage import (
    until,
)

pytestmark = pytest.mark.haproxy


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
