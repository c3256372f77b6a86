"""Signals, orphans and the end: what is held is finished, nothing is left behind."""

from __future__ import annotations

import signal

import psutil
import pytest

from tests.integration.supervisor.stage import (
    TINI,
    end,
    held_connection,
    until,
)

pytestmark = pytest.mark.haproxy


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
