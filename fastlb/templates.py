"""The catalogue of named templates: where each text comes from is decided elsewhere, what it means is decided here.

Two languages compile into one thing that can be filled in (DESIGN: rendering a service is a pure function):

- marathon-lb's placeholders, ``{name}``, ``{{``, format specs and ``{healthCheck[path]}`` (COMPAT.md 5.1). Never
  attribute access, which in Python's own formatter leads from any value to the whole process.
- Jinja2, for texts that came from a file named ``*.j2``. It sees the same placeholders, and the `globals` that describe
  the surroundings: HAProxy's dialect, ports, addresses, sockets.

Templates are given as text; this room reads no file and no environment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, groupby
from string import Formatter
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fastlb import kernel
from fastlb.errors import TemplateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastlb._native import Part, Program
    from fastlb.dialect import Dialect
    from fastlb.shapes import Step

HEALTH = """healthCheck healthCheckPortIndex healthCheckPort healthCheckProtocol healthCheckPath
    healthCheckTimeoutSeconds healthCheckIntervalSeconds healthCheckGracePeriodSeconds
    healthCheckMaxConsecutiveFailures healthCheckFalls healthCheckPortOptions"""

OFFERED: dict[str, frozenset[str]] = {
    name: frozenset(names.split())
    for name, names in {
        "BACKEND_HEAD": "backend balance mode",
        "BACKEND_HTTP_HEALTHCHECK_OPTIONS": HEALTH,
        "BACKEND_REDIRECT_HTTP_TO_HTTPS": "bindAddr cleanedUpHostname",
        "BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH": "bindAddr cleanedUpHostname backend",
        "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS": HEALTH,
        "BACKEND_SERVER_OPTIONS": """host host_ipv4 port serverName serverId cookieOptions healthCheckOptions
            otherOptions""",
        "BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS": HEALTH,
        "BACKEND_TCP_HEALTHCHECK_OPTIONS": HEALTH,
        "FRONTEND_BACKEND_GLUE": "backend",
        "FRONTEND_HEAD": "backend bindAddr servicePort sslCert bindOptions mode",
        "HTTPS_FRONTEND_ACL": "cleanedUpHostname hostname appId backend",
        "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH": "path backend cleanedUpHostname hostname realm",
        "HTTPS_FRONTEND_ACL_WITH_AUTH": "cleanedUpHostname hostname appId realm backend",
        "HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH": "cleanedUpHostname hostname appId realm backend path",
        "HTTPS_FRONTEND_ACL_WITH_PATH": "cleanedUpHostname hostname appId backend",
        "HTTPS_FRONTEND_HEAD": "sslCerts",
        "HTTPS_GROUPED_VHOST_BACKEND_HEAD": "name",
        "HTTPS_GROUPED_VHOST_FRONTEND_ACL": "backend host",
        "HTTPS_GROUPED_VHOST_FRONTEND_HEAD": "name sslCerts bindOpts",
        "HTTP_BACKEND_NETWORK_ALLOWED_ACL": "network_allowed",
        "HTTP_BACKEND_PROXYPASS_GLUE": "hostname proxypath",
        "HTTP_BACKEND_REDIR": "hostname redirpath",
        "HTTP_BACKEND_REVPROXY_GLUE": "hostname rootpath",
        "HTTP_FRONTEND_ACL": "cleanedUpHostname hostname backend appId",
        "HTTP_FRONTEND_ACL_ONLY": "cleanedUpHostname hostname",
        "HTTP_FRONTEND_ACL_ONLY_WITH_PATH": "path backend cleanedUpHostname hostname",
        "HTTP_FRONTEND_ACL_ONLY_WITH_PATH_AND_AUTH": "path cleanedUpHostname hostname realm backend",
        "HTTP_FRONTEND_ACL_WITH_AUTH": "cleanedUpHostname hostname appId realm backend",
        "HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH": "cleanedUpHostname hostname path appId realm backend",
        "HTTP_FRONTEND_ACL_WITH_PATH": "cleanedUpHostname hostname path appId backend",
        "HTTP_FRONTEND_APPID_ACL": "cleanedUpAppId hostname appId backend",
        "HTTP_FRONTEND_ROUTING_ONLY": "cleanedUpHostname backend",
        "HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH": "cleanedUpHostname realm backend",
        "HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH": "cleanedUpHostname backend",
        "HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH": "cleanedUpHostname realm backend",
        "MAP_HTTPS_FRONTEND_ACL": "hostname haproxy_dir",
        "MAP_HTTP_FRONTEND_ACL": "haproxy_dir",
        "MAP_HTTP_FRONTEND_ACL_ONLY": "haproxy_dir",
        "MAP_HTTP_FRONTEND_APPID_ACL": "haproxy_dir",
        "TCP_BACKEND_NETWORK_ALLOWED_ACL": "network_allowed",
        "USERLIST_HEAD": "backend user passwd",
    }.items()
}
"""Templates that are filled in, with every placeholder that some use of them offers (COMPAT.md 5.5)."""

VERBATIM = frozenset(
    """
    HEAD HTTP_FRONTEND_HEAD HTTP_FRONTEND_APPID_HEAD HTTPS_GROUPED_FRONTEND_HEAD HTTP_BACKEND_ACL_ALLOW_DENY
    TCP_BACKEND_ACL_ALLOW_DENY BACKEND_HSTS_OPTIONS BACKEND_HTTP_OPTIONS BACKEND_STICKY_OPTIONS
    """.split()
)
"""Templates that are written exactly as they are (COMPAT.md 5.1); as Jinja2 they see the globals only."""

NAMES = VERBATIM | OFFERED.keys()

OPENS_FRONTEND = frozenset({"FRONTEND_HEAD", "HTTPS_GROUPED_VHOST_FRONTEND_HEAD"})
STRIPPED = frozenset({"BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS", "BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS"})
"""Stripped, and then led in by one blank if anything is left (COMPAT.md 5.3)."""

_FIELD = re.compile(r"([^.\[\]!:{}]+)((?:\[[^\]\[{}]+\])*)")
_SPEC = re.compile(r"[^{}]{0,8}")
_WIDE = re.compile(r"[0-9]{4}")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a global template, its language, and where it came from (for messages)."""

    text: str
    jinja: bool
    origin: str


