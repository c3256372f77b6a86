"""Has HAProxy run the files on disk: the three ways, behind one verb.

- `SupervisedHAProxy`: ours; started by the supervisor, reloaded through its master's socket, or by
  ``--reload-through``, a command that comes to it in the end.
- `CommandHAProxy`: somebody else's, reloaded by ``--command`` (COMPAT.md 7.5).
- `UnattendedHAProxy`: one pass without either; a master that answers in the run folder is reloaded, else the files are
  all there is to do.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, Protocol

from fastlb.children import started_ticks
from fastlb.errors import RuntimeApiError
from fastlb.external import ReloadCommand, reload_by_command, reload_ours_by_command
from fastlb.files import publish
from fastlb.handover import ServerStates
from fastlb.loaded import NO_SERVER_STATE, LoadedFiles
from fastlb.master import Master, ReloadOutcome

if TYPE_CHECKING:
    from fastlb.settings import Settings
    from fastlb.supervisor_link import SupervisorLink

log = logging.getLogger(__name__)

QUESTION_TIMEOUT_S = 5.0
ENDED_WITHIN_S = 2.0
TOLD_WITHIN_S = 1.0
"""How its master ended is told by the supervisor, which reaps it, a moment later."""
LOOK_EVERY_S = 0.02
PROMPT_S = 0.5
"""A worker that answers within it hands over its listeners in time: it has 1 s, on every version from 2.6 to 3.4."""
PATIENCE_S = 5.0
"""For so long a reload waits for a worker that does not."""


class Loader(Protocol):
    """What `apply` needs of a HAProxy."""

    restores: bool
    """Whether the files of before are put back when it could not load the new ones."""

    def get_ready(self) -> None:
        """Do ahead what loading needs beside the files; not while anything is loaded."""

    def load(self) -> ReloadOutcome:
        """Have HAProxy run the files on disk, and say what came of it."""

    def reload(self) -> ReloadOutcome:
        """The same, even if it runs them already: they may name other files that have changed."""

    def confirm(self) -> None:
        """Take note that HAProxy was changed live to what is on disk."""


class SupervisedHAProxy:
    """The HAProxy that the supervisor runs for us; it is adopted as it is if it runs the files on disk already."""

    restores = True

    def __init__(self, link: SupervisorLink, settings: Settings) -> None:
        self._link = link
        self._paths = paths = settings.paths
        self._timeout_s = settings.reload_timeout_s
        self._through = _command(settings.reload_through, settings) if settings.reload_through else None
        self._master = Master(paths.master_socket, timeout_s=QUESTION_TIMEOUT_S)
        self._files = LoadedFiles(paths.run_dir, (paths.domain_map, paths.app_map, paths.config))
        self._states = ServerStates(paths)
        self._adopting = True
        if not paths.server_state.exists():
            publish(paths.server_state, NO_SERVER_STATE)

    def get_ready(self) -> None:
        """Save the health of its servers."""
        self._states.save()

    def load(self) -> ReloadOutcome:
        """Start HAProxy, adopt it, or reload it with its servers' health handed over."""
        adopting, self._adopting = self._adopting, False
        if self._link.haproxy_pid is None:
            started = self._link.start_haproxy(self._timeout_s)
            if not started.ok or not started.was_running:
                if started.ok:
                    self._files.keep()
                return ReloadOutcome(started.ok, 0.0, started.pid, started.log)
        return (self._adopted() if adopting else None) or self.reload()

    def reload(self) -> ReloadOutcome:
        """Have it load the files on disk, even if it runs them already."""
        self._states.save()
        self._wait_for_a_prompt_worker()
        stamps = self._files.stamps()
        master_pid = self._link.haproxy_pid
        through, master = self._through, self._master
        asked = reload_ours_by_command(through, master) if through else master.reload(self._timeout_s)
        outcome = self._seen_to_live(master_pid, asked)
        if outcome.ok:
            self._mark(stamps)
            self._files.keep()
        return outcome

    def confirm(self) -> None:
        """Take note that HAProxy was changed live to what is on disk, so that a new controller need not reload."""
        self._mark(self._files.stamps())

    def _wait_for_a_prompt_worker(self) -> None:
        """Wait until the worker answers at once, for a while: on a machine that has no time it would hand over nothing.

        Then the next one listens anew, and who waits to be accepted by the old one is reset.
        """
        deadline_s = monotonic() + PATIENCE_S
        while (asked_s := monotonic()) < deadline_s:
            try:
                self._master.ask_serving("show info")
            except RuntimeApiError as error:
                log.debug("whether HAProxy's worker answers at once is not known: %s; it is reloaded", error)
                return
            if monotonic() - asked_s < PROMPT_S:
                return

    def _seen_to_live(self, master_pid: int | None, outcome: ReloadOutcome) -> ReloadOutcome:
        """Return the outcome, not ok if HAProxy ended all the same: on what it has checked, a worker may still fail.

        Until 3.0 it takes its master and all other workers with it.
        """
        if outcome.ok and self._answers(outcome.worker_pid) and not _is_gone(master_pid):
            return outcome
        deadline_s = monotonic() + ENDED_WITHIN_S
        while not (ended := _is_gone(master_pid) or _is_gone(outcome.worker_pid)) and monotonic() < deadline_s:
            sleep(LOOK_EVERY_S)
        return self._ended(master_pid, outcome) if ended else outcome

    def _ended(self, master_pid: int | None, outcome: ReloadOutcome) -> ReloadOutcome:
        """HAProxy is gone: for what it was given, unless somebody killed it, as a machine without memory does."""
        deadline_s = monotonic() + TOLD_WITHIN_S
        while (killed := self._link.was_killed(master_pid)) is None and monotonic() < deadline_s:
            sleep(LOOK_EVERY_S)
        how = "HAProxy was killed meanwhile" if killed else "HAProxy ended on them"
        return replace(outcome, ok=False, refused=not killed, ended=True, log=f"{how}; {outcome.log}")

    def _answers(self, worker_pid: int | None) -> bool:
        try:
            return worker_pid is not None and "Pid" in self._master.ask_worker(worker_pid, "show info")
        except RuntimeApiError:
            return False

    def _adopted(self) -> ReloadOutcome | None:
        try:
            processes = self._master.processes()
        except RuntimeApiError:
            return None
        if processes.serving is None or not self._files.are_loaded(processes.master.pid, processes.master.reloads):
            return None
        self._files.keep()
        return ReloadOutcome(True, 0.0, processes.serving.pid, "HAProxy runs these files already")

    def _mark(self, stamps: list[list[int] | None]) -> None:
        try:
            master = self._master.processes().master
        except RuntimeApiError as error:
            log.debug("it is not known how often HAProxy was reloaded: %s; a new controller will reload once", error)
        else:
            self._files.mark(master.pid, master.reloads, stamps)


