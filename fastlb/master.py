"""HAProxy's master: has it reload, learns the outcome, lists its processes; probes new ports before a reload.

It must not know what is in the configuration or why a reload is due. Data flows: `reload` on the master's
socket -> its reply, or where that says nothing its process list -> `ReloadOutcome`.

From 2.7 on the reply is the outcome. In 2.6 the reply is empty and the master replaces itself, its socket
refusing connections meanwhile; the outcome is read from its counters afterwards (HAPROXY.md F1). The same way
serves for any version whose reply got lost, so no version is asked for here.
"""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.errors import RuntimeApiError
from fastlb.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

POLL_EVERY_S = 0.01

_PROCESS = re.compile(
    r"^(?P<pid>\d{1,19})\s+(?P<kind>master|worker)\s+(?P<reloads>\d{1,19})(?:\s+\[failed: (?P<failed>\d{1,19})\])?"
    r"\s+(?P<days>\d{1,9})d(?P<hours>\d{1,9})h(?P<minutes>\d{1,9})m(?P<seconds>\d{1,9})s"
)


@dataclass(frozen=True, slots=True)
class Process:
    """One line of `show proc`; `reloads` is how many it has lived through, `failed_reloads` the master's, in
    a row."""

    pid: int
    reloads: int
    uptime_s: int
    failed_reloads: int = 0


@dataclass(frozen=True, slots=True)
class Processes:
    """The master's process list. After a failed reload 3.2 and newer list the one that serves as an old
    worker."""

    master: Process
    workers: tuple[Process, ...]
    old_workers: tuple[Process, ...]

    @property
    def serving(self) -> Process | None:
        """The worker that takes new connections: the current one, else the youngest of the old ones."""
        return min((*self.workers, *self.old_workers), key=lambda worker: worker.reloads, default=None)

    @property
    def not_serving(self) -> tuple[Process, ...]:
        """The workers that take no new connections."""
        serving = self.serving
        return tuple(worker for worker in (*self.workers, *self.old_workers) if worker is not serving)


@dataclass(frozen=True, slots=True)
class ReloadOutcome:
    """What came of a reload: `worker_pid` serves now, `log` is what HAProxy said about it or why nothing is
    known."""

    ok: bool
    seconds: float
    worker_pid: int | None
    log: str
    refused: bool = False
    """Whether it is known that HAProxy cannot run on the files, though it has accepted them."""
    ended: bool = False
    """Whether HAProxy, with all that it served, ended on them."""


@dataclass(frozen=True, slots=True)
class BusyBind:
    """An address that HAProxy could not listen on, and why."""

    host: str
    port: int
    reason: str


class Master:
    """The master at its socket; `timeout_s` bounds every single question."""

    def __init__(self, socket_path: Path, *, timeout_s: float) -> None:
        self._api = RuntimeApi(socket_path, timeout_s)

    @property
    def socket_path(self) -> Path:
        """Where it answers."""
        return self._api.socket_path

    def processes(self) -> Processes:
        """Its process list. Raises RuntimeApiError if it does not answer or answers something else."""
        return read_processes(self._api.ask("show proc"))

    def ask_worker(self, pid: int, command: str) -> str:
        """The reply of one of its workers, an old one too. Raises RuntimeApiError.

        2.8 does not answer at all for a worker that is gone (HAPROXY.md 1), so that costs the whole timeout.
        """
        return self._api.ask(f"@!{pid} {command}")

    def ask_serving(self, command: str) -> str:
        """The reply of the worker that serves. Raises RuntimeApiError."""
        return self._api.ask(f"@1 {command}")

    def reload(self, timeout_s: float) -> ReloadOutcome:
        """Have it load the configuration anew; never raises, and never takes much longer than `timeout_s`.

        An outcome that is not known in time is not ok: what runs then has to be read back.
        """
        started = time.monotonic()
        try:
            before = self.processes().master
            ok, log = self._reload(before, started + timeout_s)
            serving = self.processes().serving
        except RuntimeApiError as reason:
            return ReloadOutcome(False, time.monotonic() - started, None, str(reason))
        # A worker that ended at once is in no list, and one from before serves as long as it may.
        ok = ok and serving is not None and serving.reloads == 0
        pid = serving.pid if serving else None
        return ReloadOutcome(ok, time.monotonic() - started, pid, log, refused=not ok)

    def reloaded_since(self, before: Process) -> ReloadOutcome | None:
        """What came of a reload that somebody else asked for after the master was `before`; None while it is not
        over, or there was none. Never raises."""
        try:
            now = self.processes()
        except RuntimeApiError:
            return None
        counted = _counted(before, now.master)
        fresh = now.serving is not None and now.serving.reloads == 0
        if counted is None or (counted[0] and not fresh):
            return None
        pid = now.serving.pid if now.serving else None
        return ReloadOutcome(counted[0], 0.0, pid, counted[1], refused=not counted[0])

    def _reload(self, before: Process, deadline: float) -> tuple[bool, str]:
        # Time is left for the counters: a master that became an older one never answers, but has loaded all the same.
        asker = RuntimeApi(self._api.socket_path, max((deadline - time.monotonic()) * 0.8, POLL_EVERY_S))
        try:
            reply = asker.ask("reload")
        except RuntimeApiError as reason:
            return self._outcome_by_counters(before, deadline, str(reason))
        verdict, _, log = reply.partition("\n--\n")
        return verdict.strip() == "Success=1", log.strip() or reply.strip()

    def _outcome_by_counters(self, before: Process, deadline: float, why: str) -> tuple[bool, str]:
        while time.monotonic() < deadline:
            try:
                now = self.processes().master
            except RuntimeApiError as reason:
                why = str(reason)
            else:
                if counted := _counted(before, now):
                    return counted
            time.sleep(POLL_EVERY_S)
        raise RuntimeApiError(f"the outcome of the reload did not become known in time: {why}")


