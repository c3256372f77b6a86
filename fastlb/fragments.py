"""One service to its text: the fragment that everything else is joined from (COMPAT.md 6.3 to 6.10).

    Service --outline--> shape --> recipe, remembered --filled in with the service's values--> Fragment

A fragment is a pure function of the service, the templates, the rules and `FirstUse`; nothing here looks at another
service. Where the joined way of a recipe does not exist or fails, the service is written step by step: then an error
names its template, and costs this service only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb import kernel
from fastlb.blocks import FRONTEND
from fastlb.errors import ServiceError, TemplateError
from fastlb.recipes import SERVER, recipe_of
from fastlb.shapes import CHECK_FIELDS, Shape
from fastlb.vhosts import HostEntry, VhostRules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fastlb.model import Rules, Service
    from fastlb.recipes import Joined, Recipe
    from fastlb.shapes import Step
    from fastlb.templates import Catalogue
    from fastlb.vhosts import FirstUse

MAX_RECIPES = 1024
CHECK = slice(2, 3)
FILL_ERRORS = (KeyError, IndexError, ValueError, TypeError, AttributeError)


class Fragment(NamedTuple):
    """The texts of one service for each part of the document, and its map entries.

    ``backend`` is the block up to its ``servers``, of which ``checked`` have a health check.
    """

    userlist: str
    vhost: VhostRules
    appid: str
    frontend: str
    backend: str
    servers: str
    app_entry: tuple[str, str] | None
    checked: int
    remarks: tuple[str, ...]


class FragmentWriter:
    """Writes services with one set of templates and rules, and remembers how those of each shape are written."""

    def __init__(self, catalogue: Catalogue, rules: Rules) -> None:
        self._catalogue = catalogue
        self._rules = rules
        self._recipe = lru_cache(MAX_RECIPES)(self._new_recipe)
        self.plain: tuple[dict[tuple[Any, ...], Joined], ...] = {}, {}
        """How services are written at once that write no map rule: first the later ones of their app, then its first.

        By what `kernel.outline` says; as far as such services were written before.
        """

    def write(self, service: Service, first_use: FirstUse) -> Fragment:
        """Render one service. Raises TemplateError or ServiceError if it cannot be."""
        recipe = self._recipe(kernel.outline(service), first_use)
        if recipe.joined is not None:
            try:
                return _fragment(service, recipe, *_joined_texts(recipe.joined, service))
            except FILL_ERRORS:
                pass  # Step by step it fails again, and then it is known where.
        return _Single(service, recipe, self._catalogue, self._rules).fragment()

    def _new_recipe(self, outline: tuple[Any, ...], first_use: FirstUse) -> Recipe:
        recipe = recipe_of(Shape._make((*outline, *first_use)), self._catalogue, self._rules)
        if recipe.joined is not None and not recipe.vhost.grouped and not any(first_use[:-1]):
            known = self.plain[first_use.of_app]
            if len(known) == MAX_RECIPES:
                known.clear()
            known[outline] = recipe.joined
        return recipe


def _joined_texts(joined: Joined, service: Service) -> tuple[tuple[str, ...], str]:
    """Return the texts in the order of `Joined`, and the server lines. Raises one of `FILL_ERRORS`."""
    values = kernel.service_values(service)
    if joined.with_check:
        values += kernel.check_values(service)
    texts = kernel.fill_each(joined.texts, values)
    return texts, kernel.server_lines(joined.server, service.servers, service.options.sticky, texts[CHECK])


def _fragment(
    service: Service, recipe: Recipe, texts: Sequence[str], servers: str, remarks: tuple[str, ...] = ()
) -> Fragment:
    http, appid, check, userlist, frontend, backend, *https = texts
    vhost, options = recipe.vhost, service.options
    rank = -1 if vhost.writes_map_rule else options.rank
    return Fragment(
        userlist,
        VhostRules(
            http,
            "" if vhost.grouped else https[0],
            rank,
            tuple(_host_entries(service, recipe, rank, https)) if vhost.grouped else (),
            _domains(service) if vhost.needs_https_map else (),
            vhost.needs_http_map,
            vhost.needs_https_map,
        ),
        appid,
        frontend,
        backend,
        servers,
        (service.app_id, service.backend) if recipe.enters_app_map else None,
        len(service.servers) if check or options.sticky else 0,
        remarks,
    )


def _domains(service: Service) -> tuple[tuple[str, str], ...]:
    vhost, backend = service.options.vhost or "", service.backend
    if "," not in vhost:
        return ((vhost, backend),)
    return tuple([(host, backend) for host in dict.fromkeys(vhost.split(","))])


def _host_entries(service: Service, recipe: Recipe, rank: int, https: Iterable[str]) -> Iterator[HostEntry]:
    """Yield what each host gets; an only host to which nothing is added has no entry (COMPAT.md 6.9)."""
    options = service.options
    certificates = () if options.ssl_cert is None else (options.ssl_cert,)
    bind_options = () if options.bind_options is None else (options.bind_options,)
    for host, text in zip((options.vhost or "").split(","), https, strict=False):
        if recipe.shape.hosts > 1 or text or certificates or bind_options:
            yield HostEntry(host, ((rank, text),) if text else (), certificates, bind_options)


class _Single:
    """Writes one service step by step, its own templates included."""

    def __init__(self, service: Service, recipe: Recipe, catalogue: Catalogue, rules: Rules) -> None:
        self.service = service
        self.recipe = recipe
        self.own = service.options.templates
        self.catalogue = catalogue
        self.values = dict(zip(recipe.fields, kernel.service_values(service), strict=True))
        self.values["haproxy_dir"] = rules.haproxy_dir
        self.remarks: list[str] = []

    def fragment(self) -> Fragment:
        recipe, vhost = self.recipe, self.recipe.vhost
        http, *https = [self._fill_all(steps) for steps in (vhost.http, *vhost.https)]
        app_id_rule = self._fill_all(recipe.app_id_rule)
        if recipe.asks_for_check(self.catalogue, self.own):
            self._offer_check()
            checks = self._server_checks()
            backend_steps = recipe.backend + recipe.backend_check
        else:
            checks, backend_steps = [""], recipe.backend
        own = [self._fill_all(steps) for steps in (recipe.userlist, FRONTEND, backend_steps)]
        servers, *texts = map(self._ended, (self._servers(checks), http, app_id_rule, *own, *https))
        texts.insert(CHECK.start, "".join(checks))
        return _fragment(self.service, recipe, texts, servers, tuple(self.remarks))

    def _ended(self, text: str) -> str:
        """End the last line: a template label that leaves it open would write into the line of whoever comes next."""
        return f"{text}\n" if self.own and text and not text.endswith("\n") else text

    def _offer_check(self) -> None:
        try:
            self.values |= zip(CHECK_FIELDS, kernel.check_values(self.service), strict=True)
        except ValueError as error:
            raise ServiceError(str(error)) from error

    def _server_checks(self) -> list[str]:
        """Return ``healthCheckOptions``: one text for all servers, or one per server where their ports differ."""
        steps = self.recipe.server_check
        if self.service.indexed_ports is None:
            return [self._fill_all(steps)]
        checks = []
        for port in self.service.indexed_ports:
            self.values |= {"serverCheckPort": port, "serverCheckPortOptions": f" port {port}" if port else ""}
            checks.append(self._fill_all(steps))
        return checks

    def _fill_all(self, steps: Iterable[Step]) -> str:
        return "".join([self._fill(step) for step in steps])

    def _fill(self, step: Step) -> str:
        """Fill in one template, which a label of the service may replace.

        A label written for the plain form of a map rule mostly asks for what that is not offered; then the global text
        serves (quirk 5), since this one rule routes everybody's hosts, and a remark says so (COMPAT.md 5.4).
        """
        offered = {name: self.values[field] for name, field in step.fields.items()}
        try:
            return self.catalogue.fill(step.template, self.own, offered, label=step.label)
        except TemplateError as error:
            if not step.label:
                raise
            self.remarks.append(
                f"label {step.label} cannot serve the map rule ({error}); the global template is used instead"
            )
            return self.catalogue.fill(step.template, {}, offered)

    def _servers(self, checks: Sequence[str]) -> str:
        servers, sticky = self.service.servers, self.service.options.sticky
        program = self.catalogue.program(SERVER, self.own)
        if not isinstance(program, tuple):
            return "".join(program.render(values) for values in kernel.server_values(servers, sticky, checks))
        try:
            return kernel.server_lines(program, servers, sticky, checks)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ServiceError(f"template {SERVER}: it cannot be filled in: {error}") from error