def _is_gone(pid: int | None) -> bool:
    return pid is not None and started_ticks(pid) is None


class CommandHAProxy:
    """A HAProxy that somebody else runs; the new files stay whatever the command does (COMPAT.md 7.5)."""

    restores = False

    def __init__(self, command: str, settings: Settings) -> None:
        self._states = ServerStates(settings.paths)
        self._command = _command(command, settings)

    def get_ready(self) -> None:
        """Save the health of its servers."""
        self._states.save()

    def load(self) -> ReloadOutcome:
        """Run the command until a new process shows up."""
        self._states.save()
        return reload_by_command(self._command)

    def reload(self) -> ReloadOutcome:
        """The same: whether it runs them already is not known."""
        return self.load()

    def confirm(self) -> None:
        """Nothing has to be remembered of it."""


class UnattendedHAProxy:
    """Whoever listens at the master's socket; nobody is fine too."""

    restores = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._states = ServerStates(settings.paths)
        self._master = Master(settings.paths.master_socket, timeout_s=QUESTION_TIMEOUT_S)

    def get_ready(self) -> None:
        """Save the health of its servers."""
        self._states.save()

    def load(self) -> ReloadOutcome:
        """Reload the master that answers; without one, the files are done."""
        try:
            self._master.processes()
        except RuntimeApiError:
            log.info("no HAProxy answers at %s; the files are written", self._settings.paths.master_socket)
            return ReloadOutcome(True, 0.0, None, "")
        self._states.save()
        return self._master.reload(self._settings.reload_timeout_s)

    def reload(self) -> ReloadOutcome:
        """The same: whether it runs them already is not known."""
        return self.load()

    def confirm(self) -> None:
        """Nothing has to be remembered of it."""


def _command(command: str, settings: Settings) -> ReloadCommand:
    return ReloadCommand(
        command, settings.command_retries, settings.command_interval_s, give_up_s=settings.reload_timeout_s
    )