def _counted(before: Process, now: Process) -> tuple[bool, str] | None:
    """Whether the master has loaded its files since, as it counts, and that in words; None if it was not reloaded."""
    if now.pid == before.pid and now.reloads <= before.reloads:
        return None
    said = f"{now.failed_reloads} failed in a row" if now.failed_reloads else "loaded"
    return now.failed_reloads == 0, f"the master counts {now.reloads} reloads, {said}"


def read_processes(reply: str) -> Processes:
    """The reply to `show proc` of 2.6 to 3.4, read. Raises RuntimeApiError if it is something else."""
    master, found, current = None, (list[Process](), list[Process]()), True
    for line in reply.splitlines():
        if line.startswith("# "):
            current = not line.startswith("# old")
        elif told := _PROCESS.match(line):
            process = _process(told)
            if told["kind"] == "master":
                master = process
            else:
                found[0 if current else 1].append(process)
    if master is None:
        raise RuntimeApiError(f"`show proc` answered no list of processes: {reply[:200]!r}")
    return Processes(master, tuple(found[0]), tuple(found[1]))


def probe_binds(addresses: Iterable[tuple[str, int]]) -> list[BusyBind]:
    """Those of the *new* (host, port) that HAProxy could not bind; `*` and the empty host mean all of IPv4.

    A port that a foreign process owns makes a reload fail after 2 s, in which the running worker refuses
    every new connection, and `haproxy -c` does not notice (HAPROXY.md F4). The probe binds and closes: it
    never listens, so it takes no connection. Host names are passed over: only HAProxy knows what they will
    mean to it.
    """
    return [
        BusyBind(host, port, reason)
        for host, port in addresses
        if (reason := _why_not_bindable(host, port)) is not None
    ]


def _why_not_bindable(host: str, port: int) -> str | None:
    try:
        address = ipaddress.ip_address("0.0.0.0" if host in {"", "*"} else host)  # noqa: S104 - what `*` means
    except ValueError:
        return None
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6) as probe:
        # Like HAProxy: connections of a former owner in TIME_WAIT are no obstacle. Unlike it, SO_REUSEPORT is
        # not set: a second HAProxy of the same user would share the port's connections, silently.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address.version == 6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((str(address), port))
        except OSError as reason:
            hint = "; ports below 1024 need a privilege" if reason.errno == errno.EACCES else ""
            return f"{reason.strerror}{hint}"
    return None


def _process(told: re.Match[str]) -> Process:
    days, hours, minutes, seconds = (int(told[unit]) for unit in ("days", "hours", "minutes", "seconds"))
    return Process(
        pid=int(told["pid"]),
        reloads=int(told["reloads"]),
        uptime_s=((days * 24 + hours) * 60 + minutes) * 60 + seconds,
        failed_reloads=int(told["failed"] or 0),
    )
