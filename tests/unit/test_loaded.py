"""Which files HAProxy has loaded: when a mark holds, what is kept of them and put back."""

from __future__ import annotations

import os

import pytest

from fastlb.loaded import LoadedFiles


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "config").write_text("one")
    (tmp_path / "map").write_text("a b")
    return tmp_path


def files(folder) -> LoadedFiles:
    return LoadedFiles(folder / "run", (folder / "map", folder / "config"))


def marked(folder, master=None, reloads=3) -> LoadedFiles:
    subject = files(folder)
    subject.mark(master or os.getpid(), reloads, subject.stamps())
    return subject


def test_a_mark_holds_for_another_process_that_reads_it(folder):
    marked(folder)
    assert files(folder).are_loaded(os.getpid(), 3)


@pytest.mark.parametrize("name", ["config", "map"])
def test_a_file_that_was_replaced_even_by_the_same_text_ends_it(folder, name):
    marked(folder)
    path = folder / name
    (folder / "new").write_text(path.read_text())
    (folder / "new").replace(path)
    assert not files(folder).are_loaded(os.getpid(), 3)


def test_a_file_that_is_gone_ends_it(folder):
    marked(folder)
    (folder / "map").unlink()
    assert not files(folder).are_loaded(os.getpid(), 3)


def test_another_reload_or_another_master_ends_it(folder):
    subject = marked(folder)
    assert not subject.are_loaded(os.getpid(), 4)
    assert not subject.are_loaded(os.getppid(), 3)
    marked(folder, master=2**22 + 1)  # a pid that no process has
    assert not subject.are_loaded(os.getpid(), 3)


def test_a_missing_or_broken_mark_is_none(folder):
    subject = files(folder)
    assert not subject.are_loaded(os.getpid(), 3)
    (folder / "run" / "loaded").write_bytes(b"\xff{")
    assert not subject.are_loaded(os.getpid(), 3)


def test_what_was_kept_is_put_back_and_the_refused_file_kept_aside(folder):
    subject = files(folder)
    subject.keep()
    (folder / "config").write_text("two")
    (folder / "map").unlink()
    assert subject.put_back()
    assert ((folder / "config").read_text(), (folder / "map").read_text()) == ("one", "a b")
    assert (folder / "haproxy_tmp_conf_fail").read_text() == "two"
    assert not subject.put_back()


def test_a_file_that_was_not_there_when_it_served_is_not_put_back(folder):
    subject = files(folder)
    subject.keep()
    (folder / "map").unlink()
    subject.keep()
    (folder / "map").write_text("new")
    assert not subject.put_back()
    assert (folder / "map").read_text() == "new"


def test_with_nothing_kept_nothing_is_put_back(folder):
    assert not files(folder).put_back()


def test_a_folder_that_cannot_be_written_costs_only_the_copy(folder, caplog):
    (folder / "run" / "last-good").write_text("in the way")
    subject = files(folder)
    subject.keep()
    assert "there is no copy of what HAProxy serves" in caplog.text
    assert not subject.put_back()