@dataclass(frozen=True, slots=True)
class JinjaProgram:
    """A compiled Jinja2 template with the globals it sees."""

    template: jinja2.Template

    def render(self, values: Mapping[str, Any]) -> str:
        """Fill it in. Raises TemplateError for whatever Jinja2 cannot do with the values."""
        try:
            return self.template.render(values)
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, ArithmeticError) as error:
            raise TemplateError(str(error)) from error


class Catalogue:
    """The global templates, compiled, and the way from a service's own texts to compiled ones."""

    def __init__(self, sources: Mapping[str, Source], dialect: Dialect, globals_: Mapping[str, Any]) -> None:
        """Compile ``sources``, one for each of `NAMES`.

        Raises UsageError naming the origin of a template that cannot be compiled, or uses a placeholder that it is
        never offered.
        """
        self._dialect = dialect
        self._globals = dict(globals_)
        self._environment = ImmutableSandboxedEnvironment(
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )
        self._programs = {name: self._compile_global(name, sources[name]) for name in sorted(NAMES)}

    def fill(self, name: str, overrides: Mapping[str, str], values: Mapping[str, Any], label: str = "") -> str:
        """Fill in template ``name`` for a service whose label texts are ``overrides``.

        ``label`` is the template name under which the label is looked up, if it differs. Raises TemplateError naming
        the template and the placeholder.
        """
        program = self.program(name, overrides, label)
        if not isinstance(program, tuple):
            return program.render(values)
        try:
            return kernel.fill(program, values)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise TemplateError(f"template {name}: {_fill_problem(error, values)}") from error

    def program(self, name: str, overrides: Mapping[str, str], label: str = "") -> Program | JinjaProgram:
        """Return the compiled form of template ``name``: the service's own if it has one, else the global one."""
        text = overrides.get(label or name)
        if text is None:
            return self._programs[name]
        try:
            return _compile(name, text, self._dialect)
        except ValueError as error:
            raise TemplateError(f"template {name}: {error}") from error

    def joined(self, steps: Iterable[Step], positions: Mapping[str, int]) -> Program:
        """Return one program for several global templates in a row, over values by position instead of by name.

        ``positions`` are those of the values that the steps name. Raises TemplateError if a template cannot be joined.
        """
        parts: list[Part] = []
        for step in steps:
            for part in self._joinable(step):
                if isinstance(part, str):
                    parts.append(part)
                elif part[0] in step.fields:
                    parts.append((positions[step.fields[part[0]]], *part[1:]))
                else:
                    raise TemplateError(f"template {step.template}: placeholder {{{part[0]}}} is not offered there")
        return tuple(chain.from_iterable(_merged(texts, run) for texts, run in groupby(parts, _is_text)))

    def _joinable(self, step: Step) -> Program:
        program = self._programs[step.template]
        if isinstance(program, JinjaProgram) and step.template in VERBATIM:
            return (program.render({}),)
        if step.label or not isinstance(program, tuple):
            raise TemplateError(f"template {step.template}: it has to be filled in by itself")
        return program

    def head(self, values: Mapping[str, Any]) -> str:
        """Return the head of the document; a Jinja2 head may use ``values`` besides the globals."""
        program = self._programs["HEAD"]
        head = kernel.fill(program, values) if isinstance(program, tuple) else program.render(values)
        check_head(head)
        return head

    def _compile_global(self, name: str, source: Source) -> Program | JinjaProgram:
        try:
            if source.jinja:
                return self._compile_jinja(name, source.text)
            program = _compile(name, source.text, self._dialect)
            _check_names({part[0] for part in program if not isinstance(part, str)}, OFFERED.get(name, frozenset()))
        except (ValueError, jinja2.TemplateError) as error:
            raise UsageError(f"template HAPROXY_{name} from {source.origin}: {error}") from error
        return program

    def _compile_jinja(self, name: str, text: str) -> JinjaProgram:
        text = self._dialect.adapt_frontend(text) if name in OPENS_FRONTEND else text
        text = _led_in(text) if name in STRIPPED else text
        used = meta.find_undeclared_variables(self._environment.parse(text))
        offered = OFFERED.get(name, HEAD_VALUES if name == "HEAD" else frozenset())
        _check_names(used - self._globals.keys(), offered)
        return JinjaProgram(self._environment.from_string(text, globals=self._globals))


