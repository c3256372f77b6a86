"""The folders of trials: what a killed fastlb left is told from what another one uses."""

from __future__ import annotations

import fcntl
import os
import tempfile

from fastlb.trial import FOLDER_PREFIX, sweep_trials


def test_only_folders_of_trials_that_nobody_uses_any_more_are_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    used, left, other = (tmp_path / name for name in (f"{FOLDER_PREFIX}used", f"{FOLDER_PREFIX}left", "other"))
    for folder in (used, left, other):
        folder.mkdir()
        (folder / "haproxy.cfg").write_text("global\n")
    handle = os.open(used, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    sweep_trials()
    assert sorted(tmp_path.iterdir()) == [used, other]
    os.close(handle)
    sweep_trials()
    assert list(tmp_path.iterdir()) == [other]


def test_a_folder_with_something_else_in_it_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"{FOLDER_PREFIX}odd"
    folder.mkdir()
    (folder / "notes").write_text("mine")
    sweep_trials()
    assert (folder / "notes").read_text() == "mine"
