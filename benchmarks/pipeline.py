"""The thinking half of the controller, wired as `fastlb.reconcile` wires it, without any hand.

bytes --> documents --> store --> document --compare--> plan
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from fastlb.cli import build_parser
from fastlb.controller import GARBAGE_THRESHOLDS
from fastlb.decision import Decider
from fastlb.diff import Plan, compare
from fastlb.render import Renderer
from fastlb.settings import read_catalogue, read_limits, read_paths, read_rules
from fastlb.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastlb.document import Document
    from fastlb.render import Rendering

ARGV = ["render", "--group", "external", "--haproxy-map", "--health-check", "--haproxy-version", "2.8"]


class Maker:
    """Flags and templates, read once, as at the start of the controller; `make` gives what starts with no apps."""

    def __init__(self) -> None:
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        args = build_parser().parse_args(ARGV)
        self._rules = read_rules(args, {})
        self._catalogue = read_catalogue(args, {}, None, read_paths(args))
        self._limits = read_limits(args)

    def make(self) -> Pipeline:
        """Return a pipeline that has seen nothing yet."""
        renderer = Renderer(self._catalogue, self._rules, self._limits)
        return Pipeline(Decider(Store(empty_grace_s=0.0), renderer, self._rules), renderer)


class Pipeline:
    """Store, decider, and what is taken to run."""

    def __init__(self, decider: Decider, renderer: Renderer) -> None:
        self._decider = decider
        self._renderer = renderer
        self._applied: Document | None = None

    @property
    def rendered_fragments(self) -> int:
        """Return how many fragments were made so far."""
        return self._renderer.rendered_fragments

    @property
    def joined_documents(self) -> int:
        """Return how many documents were joined so far."""
        return self._renderer.joined_documents

    def take(self, documents: Sequence[Any]) -> None:
        """Take a full answer of Marathon."""
        self._decider.store.take(documents, 0.0)

    def render(self) -> Rendering:
        """Decide, and join the texts."""
        return self._decider.decide().rendering()

    def plan(self, answers: Mapping[str, Any] | None = None) -> Plan:
        """Take answers about single apps, decide, and say what has to be done and what is to be said."""
        if answers is not None:
            self._decider.store.take_apps(answers)
        self._decider.names_to_resolve()
        document = self._decider.decide()
        plan = compare(self._applied, document, self._decider.changed)
        _ = self._decider.notes, document.warning
        return plan

    def remember(self) -> None:
        """Learn that what was decided runs."""
        document = self._decider.decide()
        if self._applied is None:
            self._applied = document.copy()
        else:
            self._applied.follow(document, self._decider.changed)
        self._decider.accepted()
