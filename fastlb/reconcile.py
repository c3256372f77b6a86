"""The loop: wait, settle, fetch, decide, and have it brought about.

    inbox --mark--> (quiet time) --fetch--> store --decide--> document --rollout--> HAProxy

One thread runs all of it. Events only mark that Marathon has to be asked again; what a fetch answers is the truth. Only
that a task is being ended is believed at once, since nothing is lost if it was not: what Marathon answers brings its
servers back.
"""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import dataclass, field
from math import inf
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING

from fastlb import garbage
from fastlb.board import Board
from fastlb.census import take_census
from fastlb.crash_loop import CrashLoop
from fastlb.errors import ExitCode, UsageError
from fastlb.events import EventArrived, StreamLost, StreamOpened
from fastlb.fetching import listed
from fastlb.history import History
from fastlb.inbox import AppsFailed, AppsFetched, Fetched, FetcherBroke, FetchFailed, LinkEnded, Signalled
from fastlb.marks import Reading
from fastlb.mirroring import Mirroring
from fastlb.policy_file import read_policy
from fastlb.questions import Asked, Known
from fastlb.reporter import Reporter
from fastlb.supervisor_link import BEAT_EVERY_S, HAProxyExited, HAProxyStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from fastlb.decision import Decider
    from fastlb.fetching import Fetcher
    from fastlb.inbox import Inbox, Message
    from fastlb.journal import Journal
    from fastlb.resolver import Resolver
    from fastlb.rollout import Rollout
    from fastlb.settings import Settings
    from fastlb.store import Taken

log = logging.getLogger(__name__)

FIRST_READ_WITHIN_S = 5.0
"""Marathon is read after so long even if the event stream cannot be opened."""

FIRST_RETRY_S = 1.0
SHOWN_APPS = 20
SLOW_ANSWER_S = 5.0
"""An answer that takes longer is slow; whoever looks for the reason of late changes shall find it in the log."""
GARBAGE_AFTER_S = 10.0
"""So long after a full read what it leads to is done, and nobody waits."""


@dataclass(slots=True)
class Hands:
    """The hands that the loop uses; ``beat`` shows the supervisor, if there is one, that the loop goes round."""

    fetcher: Fetcher
    resolver: Resolver
    journal: Journal
    history: History = field(default_factory=History)
    board: Board = field(default_factory=Board)
    beat: Callable[[], None] | None = None


