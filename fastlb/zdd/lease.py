"""One run at a time: an app without instances in Marathon, whose labels say who deploys and that he is alive.

Creating an app is the one thing that Marathon lets only one of two do, and changing labels of an app without instances
costs no task. So the run that creates ``<id>-zdd`` holds the group; it changes a label every few seconds, and deletes
the app at its end. A lock whose holder was killed is taken over: at once if its process is known to be gone, otherwise
when the label has not moved for long enough. Whoever finds another's name in it has lost it and changes nothing more.

It must not know what is deployed. The beating is done by a thread with a connection of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import uuid
from http import HTTPStatus
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple, Self

from fastlb.zdd.marathon import TroubleError
from fastlb.zdd.outcomes import Code, ZddError

if TYPE_CHECKING:
    from types import TracebackType

    from fastlb.zdd.marathon import Marathon

log = logging.getLogger(__name__)

OWNER = "FASTLB_ZDD_OWNER"
BEAT = "FASTLB_ZDD_BEAT"
WANTED = "FASTLB_ZDD_WANTED"
BEAT_S = 10.0
SILENT_S = 35.0
"""A lock that has not moved for so long, three beats and some, is nobody's."""
LOOK_S = 1.0
STARTED_FIELD = 19
"""Where a process's start stands in its stat file, counted from behind its name."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"
FORBIDDEN = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}


class Lease:
    """The lock of one group; a context manager that beats while it is held and lets go at its end.

    ``beating`` is a Marathon for its own thread, ``marathon`` that of whoever takes and checks.
    """

    def __init__(self, marathon: Marathon, beating: Marathon, base_id: str) -> None:
        self._app_id = _lock_id(base_id)
        self._wanted_id = ""
        self._owner = _owner()
        self._marathon = marathon
        self._beating = beating
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._held = False

    def __enter__(self) -> Self:
        """Nothing is held yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._held:
            self._thread.join()
            with contextlib.suppress(TroubleError):
                if self._is_ours():
                    self._marathon.delete(self._app_id, force=True)

    def take(self, wanted_id: str) -> None:
        """Take the lock, once, for a run that wants this app to be alone in the end.

        Raises ZddError (TAKEN) if another run holds it, TroubleError.
        """
        self._wanted_id = wanted_id
        try:
            self._take()
        except TroubleError as error:
            if error.status not in FORBIDDEN:
                raise
            log.warning("two runs at once would not notice each other, since no lock can be made: %s", error)
        else:
            self._held = True
            self._thread.start()

    def check(self) -> None:
        """Make sure that it is still ours. Raises ZddError (TAKEN) if not, TroubleError if Marathon cannot be asked."""
        if self._held and not self._is_ours():
            raise ZddError(Code.TAKEN, f"somebody took {self._app_id} over, or away; this run changes nothing more")

    def _take(self) -> None:
        """Create the lock, or take it over from somebody who is gone."""
        first, since_s = self._holder(), monotonic()
        holder = first
        while True:
            silent = monotonic() - since_s > SILENT_S
            if holder is None:
                if self._create():
                    return
                if silent:
                    raise ZddError(Code.TAKEN, f"{self._app_id} is locked by somebody, and cannot be created")
            elif holder.owner == self._owner:
                return  # the answer to an earlier try got lost
            elif holder.is_gone or (silent and holder == first):
                log.info("%s is taken over from %s, who is gone", self._app_id, holder)
                self._marathon.update(self._app_id, {"labels": self._labels(0)})
                return
            elif holder.is_alive or holder != first:
                raise ZddError(Code.TAKEN, f"another run of zdd is at work: {holder} holds {self._app_id}")
            sleep(LOOK_S)
            holder = self._holder()

    def _create(self) -> bool:
        """Whether the lock could be made; not if somebody was faster."""
        definition = {"id": self._app_id, "instances": 0, "cmd": "exit 0", "cpus": 0.01, "mem": 32}
        try:
            self._marathon.create({**definition, "portDefinitions": [], "labels": self._labels(0)})
        except TroubleError as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def _labels(self, beats: int) -> dict[str, str]:
        return {OWNER: self._owner, BEAT: str(beats), WANTED: self._wanted_id}

    def _holder(self, marathon: Marathon | None = None) -> Holder | None:
        app = (marathon or self._marathon).find(self._app_id)
        labels = app.get("labels") or {} if app else {}
        return Holder(labels.get(OWNER, ""), labels.get(BEAT, "")) if app else None

    def _is_ours(self, marathon: Marathon | None = None) -> bool:
        holder = self._holder(marathon)
        return holder is not None and holder.owner == self._owner

    def _beat(self) -> None:
        """Show every few seconds that we are alive, until the end or until somebody else has the lock."""
        beats = 0
        while not self._over.wait(BEAT_S):
            beats += 1
            try:
                if not self._is_ours(self._beating):
                    return
                self._beating.update(self._app_id, {"labels": self._labels(beats)})
            except TroubleError as error:
                log.info("%s could not be kept up, and is tried again: %s", self._app_id, error)


def left_by(marathon: Marathon, base_id: str) -> str:
    """Return which app the run whose lock is still there wanted to be alone; empty without one. Raises TroubleError."""
    app = marathon.find(_lock_id(base_id))
    return str((app.get("labels") or {}).get(WANTED, "")) if app else ""


def _lock_id(base_id: str) -> str:
    return f"/{base_id.strip('/')}-zdd"


class Holder(NamedTuple):
    """Who has the lock, as its labels say, and how often he has shown that he is alive."""

    owner: str
    beats: str

    @property
    def is_alive(self) -> bool:
        """Whether it is known to be a process that runs."""
        return self._is_near and _began(self._pid) == self.owner.split("/")[3]

    @property
    def is_gone(self) -> bool:
        """Whether it is known to be a process that ended."""
        return self._is_near and not self.is_alive

    def __str__(self) -> str:
        """The process and its host."""
        host, _, pid = (*self.owner.split("/"), "", "", "")[:3]
        return f"process {pid or '?'} of {host or 'somebody'}"

    @property
    def _is_near(self) -> bool:
        """Whether its process could be seen from here, if it still is there."""
        mine = _owner().split("/")
        return bool(mine[1]) and self.owner.split("/")[:2] == mine[:2]

    @property
    def _pid(self) -> int:
        return int(self.owner.split("/")[2])


def _owner() -> str:
    """Return what nobody else ever has: host, who can see whom there, process, when that began, chance."""
    try:
        view = f"{Path(BOOT_ID).read_text().strip()} {Path('/proc/self/ns/pid').readlink()} {os.getuid()}"
    except OSError:
        view = ""
    pid = os.getpid()
    return "/".join((socket.gethostname(), view, str(pid), _began(pid), uuid.uuid4().hex))


def _began(pid: int) -> str:
    """Return when a process began, in ticks since the boot, which no clock can set; empty if it is gone (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[STARTED_FIELD]
    except (OSError, IndexError):
        return ""
