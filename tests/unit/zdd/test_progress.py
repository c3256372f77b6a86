"""What is told: a live line at a terminal, JSON lines, and next to nothing where nobody looks."""

from __future__ import annotations

import io
import sys

import orjson
import pytest

from fastlb.zdd.progress import Counts, Form, Progress, counts_of
from tests.fakes.zdd_world import cluster

COUNTS = Counts(2, 1, 9, 1, 3)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_counts_are_those_of_both_apps():
    made = cluster(2, 10, 10)
    made.held = {"/old.001": 2, "/old.003": 5}
    assert counts_of(made.scene()) == Counts(new=2, new_healthy=2, old=10, draining=2, in_flight=2)


def test_a_person_sees_one_line_that_never_wraps(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "70")
    progress = Progress(Form.TEXT)
    progress.show("waiting for something with a very long name indeed, and still going on", COUNTS)
    progress.say("scaled", "/new scaled to 3")
    progress.show("done", COUNTS)
    progress.close()
    lines = terminal.getvalue().split("\r\x1b[K")
    assert "1/2 new, 9 old, 1 draining, 3 in flight: waiting" in lines[1]
    assert all(len(line) < 70 for line in lines)
    assert lines[2].endswith("/new scaled to 3\n")
    assert lines[-1] == ""


def test_where_nobody_looks_there_are_the_definition_the_notes_and_the_last_word(capsys, caplog):
    progress = Progress(Form.TEXT)
    progress.definition({"id": "/b", "a": 1})
    progress.note("note", "no health checks")
    progress.warn("locked")
    progress.show("waiting", COUNTS)
    progress.say("scaled", "/new scaled to 3")
    progress.failed(11, "not healthy")
    assert capsys.readouterr() == ('{\n  "a": 1,\n  "id": "/b"\n}\n', "no health checks\nfastlb zdd: not healthy\n")
    assert "locked" in caplog.text


def test_json_has_one_line_for_each_thing_and_repeats_none(capsys):
    progress = Progress(Form.JSON)
    progress.definition({"id": "/b"})
    progress.show("waiting", COUNTS)
    progress.show("waiting", COUNTS)
    progress.show("waiting", COUNTS._replace(in_flight=0))
    progress.warn("locked")
    progress.failed(11, "not healthy")
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["definition", "status", "status", "trouble", "failed"]
    assert lines[1]["in_flight"] == 3
    assert lines[-1]["code"] == 11


@pytest.mark.parametrize(
    ("answer", "goes_on"), [("\n", True), ("Y\n", True), ("yes\n", True), ("n\n", False), ("q\n", False)]
)
def test_an_empty_answer_means_yes(monkeypatch, capsys, answer, goes_on):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    assert Progress(Form.TEXT).ask("Continue? ") is goes_on
    assert capsys.readouterr().out == "Continue? "


def test_a_question_is_not_among_json_lines(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert Progress(Form.JSON).ask("Continue? ")
    assert capsys.readouterr() == ("", "Continue? ")
