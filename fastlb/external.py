"""Reloads HAProxy by running the operator's command (COMPAT.md 7.5): somebody else's, or our own.

It must not know how HAProxy was started, and finds no command by itself. Data flows:

    somebody else's: the processes named haproxy before -> the command -> one that was not there before
    our own:         what its master counts before      -> the command -> what it counts then
                     -> `ReloadOutcome`; none in time is one, too

The wait is always bounded, which marathon-lb's is not with no retries (COMPAT.md 10, quirk 30).
"""

from __future__ import annotations

import itertools
import logging
import os
import shlex
import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import psutil

from fastlb.errors import RuntimeApiError
from fastlb.master import ReloadOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastlb.master import Master

log = logging.getLogger(__name__)

Seen = TypeVar("Seen")

POLL_EVERY_S = 0.1
RELOADING = "FASTLB_RELOADING"
"""Names the master's socket to a command that has to reload our HAProxy, and to all that it calls."""


@dataclass(frozen=True, slots=True)
class ReloadCommand:
    """A command, split by shell rules but run without a shell, and how often it is run.

    After each `interval_s` seconds without a reload it is run again: N retries mean N runs in total, a negative number
    no limit, and 0 one run and waiting on. Whatever they are, after `give_up_s` seconds it is over.
    """

    command: str
    retries: int
    interval_s: float
    give_up_s: float


def reload_by_command(how: ReloadCommand) -> ReloadOutcome:
    """Run it until a new haproxy process appears, whoever has started that.

    A command that fails or cannot be started is logged and given up at once. Never raises.
    """
    started = time.monotonic()
    before = _haproxies()
    came = _run_until(how, lambda: next((int(process.pid) for process in _haproxies() - before), None), os.environ)
    seconds = time.monotonic() - started
    if isinstance(came, str):
        log.error("reload command %r: %s; given up, the new configuration stays in place", how.command, came)
        return ReloadOutcome(False, seconds, None, came)
    return ReloadOutcome(True, seconds, came, f"haproxy process {came} is new")


def reload_ours_by_command(how: ReloadCommand, master: Master) -> ReloadOutcome:
    """Run it until ``master`` has been reloaded; what the master counts is the outcome, whatever the command says.

    The command finds the master's socket in its variable `RELOADING`. Never raises.
    """
    started = time.monotonic()
    try:
        before = master.processes().master
    except RuntimeApiError as reason:
        return ReloadOutcome(False, time.monotonic() - started, None, f"{how.command!r} was not run: {reason}")
    environment = {**os.environ, RELOADING: str(master.socket_path)}
    came = _run_until(how, lambda: master.reloaded_since(before), environment)
    outcome = master.reloaded_since(before) if isinstance(came, str) else came
    seconds = time.monotonic() - started
    if outcome is None:
        return ReloadOutcome(False, seconds, None, f"{how.command!r} did not reload it: {came}")
    if isinstance(came, str):
        log.warning("reload command %r: %s; HAProxy was reloaded all the same", how.command, came)
    return replace(outcome, seconds=seconds)


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


def _run_until(how: ReloadCommand, look: Callable[[], Seen | None], environment: Mapping[str, str]) -> Seen | str:
    """What a look found, or why it found nothing."""
    deadline = time.monotonic() + how.give_up_s
    for runs in itertools.count(1):
        failure = _run(how.command, environment, deadline)
        if failure is not None:
            return failure
        until = deadline if how.retries == 0 else min(time.monotonic() + how.interval_s, deadline)
        seen = _seen(look, until)
        if seen is not None:
            return seen
        if runs == how.retries or until == deadline:
            break
        log.warning("%r brought no new haproxy process within %g s; running it again", how.command, how.interval_s)
    return f"no new haproxy process, run {runs} times"


def _run(command: str, environment: Mapping[str, str], deadline: float) -> str | None:
    """Run it to its end; what went wrong, if anything."""
    try:
        words = shlex.split(command)
        if not words:
            return "it is empty"
        left_s = max(deadline - time.monotonic(), 0)
        done = subprocess.run(words, stdin=subprocess.DEVNULL, env=environment, check=False, timeout=left_s)
    except ValueError as reason:
        return f"it cannot be split into words: {reason}"
    except OSError as reason:
        return f"it cannot be started: {reason.strerror}"
    except subprocess.TimeoutExpired:
        return f"it did not end within {left_s:.1f} s and was killed"
    return f"it ended with status {done.returncode}" if done.returncode else None


def _seen(look: Callable[[], Seen | None], until: float) -> Seen | None:
    while (seen := look()) is None and time.monotonic() < until:
        time.sleep(POLL_EVERY_S)
    return seen


def _haproxies() -> set[psutil.Process]:
    """What `pidof haproxy` lists, told apart by start time too: a pid that comes back is a new process."""
    return {
        process
        for process in psutil.process_iter(["name", "status"])
        if process.info["name"] == "haproxy" and process.info["status"] != psutil.STATUS_ZOMBIE
    }
