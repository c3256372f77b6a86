"""Why an app is routed as it is, or is not: all that the rooms of deciding know about it, in one value.

    (app id, Decider, Running, History) --> Explanation;  Decider --> what is left out in the whole cluster

Pure, and no rule is decided here: which tasks are servers is asked of `services`, task by task, and what was refused or
left out is read from quarantine and notes. What is explained is what was decided last; what HAProxy has not taken yet
is a problem of its own.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from fastlb.deployment import GROUP
from fastlb.explanation import INTENDED, Explanation, Problem, Reason, TaskReport, Unknown
from fastlb.label_reports import label_reports
from fastlb.mesos import is_unasked_self
from fastlb.service_reports import Placed, Subject, service_reports
from fastlb.services import may_be_wanted, services_of
from fastlb.task_reasons import why_out

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from fastlb.decision import Decider
    from fastlb.history import History
    from fastlb.model import App
    from fastlb.running import Running

NEAREST = 5
KEPT = (
    "Marathon names it no more, or not all its tasks; it is kept for now, since too much is missing at once "
    "(--shrink-grace)"
)
SIMILAR = 0.6
LONGEST_COMPARED = 500  # characters; comparing takes the square of it


def explain(
    app_id: str, decider: Decider, running: Running | None = None, history: History | None = None
) -> Explanation | None:
    """Return what there is to say about one app of Marathon; None if Marathon has no app of this id.

    ``running`` and ``history`` are those of the daemon; without them there is less to say.
    """
    unreadable = tuple(Reason("unreadable", note.text) for note in decider.store.notes if note.app_id == app_id)
    newest = decider.store.app(app_id)
    if newest is None:
        nothing = Explanation(app_id, app_id, False, (), unreadable, (), (), (), ())
        return nothing if unreadable else None
    subject = _subject(newest, decider)
    placed = _place_tasks(subject, decider)
    services = tuple(service_reports(subject, placed, decider))
    exposed = {service.index for service in services if service.exposed}
    return Explanation(
        app_id=app_id,
        known_as=subject.hap_id,
        exposed=bool(exposed),
        group=_members(newest, decider),
        problems=(*unreadable, *_problems(newest, subject, decider), *_waiting(subject.hap_id, decider, running)),
        services=services,
        tasks=tuple(_task_report(each, exposed) for each in placed),
        labels=label_reports(newest.labels, len(subject.ports)),
        changes=history.of(app_id, subject.hap_id) if history is not None else (),
    )


def unknown(app_id: str, known: Sequence[str]) -> Unknown:
    """Return the ``known`` ids that are most like one that is not among them, those of the same last word first.

    With thousands of ids it takes some hundredths of a second, so it is nothing for the loop.
    """
    last = app_id.rpartition("/")[2]
    same_name = [each for each in known if last and each.rpartition("/")[2] == last]
    similar = get_close_matches(app_id, known, NEAREST, SIMILAR) if len(app_id) <= LONGEST_COMPARED else []
    return Unknown(app_id, tuple(dict.fromkeys((*same_name, *similar)))[:NEAREST])


def all_problems(decider: Decider) -> list[str]:
    """Return what is left out in the whole cluster and was not meant to be: one line each, sorted."""
    return sorted(map(str, problems(decider)))


def problems(decider: Decider) -> set[Problem]:
    """Return what is left out in the whole cluster and was not meant to be."""
    found = {Problem(note.app_id, None, "unreadable", note.text) for note in decider.store.notes}
    found |= {Problem(app_id, None, "kept", KEPT) for app_id in decider.store.kept}
    found |= {Problem(each.app_id, each.port, each.cause, each.text) for each in decider.desired.notes if each.cause}
    for app in decider.store.apps:
        if _is_worth_a_look(app, decider):
            explanation = explain(app.id, decider)
            found |= set(_problems_in(explanation)) if explanation is not None else set()
    return found


def _is_worth_a_look(app: App, decider: Decider) -> bool:
    """Whether something of an app may be wanted that is not written; most apps need no closer look."""
    if app.id in decider.quarantine.refused:
        return True
    part = decider.document.part(decider.desired.known_as(app.id))
    return len(part.written) < max(len(app.service_ports), 1) and may_be_wanted(app, decider.rules)


def _problems_in(explanation: Explanation) -> Iterator[Problem]:
    for problem in explanation.problems:
        if problem.kind not in INTENDED:
            yield Problem(explanation.app_id, None, problem.kind, problem.text)
    for service in explanation.services:
        why = service.why_not
        if why is not None and why.kind not in INTENDED and why not in explanation.problems:
            yield Problem(explanation.app_id, service.port, why.kind, why.text)


def _subject(newest: App, decider: Decider) -> Subject:
    """Return the app in the form in use; what is not in use is explained in its newest form."""
    hap_id = decider.desired.known_as(newest.id)
    processed = decider.desired.processed(hap_id) if decider.desired.knows(newest.id) else []
    used = next((member for member in decider.desired.members(hap_id) if member.id == newest.id), None)
    for app, ports in processed:
        # A group may go by the id of an app that is not in it.
        if used is not None and (app.labels.get(GROUP) is None) == (used.labels.get(GROUP) is None):
            return Subject(app, hap_id, ports, None)
    return Subject(newest, hap_id, newest.service_ports, _why_unused(newest, decider))


def _why_unused(app: App, decider: Decider) -> Reason:
    refused = decider.quarantine.refused.get(app.id)
    if refused is not None:
        return Reason("refused", f"{refused.reason}; it is left out until it changes")
    if decider.desired.known_as(app.id)[1:] == decider.rules.framework_name:
        return Reason("framework", "FRAMEWORK_NAME says that it is the framework itself, which is never exposed")
    if is_unasked_self(app.id, app.labels, decider.rules.own_app):
        return Reason("framework", "it is this load balancer itself, and no label HAPROXY_GROUP exposes it")
    for note in decider.desired.notes_of(decider.desired.known_as(app.id)):
        if note.app_id == app.id and note.port is None:
            return Reason("deployment", note.text)
    return Reason("waiting", "it was not decided about yet")


def _members(app: App, decider: Decider) -> tuple[str, ...]:
    """Return the apps of its deployment group, itself among them; none if it is in no group."""
    if app.labels.get(GROUP) is None:
        return ()
    return tuple(member.id for member in decider.desired.members(decider.desired.known_as(app.id)))


def _problems(newest: App, subject: Subject, decider: Decider) -> Iterator[Reason]:
    """Yield what is wrong with the app as a whole."""
    refused = decider.quarantine.refused.get(newest.id)
    if subject.blocked is not None:
        yield subject.blocked
    elif refused is not None:
        yield Reason(
            "refused", f"its newest form is not used: {refused.reason}; its last good form stays until it changes"
        )
    if newest.id in decider.store.kept:
        yield Reason("kept", KEPT)
    for note in decider.desired.notes_of(subject.hap_id):
        if note.cause and note.port is None and note.app_id == newest.id:
            yield Reason(note.cause, note.text)
        if note.mistake and note.port is None and subject.blocked is None and newest.labels.get(GROUP) is not None:
            yield Reason("deployment", f"app {note.app_id} of its deployment group is left out: {note.text}")
    if not subject.ports:
        assigned = subject.app.mode == "container" and decider.rules.assigns_ports and subject.blocked is None
        said = "it is assigned some as soon as it has a task" if assigned else "its definition asks for none"
        yield Reason("no port", f"it has no service port; {said}")


def _waiting(hap_id: str, decider: Decider, running: Running | None) -> Iterator[Reason]:
    """Yield that HAProxy does not have yet what was decided."""
    if running is None:
        return
    if running.document is None:
        yield Reason("waiting", f"what HAProxy has is not known ({running.doubt}); it is loaded anew")
    elif running.document.part(hap_id).written != decider.document.part(hap_id).written:
        yield Reason("waiting", "HAProxy does not have its newest form yet; a reload is due")


def _place_tasks(subject: Subject, decider: Decider) -> list[Placed]:
    """Return every task with the servers that it is, whatever the labels of the services say."""
    app, rules, surroundings = subject.app._replace(labels={}), decider.rules, decider.surroundings
    placed = []
    for task in app.tasks:
        services, _ = services_of(app._replace(tasks=(task,)), rules, subject.ports, surroundings)
        places = [(each.port_index, f"{one.address}:{one.port}") for each in services for one in each.servers]
        placed.append(Placed(task, why_out(app, task, rules, surroundings), tuple(places)))
    return placed


def _task_report(placed: Placed, exposed: Collection[int]) -> TaskReport:
    task, out, places = placed
    if not out and not places:
        out = "it has no port for any service"
    if not out and not any(index in exposed for index, _ in places):
        out = "no service that it has a port for is exposed"
    if out:
        return TaskReport(task.id, task.host, task.state, "out", out, places)
    if task.draining:
        return TaskReport(
            task.id, task.host, task.state, "draining", "its deployment group moves to other tasks", places
        )
    return TaskReport(task.id, task.host, task.state, "in", "", places)
