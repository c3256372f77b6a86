"""The recorded cases, and how fastlb renders one: through its library, as ``fastlb render`` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fastlb.cli import build_parser
from fastlb.desired import desired_state
from fastlb.reading import read_app
from fastlb.render import Renderer
from fastlb.settings import read_catalogue, read_limits, read_paths, read_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastlb.haproxy import HAProxy

CASES = sorted((Path(__file__).parent / "cases").iterdir())
NAMES = [case.name for case in CASES]


class Texts(NamedTuple):
    """One generation: the head apart from the body, and the maps."""

    head: str
    body: str
    domain_map: str
    app_map: str


def argv_of(case: Path) -> list[str]:
    return json.loads((case / "options.json").read_text())["argv"]


def recorded(case: Path) -> Texts:
    files = ("body.cfg", "domain2backend.map", "app2backend.map")
    return Texts("", *((case / name).read_text(encoding="utf-8") for name in files))


def rendered(apps_json: str, argv: Sequence[str], haproxy: HAProxy | None = None) -> Texts:
    """Render an answer of Marathon. Every app of it has to be readable, nothing may be left out."""
    args = build_parser().parse_args(["render", *argv])
    rules = read_rules(args, {})
    catalogue = read_catalogue(args, {}, haproxy, read_paths(args))
    apps = [read_app(app) for app in json.loads(apps_json)["apps"]]
    rendering = Renderer(catalogue, rules, read_limits(args)).render(desired_state(apps, rules))
    left_out = [str(note) for note in rendering.notes if note.left_out]
    assert not left_out
    head = rendering.sections[0].texts[0]
    return Texts(head, rendering.config.removeprefix(head), rendering.domain_map, rendering.app_map)


def rendered_case(case: Path, version: str) -> Texts:
    """Render a recorded case for a HAProxy ``version``."""
    apps_json = (case / "apps.json").read_text(encoding="utf-8")
    return rendered(apps_json, ["--haproxy-version", version, *argv_of(case)])
