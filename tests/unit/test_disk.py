"""The files on disk that follow live changes: written later, once, without the loop, and again if that fails."""

from __future__ import annotations

import threading
from math import inf
from time import monotonic, sleep

import pytest

from fastlb.disk import RETRY_S, WRITE_AFTER_S, Disk
from fastlb.errors import PublishError

WITHIN_S = 10


class Document:
    """Its rendering is its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def copy(self) -> Document:
        return Document(self.number)

    def rendering(self) -> int:
        return self.number


class Applier:
    """Writes when the gate is open, and fails as often as it is told."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.failures = 0

    def write(self, rendering: int) -> None:
        assert self.gate.wait(WITHIN_S)
        if self.failures:
            self.failures -= 1
            raise PublishError("the disk is full")
        self.written.append(rendering)


@pytest.fixture
def applier() -> Applier:
    return Applier()


@pytest.fixture
def disk(applier: Applier) -> Disk:
    return Disk(applier)


def look_until_at_rest(disk: Disk, document: Document | None) -> None:
    deadline_s = monotonic() + WITHIN_S
    while disk.due_s < inf:
        assert monotonic() < deadline_s
        disk.look(document, max(monotonic(), disk.due_s))
        sleep(0.001)


def test_nothing_is_due_as_long_as_nothing_changes(disk):
    assert (disk.due_s, disk.is_behind) == (inf, False)


def test_several_changes_are_written_once_a_moment_after_the_first(disk, applier):
    disk.changed(100.0)
    disk.changed(100.09)
    assert (disk.due_s, disk.is_behind, applier.written) == (100.0 + WRITE_AFTER_S, True, [])
    look_until_at_rest(disk, Document(1))
    assert (applier.written, disk.is_behind) == ([1], False)


def test_the_loop_does_not_wait_for_the_writing(disk, applier):
    applier.gate.clear()
    disk.changed(0.0)
    disk.look(Document(1), 1.0)
    disk.look(Document(1), 1.1)
    assert (applier.written, disk.is_behind) == ([], True)
    assert 1.1 < disk.due_s < 1.2
    applier.gate.set()
    look_until_at_rest(disk, Document(1))


def test_what_changes_while_it_is_written_is_written_next(disk, applier):
    applier.gate.clear()
    document = Document(1)
    disk.changed(0.0)
    disk.look(document, 1.0)
    document.number = 2
    disk.changed(1.0)
    applier.gate.set()
    look_until_at_rest(disk, document)
    assert applier.written == [1, 2]


def test_a_writing_that_fails_is_tried_again_later(disk, applier, caplog):
    applier.failures = 1
    disk.changed(0.0)
    disk.look(Document(1), 1.0)
    applier.gate.wait()
    while disk.due_s <= 2.0:
        disk.look(Document(1), 2.0)
    assert (disk.due_s, disk.is_behind) == (2.0 + RETRY_S, True)
    assert "the disk is full; tried again in 1 s" in caplog.text
    look_until_at_rest(disk, Document(2))
    assert applier.written == [2]


def test_a_disk_that_stays_full_is_said_once(disk, applier, caplog):
    caplog.set_level("INFO")
    applier.failures = 3
    disk.changed(0.0)
    applier.gate.set()
    look_until_at_rest(disk, Document(1))
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


def test_who_is_about_to_load_the_files_waits_until_they_are_written(disk, applier):
    applier.gate.clear()
    document = Document(1)
    disk.changed(0.0)
    disk.look(document, 1.0)
    document.number = 2
    disk.changed(1.0)
    threading.Timer(0.05, applier.gate.set).start()
    disk.catch_up(document)
    assert (applier.written, disk.is_behind) == ([1, 2], False)


def test_where_nobody_knows_what_haproxy_runs_nothing_is_written(disk, applier):
    disk.changed(0.0)
    disk.look(None, 1.0)
    disk.catch_up(None)
    assert (applier.written, disk.is_behind, disk.due_s) == ([], False, inf)


def test_what_was_replaced_by_newer_files_is_not_written(disk, applier):
    disk.changed(100.0)
    disk.stand_still()
    disk.replaced()
    look_until_at_rest(disk, Document(1))
    assert (applier.written, disk.is_behind, disk.due_s) == ([], False, inf)


def test_nothing_is_being_written_when_it_stands_still(disk, applier):
    applier.gate.clear()
    disk.changed(100.0)
    disk.look(Document(1), 100.0 + WRITE_AFTER_S)
    threading.Timer(0.05, applier.gate.set).start()
    disk.stand_still()
    assert applier.written == [1]
