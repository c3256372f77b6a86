"""One process under supervision: started, signalled, ended step by step, recognised again after our own
death.

It must not know what the process is for, nor wait for it: who reaps (`supervisor`) hands the status in. Data
flows: an argument list -> a pid -> a status -> the time at which it may start again.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import subprocess
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

log = logging.getLogger(__name__)

FIRST_BACKOFF_S = 0.1
LAST_BACKOFF_S = 10.0
#: Who lived this long starts again at once.
GOOD_LIFE_S = 60.0

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """From now on orphans of our children become our children, so that they can be reaped."""
    if _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        log.warning("this kernel knows no subreaper; orphans of HAProxy go to process 1")


def make_expendable(pid: int, score: int) -> None:
    """Have the kernel, when memory runs out, rather kill this process than others; 1000 is first of all."""
    with contextlib.suppress(OSError):  # another user's process, or no /proc: a preference only
        Path(f"/proc/{pid}/oom_score_adj").write_text(str(score))


class Ending:
    """A process being ended: the first signal at once, each further one after a pause, or at once when
    hurried.

    A step is (pause in seconds before it, signal).
    """

    def __init__(self, send: Callable[[int], None], *steps: tuple[float, int]) -> None:
        self._send = send
        self._steps = deque(steps)
        self._last = time.monotonic()

    def step(self, *, hurry: bool = False) -> None:
        """Send the next signal if its time has come."""
        if self._steps and (hurry or time.monotonic() >= self._last + self._steps[0][0]):
            _, signum = self._steps.popleft()
            self._last = time.monotonic()
            self._send(signum)


class Child:
    """A program that has to run: its process while there is one, else the time at which it is `due`, if it
    is."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.due: float | None = None
        self.ending: Ending | None = None
        self._started = 0.0
        self._backoff_s = FIRST_BACKOFF_S

    @property
    def pid(self) -> int | None:
        """Of the running process."""
        return self.process.pid if self.process else None

    def is_due(self) -> bool:
        """Whether it is to start now."""
        return self.due is not None and time.monotonic() >= self.due

    def start(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        keep_fds: Sequence[int] = (),
        piped: bool = False,
        in_child: Callable[[], None] | None = None,
    ) -> bool:
        """Start it, in a process group of its own; what is to be done `in_child` is, before it becomes the program.

        If there is nothing to start, that is logged, it is due again later, and the answer is False.
        """
        self._started, self.due = time.monotonic(), None
        try:
            self.process = subprocess.Popen(
                command,
                env=environment,
                pass_fds=keep_fds,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else None,
                stderr=subprocess.PIPE if piped else None,
                process_group=0,  # Ctrl-C in a terminal is ours alone to pass on
                preexec_fn=in_child,
            )
        except OSError as reason:
            self.not_started(reason)
            return False
        log.info("%s started as process %d", self.name, self.process.pid)
        return True

    def not_started(self, reason: OSError) -> None:
        """Log why it could not be started, and try again later."""
        self._plan_next()
        where = f"{reason.filename}: " if reason.filename else ""
        log.error("%s could not be started: %s%s; tried again", self.name, where, reason.strerror)

    def send(self, signum: int) -> None:
        """Send it a signal. While it is not reaped its pid is no other's."""
        if self.process is not None:
            os.kill(self.process.pid, signum)

    def end(self, *steps: tuple[float, int]) -> None:
        """End it by these steps, see `Ending`; once begun, further calls change nothing."""
        if self.process is not None and self.ending is None:
            self.ending = Ending(self.send, *steps)

    def ended(self, code: int, *, again: bool) -> str:
        """It was reaped with this status, negative for a signal; says so in words. `again`: it is due
        again."""
        assert self.process is not None
        pid, self.process.returncode = self.process.pid, code
        self.process, self.ending = None, None
        how = f"signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exit status {code}"
        lived_s = time.monotonic() - self._started
        if lived_s >= GOOD_LIFE_S:
            self._backoff_s = 0.0
        said = f"{self.name}, process {pid}, ended after {lived_s:.1f} s with {how}"
        if again:
            log.warning("%s; it starts again in %.1f s", said, self._backoff_s)
            self._plan_next()
        else:
            log.info("%s", said)
        return said

    def _plan_next(self) -> None:
        self.due = time.monotonic() + self._backoff_s
        self._backoff_s = min(max(self._backoff_s * 2, FIRST_BACKOFF_S), LAST_BACKOFF_S)


