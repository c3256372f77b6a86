"""An Explanation as text for a terminal, and as JSON.

Pure. Ids, labels and HAProxy's words come from outside: nothing of them may move a cursor, change a colour or hide
what is written, so whatever is not printable is shown as Python would escape it. In the JSON everything that is not
ASCII is escaped, which does for a terminal what it needs, too.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastlb.explanation import Explanation, Unknown
from fastlb.printable import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastlb.explanation import Change, LabelReport, Reason, ServerNow, ServiceReport, TaskReport

LONGEST_VALUE = 300  # characters


def harmless(text: str) -> str:
    """Return one line of text with all that is not printable escaped, and cut if it is very long."""
    return one_line(text, LONGEST_VALUE)


def as_json(found: Explanation | Unknown | Sequence[str]) -> str:
    """Return an explanation, or the problems of the cluster, as JSON; members are the fields of `explanation`."""
    plain = asdict(found) if isinstance(found, (Explanation, Unknown)) else list(found)
    return json.dumps(plain, indent=2) + "\n"


def as_text(found: Explanation | Unknown | Sequence[str]) -> str:
    """Return the same for people."""
    lines: Iterable[str]
    if isinstance(found, Explanation):
        lines = _explanation(found)
    elif isinstance(found, Unknown):
        lines = _unknown(found)
    else:
        lines = map(harmless, found or ["nothing is left out"])
    return "".join(f"{line.rstrip()}\n" for line in lines)


def _unknown(unknown: Unknown) -> Iterator[str]:
    yield f"Marathon has no app {harmless(unknown.app_id)}"
    if unknown.nearest:
        yield f"did you mean {', '.join(map(harmless, unknown.nearest))}?"


def _explanation(explanation: Explanation) -> Iterator[str]:
    state = "exposed" if explanation.exposed else "not exposed"
    yield f"app {harmless(explanation.app_id)}: {state}"
    if explanation.group:
        members = ", ".join(map(harmless, explanation.group))
        yield f"  deployment group {harmless(explanation.known_as)} of {members}"
    for problem in explanation.problems:
        yield f"  ! {harmless(problem.text)}"
    for label in explanation.labels:
        if label.problem and not any(label.name in each.why_not.text for each in explanation.services if each.why_not):
            yield f"  ! label {harmless(label.name)}: {harmless(label.problem)}"
    for service in explanation.services:
        yield ""
        yield from _service(service, explanation.problems)
    yield from _titled("tasks", [_task(task) for task in explanation.tasks])
    yield from _titled("servers as HAProxy sees them now", [_server(server) for server in explanation.servers])
    yield from _titled("labels", [line for label in explanation.labels for line in _label(label)])
    yield from _titled("last changes", [_change(change) for change in explanation.changes])
    yield from _titled("what is written", [line for service in explanation.services for line in _written(service)])


def _titled(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)


def _service(service: ServiceReport, problems: Sequence[Reason]) -> Iterator[str]:
    port = "without a port" if service.port is None else f"port {service.port}"
    if service.port != service.declared_port:
        port += f" (label PORT; Marathon says {service.declared_port})"
    why = (
        "for the reason above"
        if service.why_not in problems
        else harmless(service.why_not.text)
        if service.why_not
        else ""
    )
    state = f"not exposed: {why}" if why else "exposed"
    yield f"service {service.index}, {port}{f', {service.mode}' if service.mode else ''}: {harmless(state)}"
    if service.vhosts:
        hosts = ", ".join(repr(host) if not host.isprintable() or not host.strip() else host for host in service.vhosts)
        yield f"  vhosts {harmless(hosts)}{f' with path {service.path!r}' if service.path else ''}"
    if service.exposed:
        draining = f", {service.draining} of them draining" if service.draining else ""
        yield f"  listens on {harmless(service.bind)}, backend {harmless(service.backend)}"
        yield f"  {service.servers} server(s){draining}"
    if service.app_id is not None:
        yield f"  the app-id port leads here for {harmless(service.app_id)}"
    for remark in service.remarks:
        yield f"  ! {harmless(remark)}"


def _task(task: TaskReport) -> str:
    places = ", ".join(f"{place} (service {index})" for index, place in task.places)
    what = [task.id or "no id", task.host or "no host", task.state or "no state", *([places] if places else [])]
    return harmless(f"{task.verdict:<8}  {'  '.join(what)}{f': {task.why}' if task.why else ''}")


def _server(server: ServerNow) -> str:
    check = f", check {server.check}" if server.check else ""
    load = f"{server.sessions} connection(s), {server.queued} waiting"
    load += ", out of service" if server.status == "MAINT" else ""
    return harmless(f"{server.status:<8}  {server.address}  {server.name} for {server.for_s} s{check}; {load}")


def _label(label: LabelReport) -> Iterator[str]:
    read_as = f" (read as {label.read_as!r})" if label.read_as else ""
    yield harmless(f"{label.name} = {label.value!r}") + harmless(read_as)
    if label.meaning:
        yield f"    {label.meaning}"
    if label.problem:
        yield f"  ! {harmless(label.problem)}"


def _change(change: Change) -> str:
    at = datetime.fromtimestamp(change.at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    after = "" if change.after_event_s is None else f", {change.after_event_s:.3f} s after the event"
    return f"{at}  {change.how}{after}: {harmless(change.why)}"


def _written(service: ServiceReport) -> Iterator[str]:
    for place, text in service.written:
        yield f"service {service.index}, {harmless(place)}:"
        yield from (f"  {harmless(line)}" for line in text.splitlines() if line.strip())
