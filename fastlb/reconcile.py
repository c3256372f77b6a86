"""The loop: wait, settle, fetch, decide, try, apply, remember, retry.

    inbox --mark--> (quiet time) --fetch--> store --decide--> rendering --compare--> plan --try, apply--> applied

One thread runs all of it. Events only mark that Marathon has to be asked again; what a fetch answers is the truth.
`applied` moves when HAProxy has confirmed, and is unknown after any doubt; a failure is tried again with growing
pauses, whether or not anything changes meanwhile.
"""

from __future__ import annotations

import logging
import signal
import sys
from dataclasses import dataclass
from queue import Empty
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.acceptance import find_acceptable
from fastlb.diff import Plan, compare
from fastlb.errors import ExitCode, HAProxyError, PublishError
from fastlb.events import EventArrived, StreamLost, StreamOpened
from fastlb.fetching import listed
from fastlb.inbox import AppsFailed, AppsFetched, Fetched, FetchFailed, LinkEnded, Signalled
from fastlb.marks import Reading
from fastlb.mirroring import Mirroring
from fastlb.supervisor_link import HAProxyExited, HAProxyStarted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastlb.acceptance import Acceptance
    from fastlb.apply import Applier
    from fastlb.decision import Decider
    from fastlb.document import Document
    from fastlb.fetching import Fetcher
    from fastlb.inbox import Inbox, Message
    from fastlb.journal import Journal
    from fastlb.model import Note
    from fastlb.render import Rendering
    from fastlb.resolver import Resolver
    from fastlb.settings import Settings
    from fastlb.trial import Trial

log = logging.getLogger(__name__)

FIRST_READ_WITHIN_S = 5.0
"""Marathon is read after so long even if the event stream cannot be opened."""

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
MOST_BUSY_PORT_ROUNDS = 3
SHOWN_APPS = 20


@dataclass(slots=True)
class Hands:
    """The hands that the loop uses."""

    fetcher: Fetcher
    resolver: Resolver
    trial: Trial
    applier: Applier
    journal: Journal


