"""Has HAProxy run the files on disk: the three ways, behind one verb.

- `SupervisedHAProxy`: ours; started by the supervisor, reloaded through its master's socket.
- `CommandHAProxy`: somebody else's, reloaded by ``--command`` (COMPAT.md 7.5).
- `UnattendedHAProxy`: one pass without either; a master that answers in the run folder is reloaded, else the files are
  all there is to do.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from fastlb.errors import PublishError, RuntimeApiError
from fastlb.external import reload_by_command
from fastlb.files import publish
from fastlb.master import Master, ReloadOutcome
from fastlb.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from fastlb.settings import Paths, Settings
    from fastlb.supervisor_link import SupervisorLink

log = logging.getLogger(__name__)

QUESTION_TIMEOUT_S = 5.0
NO_SERVER_STATE = "1\n# be_id be_name srv_id srv_name\n"
"""A state file without any server: HAProxy complains about a missing or an empty one."""


class Loader(Protocol):
    """What `apply` needs of a HAProxy."""

    restores: bool
    """Whether the files of before are put back when it could not load the new ones."""

    def load(self) -> ReloadOutcome:
        """Have HAProxy run the files on disk, and say what came of it."""


class SupervisedHAProxy:
    """The HAProxy that the supervisor runs for us."""

    restores = True

    def __init__(self, link: SupervisorLink, settings: Settings) -> None:
        self._link = link
        self._paths = settings.paths
        self._timeout_s = settings.reload_timeout_s
        self._master = Master(settings.paths.master_socket, timeout_s=QUESTION_TIMEOUT_S)
        if not self._paths.server_state.exists():
            publish(self._paths.server_state, NO_SERVER_STATE)

    def load(self) -> ReloadOutcome:
        """Start HAProxy, or reload the one that runs, its servers' health handed over."""
        if self._link.haproxy_pid is None:
            started = self._link.start_haproxy(self._timeout_s)
            if not started.ok or not started.was_running:
                return ReloadOutcome(started.ok, 0.0, started.pid, started.log)
        save_server_state(self._paths)
        return self._master.reload(self._timeout_s)


class CommandHAProxy:
    """A HAProxy that somebody else runs; the new files stay whatever the command does (COMPAT.md 7.5)."""

    restores = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def load(self) -> ReloadOutcome:
        """Run the command until a new process shows up."""
        settings = self._settings
        save_server_state(settings.paths)
        return reload_by_command(
            settings.command or "",
            retries=settings.command_retries,
            interval_s=settings.command_interval_s,
            give_up_s=settings.reload_timeout_s,
        )


class UnattendedHAProxy:
    """Whoever listens at the master's socket; nobody is fine too."""

    restores = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._master = Master(settings.paths.master_socket, timeout_s=QUESTION_TIMEOUT_S)

    def load(self) -> ReloadOutcome:
        """Reload the master that answers; without one, the files are done."""
        try:
            self._master.processes()
        except RuntimeApiError:
            log.info("no HAProxy answers at %s; the files are written", self._settings.paths.master_socket)
            return ReloadOutcome(True, 0.0, None, "")
        save_server_state(self._settings.paths)
        return self._master.reload(self._settings.reload_timeout_s)


def save_server_state(paths: Paths) -> None:
    """Keep what HAProxy knows of its servers' health for the next worker (COMPAT.md 2.5); a failure costs only that."""
    try:
        state = RuntimeApi(paths.runtime_socket, QUESTION_TIMEOUT_S).servers_state()
        publish(paths.server_state, state)
    except (RuntimeApiError, PublishError) as error:
        log.debug("server states are not carried over to the next worker: %s", error)
