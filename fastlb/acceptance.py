"""Which of the newest forms HAProxy accepts: trial, blame, refuse, decide again, until the rest is accepted.

HAProxy names lines and proxies, those name apps (`blame`); a handful of trials finds any number of bad apps, because
every trial shows all mistakes of its phase. Halves are tried only when a complaint points at nobody.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from fastlb.blame import culprits

if TYPE_CHECKING:
    from fastlb.decision import Decider
    from fastlb.render import Rendering
    from fastlb.validation import Verdict
    from fastlb.waiting import PatientTrial

log = logging.getLogger(__name__)

MOST_ROUNDS = 100


class Acceptance(NamedTuple):
    """What is to be published, if anything is, and what HAProxy said if nothing is; ``trials`` counts validations."""

    rendering: Rendering | None
    refusal: str
    trials: int


def find_acceptable(decider: Decider, trial: PatientTrial, rendering: Rendering, *, find_culprits: bool) -> Acceptance:
    """Return the rendering that HAProxy accepts, refusing as few apps as necessary.

    ``find_culprits`` false: a refused document is refused as a whole. Raises PublishError if no trial can be made.
    """
    before = trial.count
    for _ in range(MOST_ROUNDS):
        verdict = trial.run(rendering)
        if verdict.ok:
            return Acceptance(rendering, "", trial.count - before)
        blamed = _blame(decider, trial, rendering, verdict) if find_culprits else {}
        if not blamed:
            return Acceptance(None, _words(verdict), trial.count - before)
        _refuse(decider, blamed)
        rendering = decider.decide().rendering()
    return Acceptance(None, f"still refused after {MOST_ROUNDS} rounds: {_words(verdict)}", trial.count - before)


def _blame(decider: Decider, trial: PatientTrial, rendering: Rendering, verdict: Verdict) -> dict[str, str]:
    """Return the apps to refuse, each with HAProxy's words.

    HAProxy may point at an app that has long been running when a new one writes into its name; then the guilty one is
    looked for among those that are new.
    """
    blamed = culprits(verdict.complaints, rendering)
    written = {service.app_id for service in rendering.services}
    new = decider.quarantine.unproven(decider.store.apps) & written
    if new & blamed.keys():
        return {app_id: reason for app_id, reason in blamed.items() if app_id in new}
    log.info("HAProxy refuses the configuration and points at no new app; looking for the guilty ones by halves")
    among_new = _by_halves(decider, trial, sorted(new), written - new, verdict) if new else {}
    if among_new or blamed or new == written:
        return among_new or blamed
    return _by_halves(decider, trial, sorted(written), set(), verdict)


def _refuse(decider: Decider, blamed: dict[str, str]) -> None:
    for app_id, reason in sorted(blamed.items()):
        decider.quarantine.refuse(app_id, f"HAProxy refuses it: {reason}", decider.store.apps)


def _by_halves(
    decider: Decider, trial: PatientTrial, suspects: list[str], fine: set[str], verdict: Verdict
) -> dict[str, str]:
    """Return those of ``suspects`` without which all are accepted; none if the ``fine`` ones alone are refused."""
    fine = set(fine)
    guilty: dict[str, str] = {}

    def search(candidates: list[str], complaint: Verdict) -> None:
        if len(candidates) == 1:
            guilty[candidates[0]] = _words(complaint)
            return
        middle = len(candidates) // 2
        for half in (candidates[:middle], candidates[middle:]):
            answer = trial.run(decider.only(fine | set(half)).rendering())
            if answer.ok:
                fine.update(half)
            else:
                search(half, answer)

    if not trial.run(decider.only(fine).rendering()).ok:
        return {}
    search(suspects, verdict)
    return guilty


def _words(verdict: Verdict) -> str:
    fatal = [complaint.text for complaint in verdict.complaints if complaint.fatal]
    return "; ".join(fatal[:3]) or verdict.output.strip()[-300:] or "HAProxy refuses it without a word"
