"""What is said about apps is said once, and a whole cluster that is broken is no flood."""

from __future__ import annotations

import logging

from fastlb.history import History
from fastlb.journal import Journal
from fastlb.model import Note
from fastlb.quarantine import Refused
from fastlb.reporter import MOST_AT_ONCE, Reporter


def notes(count, first=0):
    return [Note(f"/app{number:04}", "it is wrong", mistake=True) for number in range(first, first + count)]


def test_each_note_is_said_once_with_its_app(caplog):
    reporter = Reporter(Journal(None), History())
    for _ in range(3):
        reporter.say(notes(2), {}, None)
    assert [(record.levelno, record.app) for record in caplog.records] == [
        (logging.ERROR, "/app0000"),
        (logging.ERROR, "/app0001"),
    ]


def test_a_thousand_notes_are_some_lines_and_where_to_find_the_rest(caplog):
    caplog.set_level(logging.INFO)
    reporter = Reporter(Journal(None), History())
    reporter.say(notes(1000), {}, None)
    assert len(caplog.records) == MOST_AT_ONCE + 1
    assert caplog.records[-1].getMessage().startswith(f"{1000 - MOST_AT_ONCE} more notes about apps are new; `fastlb")
    caplog.clear()
    reporter.say([], {}, None)
    assert len(caplog.records) == MOST_AT_ONCE + 1


def test_of_a_thousand_refused_apps_the_journal_and_the_history_have_all(caplog):
    journal, history, told = Journal(None), History(), []
    journal.listen(lambda kind, fields: told.append((kind, fields["app"])))
    refused = {f"/app{number:04}": Refused(None, "HAProxy says no", entirely=True) for number in range(1000)}
    Reporter(journal, history).say([], refused, None)
    assert (len(caplog.records), len(told)) == (MOST_AT_ONCE + 1, 1000)
    assert history.of("/app0999")


def test_mistakes_come_before_what_is_only_odd(caplog):
    odd = [Note(f"/a{number}", "it is odd") for number in range(MOST_AT_ONCE)]
    Reporter(Journal(None), History()).say([*odd, *notes(1)], {}, None)
    assert caplog.records[0].app == "/app0000"