@dataclass(slots=True)
class Leftover:
    """A process of a HAProxy before the present one, recognised by pid and start time (clock ticks since boot),
    not only by pid."""

    pid: int
    started_ticks: int
    ending: Ending | None = field(default=None)

    def is_alive(self) -> bool:
        """Whether exactly that process still runs."""
        return started_ticks(self.pid) == self.started_ticks

    def send(self, signum: int) -> None:
        """Send it a signal, if it is still that process."""
        if self.is_alive():
            log.info("sending %s to process %d of a former HAProxy", signal.Signals(signum).name, self.pid)
            os.kill(self.pid, signum)

    def end(self, *steps: tuple[float, int]) -> None:
        """End it by these steps, see `Ending`; once begun, further calls change nothing."""
        if self.ending is None:
            self.ending = Ending(self.send, *steps)


def describe(pids: Sequence[int]) -> str:
    """The text of a process file: who these processes are, so that `find_leftovers` knows them again."""
    return json.dumps([[pid, started_ticks(pid)] for pid in pids]) + "\n"


def find_leftovers(described: str | None, mark: str) -> list[Leftover]:
    """The processes of a process file that still run and have `mark` among their arguments.

    If there is no file, or one that cannot be read, all processes are looked through: a HAProxy that nobody knew would
    go on taking its share of the connections.
    """
    if described is None:
        return _find_masters(mark)
    try:
        leftovers = [Leftover(int(pid), int(ticks)) for pid, ticks in json.loads(described) if ticks is not None]
    except (ValueError, TypeError) as reason:
        log.warning("the process file of a former run cannot be read: %s; all processes are looked through", reason)
        return _find_masters(mark)
    return [one for one in leftovers if one.is_alive() and mark in _arguments(one.pid)]


def _find_masters(mark: str) -> list[Leftover]:
    """Whoever has `mark` among its arguments, means the same files by it, and was not started by one of these."""
    marked = {pid for pid in psutil.pids() if mark in _arguments(pid) and _has_our_mounts(pid)}
    found = [(pid, started_ticks(pid)) for pid in sorted(marked) if _parent(pid) not in marked]
    return [Leftover(pid, ticks) for pid, ticks in found if ticks is not None]


def _has_our_mounts(pid: int) -> bool:
    """Whether a path is the same file there; in another container it is not, although its processes may be seen."""
    try:
        return Path(f"/proc/{pid}/ns/mnt").readlink() == Path("/proc/self/ns/mnt").readlink()
    except OSError:
        return False


def find_orphans(mark: str) -> list[Leftover]:
    """Our own children that run with `mark` among their arguments; to be asked when who started them has ended."""
    try:
        children = [(child.pid, started_ticks(child.pid)) for child in psutil.Process().children()]
    except (OSError, psutil.Error) as reason:
        log.warning("workers that outlived HAProxy's master cannot be looked for: %s", reason)
        return []
    return [Leftover(pid, ticks) for pid, ticks in children if ticks is not None and mark in _arguments(pid)]


def tie_to(parent: int) -> Callable[[], None]:
    """What a child does so that it gets SIGTERM when `parent` dies."""

    def in_child() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != parent:  # it died before the request above
            os._exit(1)

    return in_child


def started_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None if it does not run (any more), also if it only
    waits to be reaped."""
    status = _status(pid)
    return int(status[19]) if status and status[0] not in "ZX" else None


def _parent(pid: int) -> int | None:
    status = _status(pid)
    return int(status[1]) if status else None


def _status(pid: int) -> list[str]:
    """What the kernel says of the process, from its state on; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _arguments(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
