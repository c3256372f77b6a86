"""Brings HAProxy to what was decided: live at once where that can be, by one reload for all that cannot.

    Document --compare with Running--> Plan --+--> steps over the Runtime API --> files, a moment later
                                              '--> (quiet time; tried and written) --> reload --> Running is known anew

What HAProxy confirms moves `Running`; any other answer makes it unknown, and a reload makes it known again. Reloads
that are asked for together become one. One thread, which must not wait: what is due later is due at a time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import chain
from math import inf
from time import monotonic, time
from typing import TYPE_CHECKING

from fastlb.admission import Admission
from fastlb.audit import Audit
from fastlb.commands import effects
from fastlb.diff import Plan, compare
from fastlb.disk import Disk
from fastlb.errors import HAProxyError, PublishError, RuntimeApiError
from fastlb.history import History
from fastlb.preparing import Preparing
from fastlb.routine import Routine
from fastlb.running import Running
from fastlb.stopping import Stopping
from fastlb.waiting import PatientTrial, Waiting

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fastlb.apply import Applier
    from fastlb.decision import Decider
    from fastlb.document import Document
    from fastlb.journal import Journal
    from fastlb.leaving import Due
    from fastlb.old_workers import OldWorkers
    from fastlb.runtime import Runtime
    from fastlb.settings import Settings
    from fastlb.trial import Trial

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
SHOWN_REASONS = 20


@dataclass(slots=True)
class Tools:
    """What a rollout works with; ``runtime`` is None where live changes are not wanted."""

    trial: Trial
    applier: Applier
    runtime: Runtime | None
    old_workers: OldWorkers
    journal: Journal
    history: History = field(default_factory=History)


class Rollout:
    """HAProxy on its way to the desired document."""

    def __init__(self, settings: Settings, decider: Decider, tools: Tools, map_paths: Mapping[str, str]) -> None:
        self._settings = settings
        self._decider = decider
        self._tools = tools
        self._map_paths = map_paths
        self.running = Running(settings.drain_timeout_s)
        self.stopping = Stopping(self.running, decider, tools.runtime, tools.journal)
        self.waiting = Waiting()
        """Whoever gives the rollout work may hear what cannot wait while HAProxy is waited for."""
        self._preparing = Preparing(tools.trial, tools.applier, self.waiting)
        trial, find = PatientTrial(tools.trial, self.waiting), settings.find_culprits
        self._admission = Admission(decider, trial, tools.applier, tools.journal, find_culprits=find)
        self._routine = Routine()
        tools.journal.listen(self._routine.hear)
        self._since_s: float | None = None
        self._wanted_since_s: float | None = None
        self._reload_due_s = inf
        self._disk = Disk(tools.applier)
        self._look_due_s = inf
        self._retry_pause_s = FIRST_RETRY_S
        self._gone = False
        self._knows_what = False
        """Whether there was a document to bring about: before Marathon's first answer an empty one would be loaded."""
        self._stale = False
        """Whether the files on disk were behind when HAProxy went, which is started again on them."""
        self._audit = (
            Audit(self.running, tools.runtime, tools.journal, settings.audit_round_s) if tools.runtime else None
        )

    @property
    def due_s(self) -> float:
        """Return when `run_due` has something to do, monotonic; infinity for never."""
        audit_due_s = self._audit.due_s if self._audit else inf
        due_s = min(self._reload_due_s, self._disk.due_s, self._look_due_s, self.running.leaving.next_s, audit_due_s)
        return min(due_s, self._routine.due_s)

    @property
    def is_done(self) -> bool:
        """Whether HAProxy runs what was decided last."""
        return self._reload_due_s == inf

    def bring_about(self, document: Document, since_s: float | None, *, at_once: bool = False) -> None:
        """Bring HAProxy to ``document``; what needs a reload waits for more of its kind, unless ``at_once``.

        ``since_s`` is when the event arrived that led here, monotonic.
        """
        self._knows_what = True
        self._since_s = min((each for each in (self._since_s, since_s) if each is not None), default=None)
        plan = self._plan(document)
        if plan.is_nothing:
            self._tools.journal.write("agreed", services=document.listening)
        elif log.isEnabledFor(logging.DEBUG):
            log.debug("the plan: %s", "; ".join(plan.lines))
        if plan.live:
            self._change_live(document, plan)
            plan = self._plan(document)
        if not plan.reload:
            self._decider.accepted()
            self._preparing.drop()
            self._wanted_since_s, self._reload_due_s, self._since_s = None, inf, None
            return
        self._want_reload(at_once=at_once or self.running.document is None)
        if at_once:
            self._reload()

    def run_due(self) -> bool:
        """Do what is due by now; return whether what was decided has been tried on HAProxy."""
        now_s = monotonic()
        tries = self._reload_due_s <= now_s
        self._routine.look(now_s)
        if self.running.leaving.next_s <= now_s:
            self._delete_leavers(now_s)
        if self._disk.due_s <= now_s:
            self._disk.look(self.running.document, now_s)
        if tries:
            self._reload()
        if self._look_due_s <= now_s:
            self._look_after_old_workers()
        if self._audit and self._audit.due_s <= now_s:
            self._check(self._audit)
        return tries

    def stop_tasks(self, ending: Mapping[str, Collection[str]]) -> None:
        """Take the servers of tasks that are being ended, by app, out at once."""
        outcome = self.stopping.stop(ending)
        if not outcome.ok:
            self._doubt(outcome.doubt)
            self._want_reload(at_once=True)

    def reload_files(self) -> None:
        """Have HAProxy load the files on disk again, as SIGUSR1 asks for (COMPAT.md 2.4)."""
        self._disk.catch_up(self.running.document)
        self._tools.old_workers.make_room(inf, self._decider.document.dear)
        outcome = self._tools.applier.reload()
        self._tools.journal.write("reload", ok=outcome.ok, seconds=outcome.seconds, reasons=["SIGUSR1"])
        if outcome.ok and self.running.document is not None:
            self._have_loaded(self.running.document)
        elif not outcome.ok:
            log.error("HAProxy could not load the files on disk: %s", outcome.log)

    def finish(self) -> None:
        """Have the files say what HAProxy runs, before nobody looks after it any more."""
        self._preparing.drop()
        self._disk.catch_up(self.running.document)

    def haproxy_exited(self) -> None:
        """Learn that HAProxy is gone; its supervisor starts it again."""
        self._gone, self._stale = True, self._disk.is_behind

    def haproxy_started(self) -> None:
        """Learn that HAProxy serves: for the first time, or again on the files on disk."""
        if not self._gone:
            return
        self._gone = False
        if self.running.document is not None and not self._stale:
            self._have_loaded(self.running.document)
        else:
            self.running.unknown("HAProxy was started again on older files")
            if self._knows_what:
                self._want_reload(at_once=True)

    def _plan(self, document: Document) -> Plan:
        return compare(self.running, document, self._decider.changed | self.running.stopped, self._map_paths)

    def _change_live(self, document: Document, plan: Plan) -> None:
        """Do what can be done while HAProxy runs."""
        phases, started_s = plan.phases, monotonic()
        if phases and self._tools.runtime is not None:
            outcome = self._tools.runtime.carry_out(phases)
            if not outcome.ok:
                self._doubt(outcome.doubt)
                return
        now_s = monotonic()
        self.running.changed(document, plan.live.keys(), plan.changes, now_s)
        self._decider.accepted(plan.live.keys())
        self._disk.changed(now_s)
        if phases:
            self._tools.history.note("live", plan.live_reasons, time(), self._latency_s(now_s))
            self._tools.journal.write(
                "live",
                apps=sorted(plan.live)[:SHOWN_REASONS],
                steps=sum(map(len, phases)),
                effects=effects(chain.from_iterable(phases)),
                seconds=now_s - started_s,
                event_to_applied_s=self._latency_s(now_s),
            )
            said = Plan(plan.live, plan.maps)
            log.debug("%s; in %.4f s%s", said, now_s - started_s, self._after_the_event(now_s))

    def _doubt(self, doubt: str) -> None:
        log.warning("what HAProxy has is not what was expected: %s; it is reloaded", doubt)
        self._tools.journal.write("doubt", said=doubt)
        self.running.unknown(f"what HAProxy has is not known, since {doubt}")

    def _want_reload(self, *, at_once: bool) -> None:
        """Have HAProxy reloaded after the quiet time, or when the longest wait is over."""
        now_s = monotonic()
        if self._wanted_since_s is None:
            self._wanted_since_s = now_s
        quiet_s = now_s + (0.0 if at_once else self._settings.reload_settle_s)
        self._reload_due_s = min(quiet_s, self._wanted_since_s + self._settings.reload_settle_max_s)
        changes = self._admission.changes if self.running.document is not None and not at_once else None
        if changes is not None:
            self._preparing.begin(self._decider.document, changes)

    def _reload(self) -> None:
        """Try what was decided on HAProxy and load it; tried again later if anything stands in the way."""
        try:
            done = self._load() and self.running.document is not None
        except (PublishError, HAProxyError) as error:
            log.error("%s; tried again in %.0f s", error, self._retry_pause_s)
            done = False
        if done:
            self._retry_pause_s, self._reload_due_s, self._wanted_since_s = FIRST_RETRY_S, inf, None
            self._since_s = None
        elif self._reload_due_s <= monotonic():
            self._reload_due_s = monotonic() + self._retry_pause_s
            self._retry_pause_s = min(2 * self._retry_pause_s, LONGEST_RETRY_S)

    def _load(self) -> bool:
        """Compare, try and load; return whether HAProxy now runs what it should, or need not be asked."""
        document = self._decider.decide()
        if not self._differs(document):
            return self._agree(document)
        now_s = monotonic()
        waited_s = now_s - (self._wanted_since_s or now_s)
        wait_s = self._tools.old_workers.make_room(waited_s, document.dear)
        if wait_s > 0:
            self._reload_due_s = now_s + wait_s
            return False
        if self._changes_pass(document, waited_s) and self._apply(document):
            return True
        acceptance = self._admission.accept(document, waited_s)
        if acceptance.rendering is None:
            log.error(
                "HAProxy refuses the configuration and no app is to blame: %s; the files on disk and what HAProxy "
                "serves stay as they are",
                acceptance.refusal,
            )
            self._tools.applier.keep_refused(document.rendering())
            self._preparing.drop()
            return False
        return self._apply(document) if self._differs(document) else self._agree(document)

    def _changes_pass(self, document: Document, waited_s: float) -> bool:
        changes = self._admission.changes if self.running.document is not None else None
        if changes is None:
            return False
        return self._admission.changes_pass(changes, lambda: self._preparing.verdict(document, changes), waited_s)

    def _differs(self, document: Document) -> bool:
        """Whether a reload is still needed; what comes out as the same text does not need one."""
        if self.running.document is None:
            return True
        if not self._plan(document).reload:
            return False
        if self.running.stopped or self.running.document.listening != document.listening:
            return True
        return self.running.document.rendering().texts != document.rendering().texts

    def _agree(self, document: Document) -> bool:
        """Learn that HAProxy already runs ``document``, but for what can be changed live."""
        self._preparing.drop()
        plan = self._plan(document)
        if plan.live and not plan.reload:
            self._change_live(document, plan)
        elif self.running.document is not None:
            self.running.document.follow(document, self._decider.changed)
            self._decider.accepted(set(self._decider.changed))
        self._tools.journal.write("agreed", services=document.listening)
        return True

    def _apply(self, document: Document) -> bool:
        plan, started_s = self._plan(document), monotonic()
        drafts = self._preparing.take(document)
        self._disk.stand_still()
        ready_s = monotonic()
        outcome = self.waiting.do(lambda: self._tools.applier.apply(document.rendering(), drafts))
        if outcome.ok or not self._tools.applier.restores:
            self._disk.replaced()
        else:
            self._disk.catch_up(self.running.document)
        now_s = monotonic()
        how = "reload" if outcome.ok else "reload failed"
        self._tools.history.note(how, plan.reload, time(), self._latency_s(now_s))
        self._tools.journal.write(
            "reload",
            ok=outcome.ok,
            seconds=now_s - started_s,
            ready_s=ready_s - started_s,
            haproxy_s=outcome.seconds,
            event_to_applied_s=self._latency_s(now_s),
            reasons=plan.reasons[:SHOWN_REASONS],
            services=document.listening,
            servers=document.servers,
        )
        if not outcome.ok:
            self.running.unknown("HAProxy could not load the last files")
            if outcome.refused:
                self._admission.refuse_what_is_new(ended=outcome.ended)
            log.error("HAProxy could not load the new files (%s): %s; tried again", plan.why_reload, outcome.log)
            return False
        self._have_loaded(document)
        self._decider.accepted(set(self._decider.changed))
        self._look_due_s = now_s
        seconds, after = now_s - started_s, self._after_the_event(now_s)
        log.info("reload: %s; in %.3f s%s", plan.why_reload, seconds, after, extra={"apps": sorted(plan.reload)})
        return True

    def _have_loaded(self, document: Document) -> None:
        """Learn that a new worker serves ``document``; take out again what was stopped, until Marathon has answered."""
        self.running.loaded(document)
        self._ask_capabilities()
        if self._audit:
            self._audit.begin(monotonic())
        plan = compare(self.running, document, self.running.stopped, self._map_paths)
        if plan.phases and self._tools.runtime is not None:
            outcome = self._tools.runtime.carry_out(plan.phases)
            if outcome.ok:
                self.running.changed(document, plan.live.keys(), plan.changes, monotonic())
            else:
                self._doubt(outcome.doubt)
                self._want_reload(at_once=False)

    def _ask_capabilities(self) -> None:
        """Find out what the HAProxy that was just loaded takes while it runs; without an answer, reloads do it all."""
        before = self.running.why_reloads_only
        try:
            if self._tools.runtime is None:
                self.running.capabilities = None
                return
            self.running.capabilities = self._tools.runtime.capabilities()
            self.running.why_reloads_only = ""
        except RuntimeApiError as error:
            self.running.capabilities, self.running.why_reloads_only = None, str(error)
            if before != str(error):
                log.warning("every change needs a reload, since HAProxy's Runtime API cannot be used: %s", error)

    def _delete_leavers(self, now_s: float) -> None:
        """Delete servers that left, as far as HAProxy lets them go."""
        for due in self.running.leaving.due(now_s):
            said = self.running.leaving.heard(due, self._reply_to(due), monotonic())
            if said:
                log.warning("%s", said)

    def _reply_to(self, due: Due) -> str | None:
        try:
            return self._tools.runtime.replies(due.commands)[-1] if self._tools.runtime else None
        except RuntimeApiError as error:
            log.debug("server %s/%s is not deleted yet: %s", due.backend, due.name, error)
            return None

    def _check(self, audit: Audit) -> None:
        """Look whether HAProxy still is what it should be."""
        wrong = audit.look(self._map_paths, monotonic())
        if wrong:
            self._doubt(wrong)
            self._want_reload(at_once=True)

    def _look_after_old_workers(self) -> None:
        again_s = self._tools.old_workers.look_after(self._decider.document.dear)
        self._look_due_s = inf if again_s is None else monotonic() + again_s

    def _latency_s(self, now_s: float) -> float | None:
        return None if self._since_s is None else now_s - self._since_s

    def _after_the_event(self, now_s: float) -> str:
        return "" if self._since_s is None else f", {now_s - self._since_s:.3f} s after the event"
