"""Whether HAProxy would take a document: the changed apps by themselves first, the whole only if it has to be.

    what changed --trial--> ok: HAProxy's own reload reads the whole, and its old worker serves on if it cannot
                       '--> not ok, or nothing ran before: the whole --trial, blame--> without those to blame

To check the whole takes as long as half a reload, for text that was accepted before. What a trial of the changes cannot
see, a name that two apps share, the reload sees; then the files of before are put back and the whole is tried.
"""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING

from fastlb.acceptance import find_acceptable

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastlb.acceptance import Acceptance
    from fastlb.apply import Applier
    from fastlb.decision import Decider
    from fastlb.document import Document
    from fastlb.journal import Journal
    from fastlb.render import Rendering
    from fastlb.validation import Verdict
    from fastlb.waiting import PatientTrial

log = logging.getLogger(__name__)

MOST_ALONE = 100
"""More changed apps than that are tried with all others."""
MOST_BUSY_PORT_ROUNDS = 3


class Admission:
    """Tries documents. ``find_culprits``: whether the apps to blame are looked for."""

    def __init__(
        self, decider: Decider, trial: PatientTrial, applier: Applier, journal: Journal, *, find_culprits: bool
    ) -> None:
        self._decider = decider
        self._trial = trial
        self._applier = applier
        self._journal = journal
        self._find_culprits = find_culprits
        self._noted_trials = 0

    @property
    def changes(self) -> Document | None:
        """Return what is tried by itself: what has changed since HAProxy took all; None if the whole has to be."""
        changed = set(self._decider.changed)
        return self._decider.only(changed) if changed and len(changed) <= MOST_ALONE else None

    def changes_pass(self, changes: Document, verdict: Callable[[], Verdict], waited_s: float) -> bool:
        """Whether HAProxy would take ``changes``, of which it has a ``verdict`` in the end. Raises what that raises."""
        started_s = monotonic()
        ok = verdict().ok and not self._applier.busy_binds(changes.rendering())
        self._note(ok=ok, started_s=started_s, waited_s=waited_s)
        return ok

    def accept(self, document: Document, waited_s: float) -> Acceptance:
        """Find what of the whole HAProxy would take and can listen for. Raises PublishError."""
        started_s = monotonic()
        acceptance = self._acceptable(document)
        for _ in range(MOST_BUSY_PORT_ROUNDS):
            if acceptance.rendering is None or not self._refuse_busy_ports(acceptance.rendering):
                break
            acceptance = self._acceptable(self._decider.decide())
        ok = acceptance.rendering is not None
        self._note(ok=ok, started_s=started_s, waited_s=waited_s)
        return acceptance

    def refuse_what_is_new(self, *, ended: bool) -> None:
        """HAProxy does not run on what it had accepted, or ``ended`` on it: what is newly defined is to blame."""
        did = "ended" if ended else "could not run"
        reason = f"HAProxy {did} on files with it that it had accepted"
        if refused := self._decider.quarantine.refuse_new(reason, self._decider.store.apps, harmful=ended):
            again = "when they change, or on SIGHUP" if ended else "with the next reading of everything"
            log.error("HAProxy %s on new definitions: %s; tried again %s", did, ", ".join(refused), again)
        else:
            log.error("HAProxy %s on files that it had accepted, and no app is new", did)

    def _acceptable(self, document: Document) -> Acceptance:
        find = self._find_culprits
        return find_acceptable(self._decider, self._trial, document.rendering(), find_culprits=find)

    def _refuse_busy_ports(self, rendering: Rendering) -> bool:
        """Refuse the services whose new port somebody else holds; return whether there were any."""
        refused = False
        for bind, line in self._applier.busy_binds(rendering):
            reason = f"{bind.host}:{bind.port} cannot be listened on: {bind.reason}"
            owners = rendering.apps_of_lines([line])
            if not owners:
                log.error("%s, and HAProxy needs it itself", reason)
            for app_id in owners:
                self._decider.quarantine.refuse(app_id, reason, self._decider.store.apps)
                refused = True
        return refused

    def _note(self, *, ok: bool, started_s: float, waited_s: float) -> None:
        """Write down what came of it, with all trials since the last time; of some, nobody needed the verdict."""
        trials, self._noted_trials = self._trial.count - self._noted_trials, self._trial.count
        self._journal.write(
            "tried",
            ok=ok,
            trials=trials,
            seconds=monotonic() - started_s,
            waited_s=waited_s,
            refused=sorted(self._decider.quarantine.refused),
        )
