"""One line of JSON for each thing that happened; never the daemon's business if it cannot be written."""

from __future__ import annotations

import orjson

from fastlb.journal import Journal


def test_each_entry_is_a_line_with_its_kind_and_time(tmp_path):
    journal = Journal(tmp_path / "journal")
    journal.write("reload", ok=True)
    journal.write("event", apps=("/a",))
    entries = [orjson.loads(line) for line in (tmp_path / "journal").read_bytes().splitlines()]
    assert [(entry["kind"], entry["at"] > 1e9) for entry in entries] == [("reload", True), ("event", True)]
    assert (entries[0]["ok"], entries[1]["apps"]) == (True, ["/a"])


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Journal(None).write("reload")
    assert list(tmp_path.iterdir()) == []


def test_a_journal_that_cannot_be_written_is_said_once_and_ends(tmp_path, caplog):
    journal = Journal(tmp_path / "missing" / "journal")
    journal.write("reload")
    (tmp_path / "missing").mkdir()
    journal.write("reload")
    assert len(caplog.records) == 1
    assert "it ends here" in caplog.text
    assert list((tmp_path / "missing").iterdir()) == []


def test_listeners_are_told_of_each_entry_with_or_without_a_file(tmp_path):
    for path in (None, tmp_path / "journal"):
        told, journal = [], Journal(path)
        journal.listen(lambda kind, fields, told=told: told.append((kind, fields)))
        journal.write("reload", ok=True)
        assert told == [("reload", {"ok": True})]


def test_a_listener_that_fails_is_said_once_for_each_kind_and_costs_nobody_else_anything(tmp_path, caplog):
    told, journal = [], Journal(tmp_path / "journal")
    journal.listen(lambda _kind, fields: fields["missing"])
    journal.listen(lambda kind, _fields: told.append(kind))
    for kind in ("reload", "reload", "live"):
        journal.write(kind)
    assert told == ["reload", "reload", "live"]
    assert len((tmp_path / "journal").read_bytes().splitlines()) == 3
    assert [record.message.split("`")[1] for record in caplog.records] == ["reload", "live"]