class Reconciler:
    """Brings HAProxy to what Marathon says, until it is told to stop."""

    def __init__(self, settings: Settings, decider: Decider, rollout: Rollout, hands: Hands, inbox: Inbox) -> None:
        self._settings = settings
        self._decider = decider
        self._hands = hands
        self._board = hands.board
        self._inbox = inbox
        self._rollout = rollout
        self._mirroring = Mirroring(settings.settle_s, settings.settle_max_s)
        self._reporter = Reporter(hands.journal, hands.history)
        self._crash_loop = CrashLoop(decider.quarantine)
        self._heard: list[Message] = []
        """What arrived while HAProxy was waited for."""
        rollout.waiting.hear = self._hear
        self._exit: ExitCode | None = None
        self._reconcile_due_s = inf
        self._garbage_due_s = inf
        self._resync_due_s = monotonic() + (FIRST_READ_WITHIN_S if settings.follow_events else 0.0)
        self._marked_at_s: float | None = None
        self._resyncing = False
        self._unread: dict[str, str] = {}
        self._slow = False

    def run(self) -> ExitCode:
        """Run until a signal, or until the one pass is done; return how the process shall end."""
        while self._exit is None:
            messages = self._take()
            self._board.busy_since_s = monotonic()
            self._stop_what_ends(messages)
            for message in messages:
                self._handle(message)
            self._run_timers()
            if self._rollout.is_done and self._reconcile_due_s == inf:
                self._board.agreed_s = self._board.read_s
            self._board.busy_since_s = None
        self._rollout.finish()
        return self._exit

    def _take(self) -> list[Message]:
        """Wait for a message or the next timer, and return all that has arrived."""
        self._beat()
        due_s = min(self._mirroring.due_s(single=self._decider.store.complete), self._resync_due_s)
        due_s = min(due_s, self._reconcile_due_s, self._garbage_due_s, self._rollout.due_s)
        due_s = min(due_s, monotonic() + BEAT_EVERY_S) if self._hands.beat else due_s
        messages, self._heard = self._heard, []
        return messages + self._arrived(0.0 if messages else max(0.0, due_s - monotonic()))

    def _hear(self, within_s: float) -> None:
        """While HAProxy is waited for: have tasks stopped that end; all else that arrives has to wait.

        Each such wait has a limit of its own, so that a long row of them, a search for bad apps, is no hang.
        """
        self._beat()
        messages = self._arrived(within_s)
        self._stop_what_ends(messages)
        self._heard += messages

    def _beat(self) -> None:
        if self._hands.beat:
            self._hands.beat()

    def _arrived(self, within_s: float) -> list[Message]:
        messages: list[Message] = []
        try:
            messages.append(self._inbox.get(timeout=within_s))
            while True:
                messages.append(self._inbox.get_nowait())
        except Empty:
            return messages

    def _run_timers(self) -> None:
        now_s = monotonic()
        if now_s >= self._garbage_due_s:
            self._garbage_due_s = inf
            garbage.look()
        if now_s >= self._resync_due_s:
            self._resync(repairs=self._settings.follow_events and self._decider.store.complete)
        if reading := self._mirroring.take(now_s, single=self._decider.store.complete):
            self._hands.fetcher.fetch(reading)
        if now_s >= self._reconcile_due_s:
            self._reconcile_due_s = inf
            self._reconcile()
        if monotonic() >= self._rollout.due_s and self._rollout.run_due():
            self._say()

    def _stop_what_ends(self, messages: Iterable[Message]) -> None:
        """Take the servers of all tasks that are being ended out together, before anything else that has arrived."""
        ending: dict[str, set[str]] = {}
        for mark in (message.mark for message in messages if isinstance(message, EventArrived)):
            for app_id in mark.app_ids if mark.ending else ():
                ending.setdefault(app_id, set()).update(mark.ending)
        if ending:
            self._rollout.stop_tasks(ending)

    def _handle(self, message: Message) -> None:
        match message:
            case EventArrived():
                self._on_event(message)
            case StreamOpened():
                log.info("event stream of %s is open; everything is read again", message.url)
                self._hands.journal.write("stream_opened", url=message.url)
                self._resync()
            case StreamLost():
                log.warning("event stream lost: %s; next attempt in %.1f s", message.reason, message.retry_in_s)
                self._hands.journal.write("stream_lost", reason=message.reason)
            case Fetched():
                self._on_fetched(message)
            case AppsFetched():
                self._on_apps_fetched(message)
            case AppsFailed():
                self._on_apps_failed(message)
            case FetchFailed():
                self._on_fetch_failed(message)
            case Signalled():
                self._on_signal(message.number)
            case HAProxyStarted() | HAProxyExited():
                self._on_haproxy(message)
            case Asked():
                message.respond(Known(self._decider, self._rollout.running, self._hands.history))
            case LinkEnded() | FetcherBroke():
                gone = "the supervisor is gone" if isinstance(message, LinkEnded) else "Marathon is read no longer"
                log.error("%s; the controller ends, HAProxy goes on serving", gone)
                self._exit = ExitCode.FAILED

    def _on_event(self, message: EventArrived) -> None:
        mark, at_s = message.mark, message.at_monotonic_s
        self._board.event_s = at_s
        if self._mirroring.note(mark, at_s, self._decider.cannot_matter):
            self._hands.journal.write("event", event=mark.kind, apps=mark.app_ids, queued_s=monotonic() - at_s)

    def _on_haproxy(self, message: HAProxyStarted | HAProxyExited) -> None:
        if isinstance(message, HAProxyStarted):
            self._board.haproxy_gone = ""
            self._hands.journal.write("haproxy_started", pid=message.pid)
            self._rollout.haproxy_started()
        else:
            log.error("%s; it is started again on the files on disk", message.said)
            self._board.haproxy_gone = message.said
            self._hands.journal.write("haproxy_exited", pid=message.pid, said=message.said)
            self._rollout.haproxy_exited()
            if said := self._crash_loop.ended(monotonic(), self._decider.store.apps):
                log.error("%s", said)
                if self._decider.store.complete:
                    self._reconcile_soon(None)

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            log.info("SIGHUP: everything is read, rendered and tried again")
            self._decider.store.release()
            self._decider.quarantine.release_all(harmful=True)
            self._read_policy()
            self._resync()
        elif number == signal.SIGUSR1:
            log.info("SIGUSR1: HAProxy loads the files on disk again")
            self._rollout.reload_files()
        else:
            log.info("signal %d: the controller ends", number)
            self._exit = ExitCode.OK

    def _read_policy(self) -> None:
        """Go by the policy file as it is now; if it cannot be used, the one before stays."""
        try:
            policy = read_policy(self._settings.policy)
        except UsageError as error:
            self._board.policy_failure = str(error)
            log.error("%s; the policy of before stays in force", error)
            self._hands.journal.write("policy_refused", reason=str(error))
            return
        self._board.policy_failure = ""
        if policy != self._decider.rules.policy:
            log.info("the policy has changed; every app is decided about again")
            self._hands.journal.write("policy_changed")
            self._decider.use_policy(policy)
            self._reconcile_soon(None)

    def _resync(self, *, repairs: bool = False) -> None:
        """Have everything read now.

        What was refused gets another chance once the answer is there, since files that it needs may have come.
        ``repairs``: what it finds changed is what events have missed.
        """
        pause_s = self._settings.resync_interval_s if self._settings.follow_events else self._settings.poll_interval_s
        self._resync_due_s = monotonic() + max(pause_s, FIRST_RETRY_S)
        self._resyncing = True
        self._mirroring.resync(monotonic(), repairs=repairs)

    def _on_fetch_failed(self, message: FetchFailed) -> None:
        self._mirroring.failed(message.reading, monotonic())
        if self._board.fetch_failure != message.reason:
            log.error("Marathon cannot be read: %s; what HAProxy serves stays as it is", message.reason)
        self._board.fetch_failure = message.reason
        self._hands.journal.write("fetch_failed", reason=message.reason)
        if self._settings.once:
            self._exit = ExitCode.FAILED

    def _on_apps_failed(self, message: AppsFailed) -> None:
        self._mirroring.failed(Reading(app_ids=frozenset(message.reasons)), monotonic())
        new = {app_id: reason for app_id, reason in message.reasons.items() if self._unread.get(app_id) != reason}
        if new:
            log.error("some apps cannot be read: %s; what HAProxy serves of them stays as it is", listed(new))
        self._unread |= new
        self._hands.journal.write("fetch_failed", reason=listed(message.reasons))

    def _on_apps_fetched(self, message: AppsFetched) -> None:
        self._can_be_read(message.answers.keys())
        taken = self._decider.store.take_apps(message.answers, monotonic())
        self._rollout.stopping.answered(monotonic() - message.seconds, message.answers)
        self._board.read_s = monotonic()
        self._record_fetch(taken.changed, message, sorted(message.answers))
        self._mirroring.answered(message.answers, monotonic(), self._decider.cannot_matter)
        self._on_kept(taken)
        if taken.order_unknown:
            self._mirroring.want_everything(monotonic(), message.marked_at_s)
        elif taken.changed or self._decider.store.notes or self._rollout.running.stopped:
            self._reconcile_soon(message.marked_at_s)

    def _on_fetched(self, message: Fetched) -> None:
        if self._board.fetch_failure:
            log.info("Marathon can be read again")
            self._board.fetch_failure = ""
        self._can_be_read(self._unread.keys())
        taken = self._decider.store.take(message.documents, monotonic())
        self._rollout.stopping.answered(monotonic() - message.seconds)
        self._record_fetch(taken.changed, message, "everything")
        missed = self._mirroring.answered_everything(taken.changed, monotonic(), self._decider.cannot_matter)
        if taken.held_back_s is not None:
            log.error(
                "Marathon answers that there are no apps at all; not believed for %.0f s more, HAProxy keeps its "
                "routes (--empty-grace)",
                taken.held_back_s,
            )
            self._mirroring.want_everything(monotonic() + min(taken.held_back_s, FIRST_READ_WITHIN_S))
            return
        self._board.read_s = monotonic()
        self._crash_loop.settle(monotonic())
        if self._resyncing:
            self._resyncing = False
            self._decider.quarantine.release_all()
        self._on_kept(taken)
        if missed:
            self._report_repair(missed)
        self._garbage_due_s = monotonic() + GARBAGE_AFTER_S
        self._reconcile_soon(message.marked_at_s)

    def _on_kept(self, taken: Taken) -> None:
        """Say what is kept although Marathon names it no more, and have it looked at again before it is given up."""
        kept, before = sorted(self._decider.store.kept), self._board.kept_apps
        self._board.kept_apps = len(kept)
        if taken.kept_s is not None:
            self._mirroring.want_everything(monotonic() + min(taken.kept_s, FIRST_READ_WITHIN_S))
        if kept and not before:
            some = ", ".join(kept[:SHOWN_APPS])
            log.error(
                "too much is missing at once in what Marathon answers: %d app(s), or tasks of them, are kept for "
                "%.0f s more, or until SIGHUP (--shrink-share, --shrink-grace): %s",
                len(kept),
                taken.kept_s or 0.0,
                some,
            )
            self._hands.journal.write("kept", apps=kept[:SHOWN_APPS], count=len(kept))
        elif before and not kept:
            log.warning("nothing that Marathon does not name is kept any more")
            self._hands.journal.write("kept_no_more")

    def _can_be_read(self, app_ids: Iterable[str]) -> None:
        for app_id in sorted(self._unread.keys() & app_ids):
            log.info("app %s can be read again", app_id)
            del self._unread[app_id]

    def _reconcile_soon(self, marked_at_s: float | None) -> None:
        """Reconcile when all that has arrived is known; ``marked_at_s`` is when what led to it arrived."""
        waiting_s = None if self._reconcile_due_s == inf else self._marked_at_s
        self._marked_at_s = min((time_s for time_s in (waiting_s, marked_at_s) if time_s is not None), default=None)
        self._reconcile_due_s = monotonic()

    def _record_fetch(self, changed: Iterable[str], message: Fetched | AppsFetched, asked: str | list[str]) -> None:
        marked_at_s = message.marked_at_s
        self._say_if_slow(message.seconds)
        self._hands.journal.write(
            "fetched",
            asked=asked,
            apps=self._decider.store.count,
            changed=sorted(changed)[:SHOWN_APPS],
            seconds=message.seconds,
            received_bytes=message.received_bytes,
            settled_s=None if marked_at_s is None else max(0.0, monotonic() - message.seconds - marked_at_s),
        )

    def _say_if_slow(self, seconds: float) -> None:
        """Say once that Marathon is slow, and when it no longer is."""
        if seconds > SLOW_ANSWER_S and not self._slow:
            log.warning("Marathon took %.1f s to answer; changes are served so much later", seconds)
        elif seconds <= SLOW_ANSWER_S and self._slow:
            log.info("Marathon answers within %g s again", SLOW_ANSWER_S)
        self._slow = seconds > SLOW_ANSWER_S

    def _report_repair(self, changed: frozenset[str]) -> None:
        """Say that the periodic reading found what no event had told of."""
        some = ", ".join(sorted(changed)[:SHOWN_APPS])
        log.warning("the periodic reading found %d changed app(s) that no event told of: %s", len(changed), some)
        self._hands.journal.write("repaired", apps=sorted(changed)[:SHOWN_APPS])

    def _reconcile(self) -> None:
        """Bring HAProxy to what the store says."""
        names = self._decider.names_to_resolve()
        if names:
            self._decider.learn_addresses(self._hands.resolver.addresses(names))
        document = self._decider.decide()
        if self._settings.dry:
            sys.stdout.write(f"{document.rendering().config}\n")
            self._exit = ExitCode.OK
            return
        self._rollout.bring_about(document, self._marked_at_s, at_once=self._settings.once)
        if self._rollout.is_done or self._settings.once:
            self._say()
        if self._settings.once:
            self._exit = ExitCode.OK

    def _say(self) -> None:
        """Say what is new about apps; not while a trial is waited for, which may change it."""
        self._board.census = take_census(self._decider)
        self._reporter.say(self._decider.notes, self._decider.quarantine.refused, self._decider.warning)
