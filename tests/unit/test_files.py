"""Publishing, reading back, archiving and sweeping, on a real file system."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from fastlb import files
from fastlb.errors import PublishError
from fastlb.files import Archive, ArchiveName, draft, publish, read_text, sweep

if TYPE_CHECKING:
    from pathlib import Path


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def full_disk(_handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_published_text_is_read_back_byte_for_byte(tmp_path):
    text = "a\r\nb\rc\n\x85é\udce9"
    publish(tmp_path / "cfg", text)
    assert (tmp_path / "cfg").read_bytes() == text.encode("utf-8", "surrogateescape")
    assert read_text(tmp_path / "cfg") == text


def test_a_new_file_is_readable_by_all_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        publish(tmp_path / "cfg", "x\n")
    finally:
        os.umask(before)
    assert mode(tmp_path / "cfg") == 0o644


def test_a_replaced_file_keeps_its_permission_bits(tmp_path):
    path = tmp_path / "cfg"
    path.write_text("old\n")
    path.chmod(0o640)
    publish(path, "new\n")
    assert (mode(path), path.read_text()) == (0o640, "new\n")


def test_a_reader_never_sees_half_a_file(tmp_path):
    path = tmp_path / "cfg"
    publish(path, "old\n")
    with path.open() as reader:
        publish(path, "new\n")
        assert reader.read() == "old\n"


def test_a_full_disk_leaves_the_old_file_and_no_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "cfg"
    publish(path, "old\n")
    monkeypatch.setattr(files.os, "fsync", full_disk)
    with pytest.raises(PublishError, match=r"cfg could not be written: No space left on device; .*still stands"):
        publish(path, "new\n")
    assert (names(tmp_path), path.read_text()) == (["cfg"], "old\n")


def test_a_missing_folder_is_reported_with_path_and_reason(tmp_path):
    with pytest.raises(PublishError, match=r"gone/cfg could not be written: No such file or directory"):
        publish(tmp_path / "gone" / "cfg", "x\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_reported_with_path_and_reason(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PublishError, match="Permission denied"):
            publish(tmp_path / "cfg", "x\n")
    finally:
        tmp_path.chmod(0o700)


def test_a_destination_that_is_a_folder_is_reported_and_no_temporary_stays(tmp_path):
    (tmp_path / "cfg").mkdir()
    with pytest.raises(PublishError, match="cfg could not be written: Is a directory"):
        publish(tmp_path / "cfg", "x\n")
    assert names(tmp_path) == ["cfg"]


def test_a_missing_file_reads_as_none_and_an_unreadable_one_is_an_error(tmp_path):
    assert read_text(tmp_path / "cfg") is None
    with pytest.raises(PublishError, match="cannot be read: Is a directory"):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("keep", "left"),
    [(3, {"1": "v5", "2": "v4", "3": "v3"}), (1, {"1": "v5"}), (0, {"1": "v5"}), (-2, {"1": "v5"})],
)
def test_the_archive_keeps_the_newest_versions_and_always_the_last_one(tmp_path, keep, left):
    archive = Archive(tmp_path / "archive", keep, ArchiveName.CONFIG)
    archive.folder.mkdir()
    for number in range(1, 6):
        publish(tmp_path / "cfg", f"v{number}", archive=archive)
    kept = {path.name.removeprefix("hap_cfg."): path.read_text() for path in archive.folder.iterdir()}
    assert kept == left


def test_a_gap_in_the_archive_is_no_error(tmp_path):
    archive = Archive(tmp_path, 4, ArchiveName.APP_MAP)
    (tmp_path / "app_map.2").write_text("older")
    archive.add("new")
    assert names(tmp_path) == ["app_map.1", "app_map.3"]


def test_an_archived_file_is_private_and_a_planted_link_is_not_followed(tmp_path):
    victim, folder = tmp_path / "victim", tmp_path / "archive"
    victim.write_text("precious")
    folder.mkdir()
    for number in (1, 2):
        (folder / f"domain_map.{number}").symlink_to(victim)
    Archive(folder, 2, ArchiveName.DOMAIN_MAP).add("secret")
    assert victim.read_text() == "precious"
    assert not (folder / "domain_map.1").is_symlink()
    assert mode(folder / "domain_map.1") == 0o600


def test_a_failing_archive_is_logged_and_does_not_stop_publishing(tmp_path, caplog):
    archive = Archive(tmp_path / "gone", 3, ArchiveName.CONFIG)
    publish(tmp_path / "cfg", "x\n", archive=archive)
    assert (tmp_path / "cfg").read_text() == "x\n"
    assert "hap_cfg.1 could not be archived: No such file or directory" in caplog.text


def test_a_disk_without_room_for_the_archive_does_not_stop_publishing(tmp_path, monkeypatch, caplog):
    (tmp_path / "archive").mkdir()
    synced = []

    def full_at_first(handle: int) -> None:
        synced.append(handle)
        if len(synced) == 1:
            full_disk(handle)

    monkeypatch.setattr(files.os, "fsync", full_at_first)
    publish(tmp_path / "cfg", "x\n", archive=Archive(tmp_path / "archive", 3, ArchiveName.CONFIG))
    assert (tmp_path / "cfg").read_text() == "x\n"
    assert "hap_cfg.1 could not be archived: No space left on device; publishing goes on" in caplog.text
    assert list((tmp_path / "archive").iterdir()) == []


def test_sweep_removes_what_a_killed_run_left_and_nothing_else(tmp_path, monkeypatch):
    def killed(_path: Path, _mode: int) -> None:
        raise KeyboardInterrupt

    publish(tmp_path / "cfg", "x\n")
    (tmp_path / ".hidden").write_text("not ours")
    monkeypatch.setattr(files.os, "fchmod", killed)
    monkeypatch.setattr(files.Path, "unlink", lambda _path, **_options: None)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "cfg", "y\n")
    monkeypatch.undo()
    assert len(names(tmp_path)) == 3
    sweep(tmp_path)
    assert names(tmp_path) == [".hidden", "cfg"]


def test_a_draft_changes_nothing_until_it_is_published_and_leaves_nothing_when_it_is_dropped(tmp_path):
    publish(tmp_path / "cfg", "old")
    made, other = draft(tmp_path / "cfg", "new"), draft(tmp_path / "cfg", "never")
    assert read_text(tmp_path / "cfg") == "old"
    made.publish()
    for each in (made, other):
        each.drop()
    assert (read_text(tmp_path / "cfg"), names(tmp_path)) == ("new", ["cfg"])


def test_a_draft_that_a_killed_run_left_is_swept(tmp_path):
    draft(tmp_path / "cfg", "new")
    sweep(tmp_path)
    assert names(tmp_path) == []
