"""Apps as Marathon's JSON has them, and the way from them to text: what tests of the thinking rooms build on."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fastlb.cli import build_parser
from fastlb.decision import Decider
from fastlb.desired import desired_state
from fastlb.errors import AppError
from fastlb.model import Note
from fastlb.reading import app_id_of, read_app
from fastlb.render import Renderer
from fastlb.services import Surroundings
from fastlb.settings import read_catalogue, read_limits, read_paths, read_rules
from fastlb.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastlb.desired import DesiredState
    from fastlb.document import Document
    from fastlb.model import App, Rules
    from fastlb.render import Rendering
    from fastlb.templates import Catalogue

Json = dict[str, Any]

CHECK = {
    "protocol": "HTTP",
    "path": "/health",
    "portIndex": 0,
    "timeoutSeconds": 20,
    "intervalSeconds": 10,
    "gracePeriodSeconds": 300,
    "maxConsecutiveFailures": 3,
}


def task(number: int = 1, host: str = "127.0.0.2", ports: Sequence[int] = (31000,), **members: Any) -> Json:
    return {"id": f"task.{number}", "host": host, "ports": list(ports), "state": "TASK_RUNNING", **members}


def app(app_id: str = "/app", ports: Sequence[int] = (10000,), labels: Json | None = None, **members: Any) -> Json:
    """An app on the hosts' network in group ``external``; its one task has a port for each of ``ports``."""
    document = {
        "id": app_id,
        "labels": {"HAPROXY_GROUP": "external", **(labels or {})},
        "portDefinitions": [{"port": port, "protocol": "tcp"} for port in ports],
        "instances": 1,
        "tasks": [task(ports=[31000 + position for position in range(len(ports))])],
    }
    return copy.deepcopy({**document, **members})


def rules_of(*argv: str, **environ: str) -> Rules:
    return read_rules(_parsed(argv), environ)


@lru_cache
def catalogue_of(*argv: str, **environ: str) -> Catalogue:
    args = _parsed(argv)
    return read_catalogue(args, environ, None, read_paths(args))


def renderer_of(*argv: str, **environ: str) -> Renderer:
    return Renderer(catalogue_of(*argv, **environ), rules_of(*argv, **environ), read_limits(_parsed(argv)))


@lru_cache
def _parsed(argv: tuple[str, ...]) -> Any:
    return build_parser().parse_args(["render", "--group", "external", "--haproxy-version", "2.6", *argv])


def read_all(documents: Iterable[object]) -> tuple[list[App], list[Note]]:
    """Read apps as the hands do: one that cannot be read costs itself."""
    apps, notes = [], []
    for document in documents:
        try:
            apps.append(read_app(document))
        except AppError as error:
            notes.append(Note(app_id_of(document) or "without id", str(error), mistake=True))
    return apps, notes


def desired(documents: Iterable[object], *argv: str, addresses: dict[str, str] | None = None) -> DesiredState:
    apps, notes = read_all(documents)
    state = desired_state(apps, rules_of(*argv), Surroundings(addresses=addresses or {}))
    return type(state)(state.services, (*notes, *state.notes))


def rendered(documents: Iterable[object], *argv: str, **environ: str) -> Rendering:
    return renderer_of(*argv, **environ).render(desired(documents, *argv))


def document_of(documents: Iterable[object], *argv: str, **environ: str) -> Document:
    decider = Decider(Store(0.0), renderer_of(*argv, **environ), rules_of(*argv, **environ))
    decider.store.take(list(documents), 0.0)
    return decider.decide()


def body_of(rendering: Rendering) -> str:
    """Return the configuration without its head."""
    return rendering.config.removeprefix(rendering.sections[0].texts[0])
