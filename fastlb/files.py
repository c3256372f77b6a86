"""Files that HAProxy reads: published atomically, read back exactly, old versions kept in an archive.

It must not know what is in a file, nor when one is due. Data flows: text -> temporary file in the folder of
its destination -> disk (a `Draft`) -> rename. Whoever reads the destination sees the old file or the new one,
never half of one, and after a crash of the machine one of the two is there. To write takes the time, so that
whoever knows a text ahead drafts it, and has only to rename when it is due.

A temporary file that a killed run left behind carries our ending and is removed by `sweep` at the next start.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fastlb.errors import PublishError

log = logging.getLogger(__name__)

DEFAULT_MODE = 0o644
PRIVATE_MODE = 0o600
#: How the names of our temporary files end; nothing else is ever swept.
TEMPORARY = ".fastlb-new"
# Bytes that are no UTF-8 survive reading and writing, so that a foreign file compares as different and breaks
# nothing.
_ERRORS = "surrogateescape"


class ArchiveName(StrEnum):
    """What an archived file is called, before its number (COMPAT.md 7.4)."""

    CONFIG = "hap_cfg"
    DOMAIN_MAP = "domain_map"
    APP_MAP = "app_map"
    REFUSED_CONFIG = "haproxy_temp_config_fail"


@dataclass(frozen=True, slots=True)
class Archive:
    """The last versions of one file: `<folder>/<name>.1` is the newest, `keep` the limit (COMPAT.md 7.4).

    The folder is often the machine-wide /tmp, where anybody may have planted a link: nothing is ever opened
    under a known name, files only arrive there by rename, readable by their owner alone.
    """

    folder: Path
    keep: int
    name: ArchiveName

    def add(self, text: str) -> None:
        """Keep `text` as version 1, whatever `keep` is, shift the older ones; a failure is only logged."""
        try:
            for number in range(self.keep - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._version(number).replace(self._version(number + 1))
            _replace(self._version(1), text, PRIVATE_MODE)
        except OSError as reason:
            log.warning(
                "%s could not be archived: %s; publishing goes on",
                self._version(1),
                reason.strerror or reason,
            )

    def _version(self, number: int) -> Path:
        return self.folder / f"{self.name}.{number}"


def publish(path: Path, text: str, *, archive: Archive | None = None) -> None:
    """Replace the file at `path` by one that holds `text` and has its permission bits, 0644 if there is none.

    Raises PublishError, naming path and reason, if that fails; the old file then still stands and no
    temporary is left.
    """
    if archive is not None:
        archive.add(text)
    draft(path, text).publish()
    sync_folder(path.parent)


@dataclass(frozen=True, slots=True)
class Draft:
    """A text on disk beside the file at `path` that it is to replace; it goes there, or has to be dropped."""

    path: Path
    text: str
    temporary: Path

    def publish(self) -> None:
        """Put it in its place, for a power cut only after `sync_folder`.

        Raises PublishError if that fails; it is dropped then, and the old file stands.
        """
        try:
            _move(self.temporary, self.path, _bytes(self.text))
        except OSError as reason:
            self.drop()
            raise _not_written(self.path, reason) from reason

    def drop(self) -> None:
        """Remove it, if it is still there; what cannot be removed is swept by the next start."""
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)


def draft(path: Path, text: str) -> Draft:
    """Write `text` to the disk of `path`, with the permission bits of the file there, 0644 if there is none.

    Raises PublishError, naming path and reason, if that fails; no temporary is left then.
    """
    try:
        return Draft(path, text, _write_beside(path, text, _mode_of(path)))
    except OSError as reason:
        raise _not_written(path, reason) from reason


def read_text(path: Path) -> str | None:
    """What is in the file, line ends untouched; None if there is none. Unreadable: PublishError."""
    try:
        return path.read_bytes().decode("utf-8", _ERRORS)
    except FileNotFoundError:
        return None
    except OSError as reason:
        raise PublishError(f"{path} cannot be read: {reason.strerror}; nothing is written in its place") from reason


def sweep(folder: Path) -> None:
    """Remove the temporary files a killed run of ours left in `folder`; what cannot be removed is logged."""
    for leftover in folder.glob(f".*{TEMPORARY}"):
        try:
            leftover.unlink(missing_ok=True)
        except OSError as reason:
            log.warning("%s was left by a killed run and cannot be removed: %s", leftover, reason.strerror)
        else:
            log.info("removed %s, left by a killed run", leftover)


def _replace(path: Path, text: str, mode: int) -> None:
    temporary = _write_beside(path, text, mode)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_beside(path: Path, text: str, mode: int) -> Path:
    """Write a file in the same folder, so that it can be renamed, down to the disk."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(_bytes(text))
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", _ERRORS)


def _not_written(path: Path, reason: OSError) -> PublishError:
    return PublishError(
        f"{path} could not be written: {reason.strerror or reason}; what stood there before still stands"
    )


def _move(temporary: Path, path: Path, content: bytes) -> None:
    """Rename, where possible; a file that is itself a mount, as in some containers, can only be written over."""
    try:
        temporary.replace(path)
    except OSError as reason:
        if reason.errno != errno.EBUSY:
            raise
        path.write_bytes(content)
        temporary.unlink()


def _mode_of(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return DEFAULT_MODE


def sync_folder(folder: Path) -> None:
    """Make the rename survive a power cut; it has already happened, so a failure is no failure to publish."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as reason:
        log.warning("%s could not be synced to disk: %s; a power cut may bring old files back", folder, reason)
