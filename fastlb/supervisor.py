"""The process that starts, watches and reaps the controller and HAProxy, and does nothing else.

It must not know Marathon, labels or what is in a configuration: whatever may fail often lives in the
controller, and this process has to outlive that. One thread, one loop: signals, the controller's questions
and what HAProxy says come in through one selector; then children are reaped, started again, or ended, each at
its time.

Only `_reap` waits for children, and it hands the status to `Child`: on CPython 3.11 a `Popen.wait` whose
child was reaped by somebody else reads as success.

HAProxy is not tied to the life of the supervisor. If this one is killed, HAProxy keeps serving; the next
start knows it by the process file, starts a new one to which the old one hands its listeners, and ends the old
one softly as soon as the new one serves.

Workers do not outlive their master: a worker that crashes takes it along, and when it is killed all workers
end within milliseconds (2.6 to 3.4). So HAProxy is started again as a whole, and a worker that hangs and is
still there, holding ports, has become our child and is killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import selectors
import signal
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import psutil

from fastlb.children import (
    Child,
    Leftover,
    become_subreaper,
    describe,
    find_leftovers,
    find_orphans,
    make_expendable,
    tie_to,
)
from fastlb.claim import claimed
from fastlb.controller_link import LINK_FD, ControllerLink
from fastlb.errors import ExitCode, HAProxyError, PublishError, RuntimeApiError
from fastlb.files import publish, read_text
from fastlb.haproxy import environment_for_haproxy
from fastlb.haproxy_words import HAProxyWords
from fastlb.heartbeat import Silence
from fastlb.loaded import LoadedFiles, drop_stale_state
from fastlb.log_socket import log_socket
from fastlb.runtime_api import RuntimeApi
from fastlb.signals import signals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

MASTER_SOCKET = "master.sock"
RUNTIME_SOCKET = "socket"
PROCESS_FILE = "haproxy.pids"

TICK_S = 0.05
IDLE_S = 10.0
PROBE_WITHIN_S = 0.2
CONTROLLER_GRACE_S = 5.0
#: Between SIGTERM and SIGKILL to HAProxy.
INSIST_S = 5.0
STRAGGLERS_WITHIN_S = 5.0
TAIL_LINES = 100
LOOKS_PER_LIMIT = 4
"""How often a silence is looked at before it is too long."""

#: Out of memory, the kernel ends the controller first (then old workers): traffic does not notice.
CONTROLLER_SCORE = 600

#: A hung controller first writes to standard error where it hangs.
_UNHANG = ((0, signal.SIGUSR2), (1.0, signal.SIGKILL))
#: A worker without a master has had this long to notice.
_ORPHANED = ((1.0, signal.SIGKILL),)
#: How HAProxy ends when somebody kills it, or its worker, of whose end the master makes its own status.
_KILLED = {end for signal_ in (signal.SIGKILL, signal.SIGTERM) for end in (-signal_, 128 + signal_)}
_HARD_STOP = ((0, signal.SIGTERM), (INSIST_S, signal.SIGKILL))
_WATCHED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD)


@dataclass(frozen=True, slots=True)
class Orders:
    """What to run: HAProxy's program and configuration, and the controller's argument list.

    `run_dir` is ours alone; the master's socket and the process file live there. `maps` are the files that the
    configuration names, `server_state` the one with what HAProxy knew of its servers. `environment` is for the
    controller alone. `stop_grace_s` is how long HAProxy may finish what it holds when it is stopped; a controller
    that has been silent for `controller_timeout_s` hangs (0: never). What HAProxy logs to `log_socket` is printed.
    """

    haproxy: Path
    config: Path
    run_dir: Path
    maps: tuple[Path, ...]
    server_state: Path
    controller: tuple[str, ...]
    environment: Mapping[str, str]
    stop_grace_s: float
    controller_timeout_s: float
    log_socket: Path | None = None


def run(orders: Orders) -> ExitCode:
    """Supervise until SIGTERM or SIGINT, then end everything.

    Raises HAProxyError if `run_dir` cannot be used, or another one uses it or the files.
    """
    with _claim(orders.run_dir), claimed(orders.config.parent), selectors.DefaultSelector() as selector:
        become_subreaper()
        return Supervisor(orders, selector).run()


def _claim(run_dir: Path) -> IO[str]:
    """The lock on `run_dir`: held while the file is open, given up by the kernel whatever becomes of us."""
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        # Not for writing: a disk on which something is open for writing cannot be made read-only.
        lock = os.fdopen(os.open(run_dir / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    except OSError as reason:
        raise HAProxyError(f"{run_dir} cannot be used: {reason.strerror}; fastlb does not start") from reason
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as reason:
        lock.close()
        raise HAProxyError(f"another fastlb runs in {run_dir}; this one does not start") from reason
    return lock


class Supervisor:
    """The loop and its state; see the module."""

    def __init__(self, orders: Orders, selector: selectors.BaseSelector) -> None:
        self._orders = orders
        self._selector = selector
        self._socket_path = orders.run_dir / MASTER_SOCKET
        self._listen_on = f"{self._socket_path},mode,600"
        self._controller = Child("the controller")
        self._haproxy = Child("HAProxy")
        self._leftovers: list[Leftover] = []
        self._files = LoadedFiles(orders.run_dir, (*orders.maps, orders.config))
        self._link = ControllerLink(selector, self._on_message)
        self._silence = Silence(orders.controller_timeout_s)
        self._waiting: dict[int, bool] = {}
        self._serving = False
        self._stopping = False
        self._said = HAProxyWords(selector)

    def run(self) -> ExitCode:
        """The loop; returns when nothing of ours runs any more."""
        printing = log_socket(self._selector, self._orders.log_socket)
        with signals(self._selector, _WATCHED, self._take_signals), printing:
            self._boot()
            while self._has_work():
                for key, _ in self._selector.select(self._pause_s()):
                    key.data()
                self._reap()
                self._start_who_is_due()
                self._see_whether_haproxy_serves()
                self._see_whether_the_controller_lives()
                self._end_who_is_ending()
                self._said.sum_up()
            self._end_stragglers()
            self._link.drop()
            self._remove_traces()
        return ExitCode.OK

    def _boot(self) -> None:
        described = read_text(self._orders.run_dir / PROCESS_FILE)
        self._leftovers = find_leftovers(described, self._listen_on)
        for leftover in self._leftovers:
            log.warning("HAProxy %d of a former run still serves; a new one will take over", leftover.pid)
        self._controller.due = time.monotonic()
        # Without one, the ports that the former HAProxy still has would look like somebody else's.
        if self._leftovers and not read_text(self._orders.config) and self._files.put_back():
            log.warning("%s is gone; the last files that HAProxy served are back", self._orders.config)
        if self._orders.config.is_file() and self._orders.config.stat().st_size > 0:
            log.info("%s is there from a former run; HAProxy serves it at once", self._orders.config)
            self._haproxy.due = time.monotonic()

    def _has_work(self) -> bool:
        alive = self._controller.process or self._haproxy.process or self._leftovers
        return not self._stopping or bool(alive)

    def _pause_s(self) -> float:
        """Short as long as something has to happen at its time; what is reported wakes us in any case."""
        due = self._controller.due is not None or self._haproxy.due is not None
        starting = self._haproxy.process is not None and not self._serving
        if due or starting or self._stopping or self._leftovers or self._controller.ending:
            return TICK_S
        return min(IDLE_S, self._silence.limit_s / LOOKS_PER_LIMIT or IDLE_S)

    # Signals

    def _take_signals(self, numbers: bytes) -> None:
        for signum in numbers:
            if signum in {signal.SIGTERM, signal.SIGINT}:
                self._hurry() if self._stopping else self._stop()
            elif signum in {signal.SIGHUP, signal.SIGUSR1}:
                self._controller.send(signum)

    def _stop(self) -> None:
        log.info("stopping: the controller first, then HAProxy, which may take %g s", self._orders.stop_grace_s)
        self._stopping = True
        self._answer_waiting(ok=False, said="fastlb is being stopped")
        self._controller.end((0, signal.SIGTERM), (CONTROLLER_GRACE_S, signal.SIGKILL))

    def _hurry(self) -> None:
        log.info("asked again to stop: hurrying")
        for one in self._everybody():
            if one.ending is not None:
                one.ending.step(hurry=True)

    def _everybody(self) -> tuple[Child | Leftover, ...]:
        return (self._controller, self._haproxy, *self._leftovers)

    # Children

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (reaped := os.waitpid(-1, os.WNOHANG))[0] != 0:
                pid, code = reaped[0], os.waitstatus_to_exitcode(reaped[1])
                if pid == self._haproxy.pid:
                    self._haproxy_ended(code)
                elif pid == self._controller.pid:
                    self._controller.ended(code, again=not self._stopping)
                    self._link.drop()
                    self._waiting.clear()
                    self._silence.forget()
                else:
                    log.debug("reaped orphan %d, status %d", pid, code)

    def _start_who_is_due(self) -> None:
        if self._stopping:
            return
        if self._controller.is_due():
            self._start_controller()
        if self._haproxy.is_due():
            self._start_haproxy()

    def _start_controller(self) -> None:
        try:
            theirs = self._link.open()
        except OSError as reason:
            self._controller.not_started(reason)
            return
        with theirs:
            environment = {**os.environ, **self._orders.environment, LINK_FD: str(theirs.fileno())}
            self._controller.start(
                self._orders.controller,
                environment=environment,
                keep_fds=(theirs.fileno(),),
                in_child=tie_to(os.getpid()),
            )
        if self._controller.pid is not None:
            make_expendable(self._controller.pid, CONTROLLER_SCORE)

    def _start_haproxy(self) -> None:
        with contextlib.suppress(OSError):  # no descriptor left: the start itself will say so
            for stale in self._orders.run_dir.glob(f"{MASTER_SOCKET}*"):
                stale.unlink(missing_ok=True)
        drop_stale_state(self._orders.server_state)
        self._serving = False
        stamps = self._files.stamps()
        environment = environment_for_haproxy(os.environ)
        if not self._haproxy.start(
            self._command(), environment=environment, piped=True, in_child=self._remember_this_one
        ):
            self._answer_waiting(ok=False, said=f"{self._orders.haproxy} could not be started")
            return
        assert self._haproxy.process is not None
        self._said.follow(self._haproxy.process)
        self._files.mark(self._haproxy.process.pid, 0, stamps)

    def _command(self) -> tuple[str | Path, ...]:
        """HAProxy's; of one that still serves it takes the listeners, with the connections that wait there."""
        # -db: a `daemon` in the configuration would have the master leave our sight.
        command = (self._orders.haproxy, "-W", "-db", "-S", self._listen_on, "-f", self._orders.config)
        serves = any(leftover.ending is None for leftover in self._leftovers)
        return (*command, "-x", self._orders.run_dir / RUNTIME_SOCKET) if serves else command

    def _remember_this_one(self) -> None:
        """Write down which HAProxies are ours, for the start after a `kill -9`.

        The new one does it itself, before it is HAProxy: so there is none of which nobody will know.
        """
        try:
            pids = [os.getpid(), *(leftover.pid for leftover in self._leftovers)]
            publish(self._orders.run_dir / PROCESS_FILE, describe(pids))
        except PublishError as reason:
            log.error("%s; after a kill -9 the next start would not know HAProxy again", reason)

    def _haproxy_ended(self, code: int) -> None:
        assert self._haproxy.process is not None
        self._said.finish()
        pid, said = self._haproxy.pid, self._haproxy.ended(code, again=not self._stopping)
        tail = "\n".join(self._said.tail.splitlines()[-TAIL_LINES:])
        if not self._serving and not self._stopping and self._files.put_back():
            log.error("HAProxy does not start on %s; the last files that it served are back", self._orders.config)
            self._haproxy.due = time.monotonic()
        self._serving = False
        self._kill_orphans()
        self._answer_waiting(ok=False, said=f"{said}\n{tail}")
        self._link.tell({"event": "exited", "pid": pid, "said": said, "log": tail, "killed": code in _KILLED})

    def _kill_orphans(self) -> None:
        for orphan in find_orphans(self._listen_on):
            orphan.end(*_ORPHANED)
            self._leftovers.append(orphan)

    def _see_whether_haproxy_serves(self) -> None:
        """Ask the worker itself, through the master: from 3.1 on the master answers before there is a
        worker."""
        if self._serving or self._haproxy.process is None or self._stopping:
            return
        try:
            self._serving = "Pid" in RuntimeApi(self._socket_path, PROBE_WITHIN_S).ask("@1 show info")
        except RuntimeApiError:
            return
        if self._serving:
            log.info("HAProxy %d serves", self._haproxy.process.pid)
            self._answer_waiting(ok=True, said="HAProxy serves")
            self._link.tell({"event": "started", "pid": self._haproxy.process.pid})
            self._end_leftovers()

    def _see_whether_the_controller_lives(self) -> None:
        if self._controller.ending is None and self._silence.is_too_long(time.monotonic()):
            log.error("the controller has been silent for more than %g s; it is killed", self._silence.limit_s)
            self._controller.end(*_UNHANG)

    def _end_leftovers(self) -> None:
        for leftover in self._leftovers:
            leftover.end(*self._soft_stop)

    @property
    def _soft_stop(self) -> tuple[tuple[float, int], ...]:
        return (0, signal.SIGUSR1), (self._orders.stop_grace_s, signal.SIGTERM), (INSIST_S, signal.SIGKILL)

    def _end_who_is_ending(self) -> None:
        if self._stopping and self._controller.process is None:
            # A worker that has only just started may lose a SIGUSR1; it holds nothing yet that it could finish.
            self._haproxy.end(*(self._soft_stop if self._serving else _HARD_STOP))
            self._end_leftovers()
        self._leftovers = [leftover for leftover in self._leftovers if leftover.is_alive()]
        for one in self._everybody():
            if one.ending is not None:
                one.ending.step()

    def _end_stragglers(self) -> None:
        """Whoever was orphaned inside our tree and is still there when everything else is gone."""
        deadline = time.monotonic() + STRAGGLERS_WITHIN_S
        self._reap()
        while (stragglers := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
            for straggler in stragglers:
                log.warning("killing process %d, which outlived HAProxy", straggler.pid)
                with contextlib.suppress(psutil.NoSuchProcess):
                    straggler.kill()
            time.sleep(TICK_S)
            self._reap()

    def _remove_traces(self) -> None:
        """Nothing of ours runs any more, so nobody needs the sockets, nor the list of processes."""
        for path in self._orders.run_dir.iterdir():
            if path.is_socket() or path.name == PROCESS_FILE:
                path.unlink(missing_ok=True)

    # The link

    def _on_message(self, message: object) -> None:
        match message:
            case {"ask": "start_haproxy", "id": int(number)}:
                self._asked_to_start(number)
            case {"beat": True}:
                self._silence.beat(time.monotonic())
            case _:
                log.error("the controller sent %.200r, which means nothing here; ignored", message)

    def _asked_to_start(self, number: int) -> None:
        self._waiting[number] = self._haproxy.process is not None
        if self._stopping:
            self._answer_waiting(ok=False, said="fastlb is being stopped")
        elif self._serving:
            self._answer_waiting(ok=True, said="HAProxy serves")
        elif self._haproxy.process is None:
            self._haproxy.due = time.monotonic()

    def _answer_waiting(self, *, ok: bool, said: str) -> None:
        for number, was_running in self._waiting.items():
            self._link.tell({"id": number, "ok": ok, "pid": self._haproxy.pid, "log": said, "was_running": was_running})
        self._waiting.clear()