class Reconciler:
    """Brings HAProxy to what Marathon says, until it is told to stop."""

    def __init__(self, settings: Settings, decider: Decider, hands: Hands, inbox: Inbox) -> None:
        self._settings = settings
        self._decider = decider
        self._hands = hands
        self._inbox = inbox
        self._applied: Document | None = None
        self._mirroring = Mirroring(settings.settle_s, settings.settle_max_s)
        self._notes: frozenset[Note] = frozenset()
        self._warning: str | None = None
        self._refused: dict[str, str] = {}
        self._exit: ExitCode | None = None
        self._retry_due_s: float | None = None
        self._retry_pause_s = FIRST_RETRY_S
        self._resync_due_s = monotonic() + (FIRST_READ_WITHIN_S if settings.follow_events else 0.0)
        self._marked_at_s: float | None = None
        self._fetch_failure = ""
        self._unread: dict[str, str] = {}

    def run(self) -> ExitCode:
        """Run until a signal, or until the one pass is done; return how the process shall end."""
        while self._exit is None:
            for message in self._take():
                self._handle(message)
            self._run_timers()
        return self._exit

    def _take(self) -> list[Message]:
        """Wait for a message or the next timer, and return all that has arrived."""
        due_s = min(self._mirroring.due_s(single=self._decider.store.complete), self._resync_due_s)
        if self._retry_due_s is not None:
            due_s = min(due_s, self._retry_due_s)
        messages: list[Message] = []
        try:
            messages.append(self._inbox.get(timeout=max(0.0, due_s - monotonic())))
            while True:
                messages.append(self._inbox.get_nowait())
        except Empty:
            return messages

    def _run_timers(self) -> None:
        now_s = monotonic()
        if now_s >= self._resync_due_s:
            self._resync(repairs=self._settings.follow_events and self._decider.store.complete)
        if reading := self._mirroring.take(now_s, single=self._decider.store.complete):
            self._hands.fetcher.fetch(reading)
        if self._retry_due_s is not None and now_s >= self._retry_due_s:
            self._retry_due_s = None
            self._reconcile()

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
            case HAProxyStarted():
                self._hands.journal.write("haproxy_started", pid=message.pid)
            case HAProxyExited():
                log.error("%s; it is started again on the files on disk", message.said)
                self._hands.journal.write("haproxy_exited", pid=message.pid, said=message.said)
            case LinkEnded():
                log.error("the supervisor is gone; the controller ends, HAProxy goes on serving")
                self._exit = ExitCode.FAILED

    def _on_event(self, message: EventArrived) -> None:
        mark = message.mark
        if self._mirroring.note(mark, message.at_monotonic_s, self._decider.cannot_matter):
            self._hands.journal.write("event", event=mark.kind, apps=mark.app_ids)

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            log.info("SIGHUP: everything is read, rendered and tried again")
            self._resync()
        elif number == signal.SIGUSR1:
            log.info("SIGUSR1: HAProxy loads the files on disk again")
            outcome = self._hands.applier.reload()
            self._hands.journal.write("reload", ok=outcome.ok, seconds=outcome.seconds, reasons=["SIGUSR1"])
            if not outcome.ok:
                log.error("HAProxy could not load the files on disk: %s", outcome.log)
        else:
            log.info("signal %d: the controller ends", number)
            self._exit = ExitCode.OK

    def _resync(self, *, repairs: bool = False) -> None:
        """Have everything read now; what was refused gets another chance, since files it needs may have come.

        ``repairs``: what it finds changed is what events have missed.
        """
        pause_s = self._settings.resync_interval_s if self._settings.follow_events else self._settings.poll_interval_s
        self._resync_due_s = monotonic() + max(pause_s, FIRST_RETRY_S)
        self._decider.quarantine.release_all()
        self._mirroring.resync(monotonic(), repairs=repairs)

    def _on_fetch_failed(self, message: FetchFailed) -> None:
        self._mirroring.failed(message.reading, monotonic())
        if self._fetch_failure != message.reason:
            log.error("Marathon cannot be read: %s; what HAProxy serves stays as it is", message.reason)
        self._fetch_failure = message.reason
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
        taken = self._decider.store.take_apps(message.answers)
        self._record_fetch(taken.changed, message, sorted(message.answers))
        self._mirroring.answered(message.answers, monotonic(), self._decider.cannot_matter)
        if taken.order_unknown:
            self._mirroring.want_everything(monotonic(), message.marked_at_s)
        elif taken.changed or self._decider.store.notes:
            self._reconcile_soon(message.marked_at_s)

    def _on_fetched(self, message: Fetched) -> None:
        if self._fetch_failure:
            log.info("Marathon can be read again")
            self._fetch_failure = ""
        self._can_be_read(self._unread.keys())
        taken = self._decider.store.take(message.documents, monotonic())
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
        if missed:
            self._report_repair(missed)
        self._reconcile_soon(message.marked_at_s)

    def _can_be_read(self, app_ids: Iterable[str]) -> None:
        for app_id in sorted(self._unread.keys() & app_ids):
            log.info("app %s can be read again", app_id)
            del self._unread[app_id]

    def _reconcile_soon(self, marked_at_s: float | None) -> None:
        """Reconcile when all that has arrived is known; ``marked_at_s`` is when what led to it arrived."""
        waiting_s = None if self._retry_due_s is None else self._marked_at_s
        self._marked_at_s = min((time_s for time_s in (waiting_s, marked_at_s) if time_s is not None), default=None)
        self._retry_due_s = monotonic()

    def _record_fetch(self, changed: Iterable[str], message: Fetched | AppsFetched, asked: str | list[str]) -> None:
        self._hands.journal.write(
            "fetched",
            asked=asked,
            apps=len(self._decider.store.apps),
            changed=sorted(changed)[:SHOWN_APPS],
            seconds=message.seconds,
            received_bytes=message.received_bytes,
        )

    def _report_repair(self, changed: frozenset[str]) -> None:
        """Say that the periodic reading found what no event had told of."""
        some = ", ".join(sorted(changed)[:SHOWN_APPS])
        log.warning("the periodic reading found %d changed app(s) that no event told of: %s", len(changed), some)
        self._hands.journal.write("repaired", apps=sorted(changed)[:SHOWN_APPS])

    def _reconcile(self) -> None:
        """Bring HAProxy to what the store says; retried later if anything stands in the way."""
        names = self._decider.names_to_resolve()
        if names:
            self._decider.learn_addresses(self._hands.resolver.addresses(names))
        document = self._decider.decide()
        if self._settings.dry:
            sys.stdout.write(f"{document.rendering().config}\n")
            self._exit = ExitCode.OK
            return
        try:
            done = self._bring_about(document)
        except (PublishError, HAProxyError) as error:
            log.error("%s; tried again in %.0f s", error, self._retry_pause_s)
            done = False
        self._say(self._decider.notes, document.warning)
        if self._settings.once:
            self._exit = ExitCode.OK
        if done:
            self._retry_pause_s, self._retry_due_s = FIRST_RETRY_S, None
        else:
            self._retry_due_s = monotonic() + self._next_pause_s()

    def _bring_about(self, document: Document) -> bool:
        """Compare, try and apply; return whether HAProxy now runs what it should."""
        if self._plan(document).is_nothing:
            return self._agree(document)
        acceptance = self._accept(document.rendering())
        if acceptance.rendering is None:
            log.error(
                "HAProxy refuses the configuration and no app is to blame: %s; the files on disk and what HAProxy "
                "serves stay as they are",
                acceptance.refusal,
            )
            self._hands.applier.keep_refused(document.rendering())
            return False
        plan = self._plan(document)
        return self._agree(document) if plan.is_nothing else self._apply(document, plan)

    def _plan(self, document: Document) -> Plan:
        """Return what leads from what runs to ``document``; what comes out as the same text is nothing to do."""
        plan = compare(self._applied, document, self._decider.changed)
        if self._applied is None or plan.is_nothing or self._applied.rendering().texts != document.rendering().texts:
            return plan
        return Plan(())

    def _agree(self, document: Document) -> bool:
        self._remember(document)
        self._hands.journal.write("agreed", services=document.listening)
        return True

    def _remember(self, document: Document) -> None:
        """Learn that ``document`` runs."""
        if self._applied is None:
            self._applied = document.copy()
        else:
            self._applied.follow(document, self._decider.changed)
        self._decider.accepted()

    def _accept(self, rendering: Rendering) -> Acceptance:
        """Find what HAProxy accepts and can listen for."""
        find, started_s, before = self._settings.find_culprits, monotonic(), self._hands.trial.count
        acceptance = find_acceptable(self._decider, self._hands.trial, rendering, find_culprits=find)
        for _ in range(MOST_BUSY_PORT_ROUNDS):
            if acceptance.rendering is None or not self._refuse_busy_ports(acceptance.rendering):
                break
            rendering = self._decider.decide().rendering()
            acceptance = find_acceptable(self._decider, self._hands.trial, rendering, find_culprits=find)
        self._hands.journal.write(
            "tried",
            ok=acceptance.rendering is not None,
            trials=self._hands.trial.count - before,
            seconds=monotonic() - started_s,
            refused=sorted(self._decider.quarantine.refused),
        )
        return acceptance

    def _refuse_busy_ports(self, rendering: Rendering) -> bool:
        """Refuse the services whose new port somebody else holds; return whether there were any."""
        refused = False
        for bind, line in self._hands.applier.busy_binds(rendering):
            reason = f"{bind.host}:{bind.port} cannot be listened on: {bind.reason}"
            owners = rendering.apps_of_lines([line])
            if not owners:
                log.error("%s, and HAProxy needs it itself", reason)
            for app_id in owners:
                self._decider.quarantine.refuse(app_id, reason, self._decider.store.apps)
                refused = True
        return refused

    def _apply(self, document: Document, plan: Plan) -> bool:
        started_s = monotonic()
        outcome = self._hands.applier.apply(document.rendering())
        now_s = monotonic()
        latency_s = None if self._marked_at_s is None else now_s - self._marked_at_s
        self._hands.journal.write(
            "reload",
            ok=outcome.ok,
            seconds=now_s - started_s,
            event_to_applied_s=latency_s,
            reasons=plan.reasons[:20],
            services=document.listening,
            servers=sum(len(service.servers) for service in document.services),
        )
        if not outcome.ok:
            self._applied = None
            log.error("HAProxy could not load the new files (%s): %s; tried again", plan, outcome.log)
            return False
        self._remember(document)
        since = "" if latency_s is None else f", {latency_s:.3f} s after the event"
        log.info("applied in %.3f s%s: %s", now_s - started_s, since, plan)
        return True

    def _say(self, notes: Iterable[Note], warning: str | None) -> None:
        """Log each note and each refusal once, when it is new, and say when an app is fine again."""
        now = frozenset(notes)
        for note in sorted(now - self._notes, key=str):
            log.log(logging.ERROR if note.mistake else logging.WARNING, "%s", note)
        refused = {app_id: each.reason for app_id, each in self._decider.quarantine.refused.items()}
        before = {note.app_id for note in self._notes if note.mistake} | self._refused.keys()
        wrong = {note.app_id for note in now if note.mistake} | refused.keys()
        for app_id in sorted(before - wrong):
            log.info("app %s: nothing of it is left out any more", app_id)
        for app_id, reason in sorted(refused.items() - self._refused.items()):
            entirely = self._decider.quarantine.refused[app_id].entirely
            instead = "it is left out" if entirely else "its last good form stays"
            log.error("app %s: %s; %s until it changes", app_id, reason, instead)
            self._hands.journal.write("refused", app=app_id, reason=reason)
        for app_id in sorted(self._refused.keys() - refused.keys()):
            self._hands.journal.write("released", app=app_id)
        self._notes, self._refused = now, refused
        if warning is not None and warning != self._warning:
            log.warning("%s", warning)
        self._warning = warning

    def _next_pause_s(self) -> float:
        pause_s = self._retry_pause_s
        self._retry_pause_s = min(2 * pause_s, LONGEST_RETRY_S)
        return pause_s
