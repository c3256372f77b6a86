"""How the services of one shape are written: the steps of each of their texts, and the same joined to programs.

    Shape --vhosts, blocks--> steps of each text --catalogue--> one program for each text, over values by position

Joined, a text of many templates is filled in by one call of the kernel. What cannot be joined (a template in Jinja2,
one that a label replaces, a map rule, which is written once per document) is left to whoever takes step by step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastlb import blocks
from fastlb.errors import TemplateError
from fastlb.shapes import CHECK_FIELDS, fields_of
from fastlb.vhosts import vhost_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastlb._native import Program
    from fastlb.model import Rules
    from fastlb.shapes import Shape, Step
    from fastlb.templates import Catalogue
    from fastlb.vhosts import VhostSteps

SERVER = "BACKEND_SERVER_OPTIONS"


class Joined(NamedTuple):
    """Programs over the values of the kernel; ``with_check``: those of the health check are needed, too.

    ``texts`` are http rules, rule of the app's id, ``healthCheckOptions``, userlist, frontend, backend, https rules:
    one text, or one for each host. ``server`` is the program of a server line. ``needs`` are the map rules that serve
    the service, a bit for each: http, https, app id.
    """

    texts: tuple[Program, ...]
    server: Program
    with_check: bool
    needs: int


class Recipe(NamedTuple):
    """How the services of one shape are written: the steps of each text.

    ``fields`` name the values of the kernel. ``backend_check`` ends the backend, and ``server_check`` makes the
    ``healthCheckOptions`` of a server. ``joined`` is None if some step has to be taken by itself.
    """

    shape: Shape
    fields: tuple[str, ...]
    vhost: VhostSteps
    app_id_rule: tuple[Step, ...]
    server_check: tuple[Step, ...]
    userlist: tuple[Step, ...]
    backend: tuple[Step, ...]
    backend_check: tuple[Step, ...]
    enters_app_map: bool
    joined: Joined | None = None

    def asks_for_check(self, catalogue: Catalogue, own: Mapping[str, str]) -> bool:
        """Whether a health check template says anything; if none does, the health check may lack what they need."""
        steps = self.backend_check + self.server_check
        return any(catalogue.program(step.template, own) != () for step in steps)


def recipe_of(shape: Shape, catalogue: Catalogue, rules: Rules) -> Recipe:
    """Return how services of this shape are written."""
    recipe = Recipe(
        shape,
        fields=fields_of(shape),
        vhost=vhost_steps(shape, rules),
        app_id_rule=blocks.app_id_rule(shape, rules),
        server_check=blocks.server_check(shape),
        userlist=blocks.userlist(shape),
        backend=blocks.backend(shape),
        backend_check=blocks.backend_check(shape),
        enters_app_map=blocks.enters_app_map(shape, rules),
    )
    return recipe._replace(joined=None if shape.labelled or shape.indexed else _joined(recipe, catalogue))


def _joined(recipe: Recipe, catalogue: Catalogue) -> Joined | None:
    positions = {field: position for position, field in enumerate((*recipe.fields, *CHECK_FIELDS))}
    vhost, backend = recipe.vhost, recipe.backend + recipe.backend_check
    steps = (vhost.http, recipe.app_id_rule, recipe.server_check, recipe.userlist, blocks.FRONTEND, backend)
    try:
        texts = tuple(catalogue.joined(each, positions) for each in (*steps, *vhost.https))
    except TemplateError:
        return None
    server = catalogue.program(SERVER, {})
    if not isinstance(server, tuple):
        return None
    needs = (vhost.needs_http_map, vhost.needs_https_map, recipe.enters_app_map)
    bits = sum(1 << place for place, needed in enumerate(needs) if needed)
    return Joined(texts, server, recipe.asks_for_check(catalogue, {}), bits)
