"""The controller's end of the link, against a supervisor that is late, silent or gone."""

from __future__ import annotations

import json
import socket

from fastlb.supervisor_link import SupervisorLink


def test_without_a_supervisor_there_is_no_link(caplog):
    assert SupervisorLink.from_environment({}, lambda _event: None) is None
    assert SupervisorLink.from_environment({"FASTLB_SUPERVISOR_FD": "none"}, lambda _event: None) is None
    assert "is no link to a supervisor" in caplog.text


def test_a_supervisor_that_does_not_answer_or_is_gone_fails_the_question():
    events: list[object] = []
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = SupervisorLink(theirs, events.append)
    with ours:
        assert "did not say in time" in link.start_haproxy(0.05).log
    link.close()
    assert events == [None]
    assert not link.start_haproxy(5).ok


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    link = SupervisorLink(theirs, lambda _event: None)
    with ours:
        assert not link.start_haproxy(0.05).ok
        for number, ok in ((1, False), (2, True)):
            answer = {"id": number, "ok": ok, "pid": 7, "log": "", "was_running": False}
            ours.send(json.dumps(answer).encode())
        assert link.start_haproxy(5).ok
        link.close()