HEAD_VALUES = frozenset({"maxconn", "strict_limits"})
"""What a Jinja2 head is offered besides the globals: they depend on the size of the document."""


def check_head(head: str) -> None:
    """Refuse a head that HAProxy could not be reloaded with (COMPAT.md 6.1). Raises UsageError."""
    if "daemon" in head.split():
        raise UsageError('Error in custom HAPROXY_HEAD template: remove "daemon" from the global section')
    if "expose-fd listeners" not in head:
        raise UsageError(
            'Error in custom HAPROXY_HEAD template: add "stats socket /var/run/haproxy/socket expose-fd listeners" '
            "to the global section"
        )


def default_options_text(options: str) -> str:
    """Render HAPROXY_GLOBAL_DEFAULT_OPTIONS, a comma-separated list, as lines of ``defaults`` (COMPAT.md 2.6)."""
    return "".join(sorted({f"  option            {option.strip()}\n" for option in options.split(",")}))


@lru_cache(maxsize=8192)
def _compile(name: str, text: str, dialect: Dialect) -> Program:
    """Compile a text in the placeholder language. Raises ValueError."""
    if name in VERBATIM:
        return (text,)
    text = dialect.adapt_frontend(text) if name in OPENS_FRONTEND else text
    return compile_placeholders(_led_in(text) if name in STRIPPED else text)


def compile_placeholders(text: str) -> Program:
    """Return the parts of ``text`` as `fastlb.kernel` fills them in. Raises ValueError saying what is not allowed."""
    parts: list[Part] = []
    for literal, field, spec, conversion in Formatter().parse(text):
        if literal:
            parts.append(literal)
        if field is not None:
            parts.append(_part(field, spec or "", conversion))
    return tuple(parts)


def _part(field: str, spec: str, conversion: str | None) -> Part:
    match = _FIELD.fullmatch(field)
    if not field or field.isdigit():
        raise ValueError("a placeholder without a name; write {{ and }} for braces")
    if not match:
        raise ValueError(f"the placeholder {{{field}}} is not allowed; only names and [members] are")
    if not _SPEC.fullmatch(spec) or _WIDE.search(spec):
        raise ValueError(f"the format {spec!r} of placeholder {{{field}}} is not allowed")
    if conversion not in {None, "s", "r", "a"}:
        raise ValueError(f"the conversion !{conversion} of placeholder {{{field}}} does not exist")
    if not match[2] and not spec and not conversion:
        return (match[1],)
    keys = match[2][1:-1].split("][") if match[2] else []
    return (match[1], tuple(int(key) if key.isdigit() else key for key in keys), conversion, spec)


def _is_text(part: Part) -> bool:
    return isinstance(part, str)


def _merged(texts: bool, run: Iterable[Part]) -> Iterable[Part]:
    return ["".join(map(str, run))] if texts else run


def _led_in(text: str) -> str:
    stripped = text.strip()
    return f" {stripped}" if stripped else ""


def _check_names(used: Iterable[str], offered: frozenset[str]) -> None:
    unknown = sorted(set(used) - offered)
    if unknown:
        choice = ", ".join(sorted(offered)) or "none"
        raise ValueError(f"unknown placeholder {{{unknown[0]}}} (offered: {choice})")


def _fill_problem(error: Exception, values: Mapping[str, Any]) -> str:
    if isinstance(error, KeyError) and error.args and error.args[0] not in values:
        return f"placeholder {{{error.args[0]}}} is not offered there"
    return f"a placeholder cannot be filled in: {type(error).__name__} {error}"
