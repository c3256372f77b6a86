"""The thinking half of the controller, wired as `fastlb.reconcile` and `fastlb.rollout` do, without any hand.

bytes --> apps --> store --> document --compare--> plan
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastlb import garbage
from fastlb.capabilities import Capabilities
from fastlb.cli import build_parser
from fastlb.decision import Decider
from fastlb.diff import Plan, compare
from fastlb.marathon.elements import Elements
from fastlb.marathon.http import Answer
from fastlb.reading import read_again
from fastlb.render import Renderer
from fastlb.running import Running
from fastlb.settings import map_paths, read_catalogue, read_limits, read_paths, read_rules
from fastlb.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastlb.render import Rendering

HAPROXY_VERSION = (2, 8, 10)
ARGV = ["render", "--group", "external", "--haproxy-map", "--health-check", "--haproxy-version", "2.8"]


def answered(body: bytes) -> Answer:
    """Return the answer that has this body."""
    return Answer(HTTPStatus.OK, (), body, 0.0, "")


class Maker:
    """Flags and templates, read once, as at the start of the controller; `make` gives what starts with no apps."""

    def __init__(self) -> None:
        garbage.look_on_demand()
        garbage.give_back_large_blocks()
        args = build_parser().parse_args(ARGV)
        self._rules = read_rules(args, {})
        self._catalogue = read_catalogue(args, {}, None, read_paths(args))
        self._limits = read_limits(args)

    def make(self) -> Pipeline:
        """Return a pipeline that has seen nothing yet."""
        renderer = Renderer(self._catalogue, self._rules, self._limits)
        return Pipeline(Decider(Store(empty_grace_s=0.0), renderer, self._rules), renderer, map_paths(self._rules))


class Pipeline:
    """Store, decider, and what is taken to run."""

    def __init__(self, decider: Decider, renderer: Renderer, paths: Mapping[str, str]) -> None:
        self._decider = decider
        self._renderer = renderer
        self._paths = paths
        self._elements = Elements(read_again, lambda _: True)
        self._running = Running(finish_within_s=0.0)
        self._running.capabilities = Capabilities(HAPROXY_VERSION)

    @property
    def rendered_fragments(self) -> int:
        """Return how many fragments were made so far."""
        return self._renderer.rendered_fragments

    @property
    def joined_documents(self) -> int:
        """Return how many documents were joined so far."""
        return self._renderer.joined_documents

    def read(self, body: bytes) -> list[Any]:
        """Return what a full answer of Marathon holds, as it reaches the loop."""
        return self._elements.everything(answered(body))

    def take(self, apps: Sequence[Any]) -> None:
        """Take a full answer of Marathon."""
        self._decider.store.take(apps, 0.0)

    def render(self) -> Rendering:
        """Decide, and join the texts."""
        return self._decider.decide().rendering()

    def loaded(self) -> None:
        """Learn that HAProxy was loaded with what was decided."""
        self._running.loaded(self._decider.decide())
        self._decider.accepted()

    def plan(self, answers: Mapping[str, Any] | None = None) -> Plan:
        """Take answers about single apps, decide, and say what has to be sent and what is to be said."""
        if answers is not None:
            read = {app_id: self._elements.one(app_id, document) for app_id, document in answers.items()}
            self._decider.store.take_apps(read, 0.0)
        self._decider.names_to_resolve()
        document = self._decider.decide()
        changed = self._decider.changed | self._running.stopped
        plan = compare(self._running, document, changed, self._paths)
        _ = plan.phases, self._decider.notes, document.warning
        return plan

    def confirm(self, plan: Plan) -> None:
        """Learn that HAProxy has carried ``plan`` out, and has let go of the servers that left."""
        app_ids = plan.live.keys() | plan.reload.keys()
        self._running.changed(self._decider.decide(), app_ids, plan.changes, 0.0)
        self._running.leaving.forget()
        self._decider.accepted(app_ids)
