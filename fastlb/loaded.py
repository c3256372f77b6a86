"""Which files the running HAProxy has loaded, copies of the last that served, and what a start finds.

It must not know what is in a file, nor start or ask anybody. Data flows: files on disk -> a mark that says which of
them the master had loaded, as of which of its reloads -> a controller that was started again sees that nothing has to
be reloaded; files that served -> copies -> back in their places when HAProxy does not start on what came after.

A file is known by inode, size and time, which every publishing changes; a mark that is missing, old or broken costs one
reload. Nothing here is worth an exception: what cannot be written is logged.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

from fastlb.children import started_ticks
from fastlb.errors import PublishError
from fastlb.files import publish, read_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

MARK_FILE = "loaded"
GOOD_FOLDER = "last-good"
REFUSED_FILE = "haproxy_tmp_conf_fail"
STATE_GOOD_FOR_S = 300.0
"""What HAProxy knew of its servers before a start tells nothing later; without it, each begins as healthy."""

NO_SERVER_STATE = "1\n# be_id be_name srv_id srv_name\n"
"""A state file without any server: HAProxy complains about a missing or an empty one."""


class LoadedFiles:
    """The ``files`` of one HAProxy, its configuration last; what is remembered lies in ``run_dir``."""

    def __init__(self, run_dir: Path, files: Sequence[Path]) -> None:
        self._mark_path = run_dir / MARK_FILE
        self._good = run_dir / GOOD_FOLDER
        self._files = tuple(files)

    def stamps(self) -> list[list[int] | None]:
        """Say which files are there, so that another one in the same place is told from it."""
        return [_stamp(path) for path in self._files]

    def mark(self, master_pid: int, reloads: int, stamps: list[list[int] | None]) -> None:
        """Write down that this master has loaded the files of ``stamps``, after so many reloads."""
        try:
            self._mark_path.write_text(_mark(master_pid, reloads, stamps))
        except OSError as reason:
            log.warning("%s could not be written: %s; a new controller will reload once", self._mark_path, reason)

    def are_loaded(self, master_pid: int, reloads: int) -> bool:
        """Whether this master, after so many reloads, runs exactly what is on disk."""
        try:
            return self._mark_path.read_text() == _mark(master_pid, reloads, self.stamps())
        except (OSError, ValueError):
            return False

    def keep(self) -> None:
        """Copy the files, since HAProxy serves them."""
        try:
            self._good.mkdir(exist_ok=True)
            for path in self._files:
                text, copy = read_text(path), self._good / path.name
                if text is None:
                    copy.unlink(missing_ok=True)
                elif read_text(copy) != text:
                    publish(copy, text)
        except (OSError, PublishError) as reason:
            log.warning("%s; there is no copy of what HAProxy serves", reason)

    def put_back(self) -> bool:
        """Put the copies in the places of what HAProxy does not start on; return whether anything was different.

        The refused configuration is kept where operators look for it (COMPAT.md 7.2 step 5).
        """
        try:
            different = [
                (path, good, found)
                for path in self._files
                if (good := read_text(self._good / path.name)) is not None and good != (found := read_text(path))
            ]
            for path, good, found in different:
                if path == self._files[-1] and found:
                    publish(path.with_name(REFUSED_FILE), found)
                publish(path, good)
        except PublishError as reason:
            log.error("%s; the last files that HAProxy served cannot be put back", reason)
            return False
        return bool(different)


def drop_stale_state(path: Path) -> None:
    """Empty the file with the states of servers, before a start, if it is not from moments ago."""
    try:
        age_s = time.time() - path.stat().st_mtime
        if not 0 <= age_s <= STATE_GOOD_FOR_S:
            log.info("%s is %.0f s old and forgotten; HAProxy checks its servers anew", path, age_s)
            publish(path, NO_SERVER_STATE)
    except FileNotFoundError:
        return
    except (OSError, PublishError) as reason:
        log.warning("%s cannot be emptied: %s; HAProxy starts with states of before", path, reason)


def _stamp(path: Path) -> list[int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns]


def _mark(master_pid: int, reloads: int, stamps: list[list[int] | None]) -> str:
    return json.dumps({"master": [master_pid, started_ticks(master_pid)], "reloads": reloads, "files": stamps})
