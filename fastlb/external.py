"""Reloads a HAProxy that somebody else runs, by running the operator's command (COMPAT.md 7.5).

It must not know how that HAProxy was started, and finds no command by itself. Data flows: the processes named
haproxy before -> the command -> a process that was not there before, or none in time -> `ReloadOutcome`.

The wait is always bounded, which marathon-lb's is not with no retries (COMPAT.md 10, quirk 30).
"""

from __future__ import annotations

import itertools
import logging
import shlex
import subprocess
import time

import psutil

from fastlb.master import ReloadOutcome

log = logging.getLogger(__name__)

POLL_EVERY_S = 0.1


def reload_by_command(command: str, *, retries: int, interval_s: float, give_up_s: float) -> ReloadOutcome:
    """Run `command`, split by shell rules but without a shell, until a new haproxy process appears.

    After each `interval_s` seconds without one the command is run again: N retries mean N runs in total, a
    negative number no limit, and 0 one run and waiting on. Whatever they are, after `give_up_s` seconds it is
    over. A command that fails or cannot be started is logged and given up at once. Never raises.
    """
    started = time.monotonic()
    came = _run_until_it_comes(command, retries, interval_s, started + give_up_s)
    seconds = time.monotonic() - started
    if isinstance(came, str):
        log.error("reload command %r: %s; given up, the new configuration stays in place", command, came)
        return ReloadOutcome(False, seconds, None, came)
    return ReloadOutcome(True, seconds, came, f"haproxy process {came} is new")


def workers_beside(worker_pid: int) -> list[int]:
    """Return the pids of the other workers of that worker's master; none if it has no master."""
    try:
        worker = psutil.Process(worker_pid)
        master = worker.parent()
        if master is None or master.name() != worker.name():
            return []
        return [child.pid for child in master.children() if child != worker and child.name() == worker.name()]
    except psutil.Error:
        return []


def _run_until_it_comes(command: str, retries: int, interval_s: float, deadline: float) -> int | str:
    """The pid of the new process, or why there is none."""
    before = _haproxies()
    for runs in itertools.count(1):
        failure = _run(command, deadline)
        if failure is not None:
            return failure
        until = deadline if retries == 0 else min(time.monotonic() + interval_s, deadline)
        pid = _new_haproxy(before, until)
        if pid is not None:
            return pid
        if runs == retries or until == deadline:
            break
        log.warning("%r brought no new haproxy process within %g s; running it again", command, interval_s)
    return f"no new haproxy process, run {runs} times"


def _run(command: str, deadline: float) -> str | None:
    """Run it to its end; what went wrong, if anything."""
    try:
        words = shlex.split(command)
        if not words:
            return "it is empty"
        left_s = max(deadline - time.monotonic(), 0)
        status = subprocess.run(words, stdin=subprocess.DEVNULL, check=False, timeout=left_s).returncode
    except ValueError as reason:
        return f"it cannot be split into words: {reason}"
    except OSError as reason:
        return f"it cannot be started: {reason.strerror}"
    except subprocess.TimeoutExpired:
        return f"it did not end within {left_s:.1f} s and was killed"
    return f"it ended with status {status}" if status else None


def _new_haproxy(before: set[psutil.Process], until: float) -> int | None:
    while True:
        for process in _haproxies() - before:
            return int(process.pid)
        if time.monotonic() >= until:
            return None
        time.sleep(POLL_EVERY_S)


def _haproxies() -> set[psutil.Process]:
    """What `pidof haproxy` lists, told apart by start time too: a pid that comes back is a new process."""
    return {
        process
        for process in psutil.process_iter(["name", "status"])
        if process.info["name"] == "haproxy" and process.info["status"] != psutil.STATUS_ZOMBIE
    }
