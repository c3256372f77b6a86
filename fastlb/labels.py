"""The label table of COMPAT.md 4.1: the HAPROXY_ labels of one service port, from text to checked options.

One row per label: where its value goes and how it is read. A value that is no template must stay inside its field, so
control characters are refused here, at the door; a label that cannot be read costs its own service and nothing else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fastlb.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fastlb.model import ServiceOptions

TRUE_WORDS = frozenset({"true", "t", "yes", "y"})

TEMPLATE_LABELS = frozenset(
    """
    BACKEND_HEAD BACKEND_HSTS_OPTIONS BACKEND_HTTP_HEALTHCHECK_OPTIONS BACKEND_HTTP_OPTIONS
    BACKEND_REDIRECT_HTTP_TO_HTTPS BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH
    BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS BACKEND_SERVER_OPTIONS BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS
    BACKEND_STICKY_OPTIONS BACKEND_TCP_HEALTHCHECK_OPTIONS FRONTEND_BACKEND_GLUE FRONTEND_HEAD
    HTTPS_FRONTEND_ACL HTTPS_FRONTEND_ACL_ONLY_WITH_PATH HTTPS_FRONTEND_ACL_WITH_AUTH
    HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH HTTPS_FRONTEND_ACL_WITH_PATH
    HTTP_BACKEND_NETWORK_ALLOWED_ACL HTTP_BACKEND_PROXYPASS_GLUE HTTP_BACKEND_REVPROXY_GLUE
    HTTP_FRONTEND_ACL HTTP_FRONTEND_ACL_ONLY HTTP_FRONTEND_ACL_ONLY_WITH_PATH
    HTTP_FRONTEND_ACL_ONLY_WITH_PATH_AND_AUTH HTTP_FRONTEND_ACL_WITH_AUTH HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH
    HTTP_FRONTEND_ACL_WITH_PATH HTTP_FRONTEND_APPID_ACL HTTP_FRONTEND_ROUTING_ONLY
    HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH
    HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH TCP_BACKEND_NETWORK_ALLOWED_ACL USERLIST_HEAD
    """.split()
)
"""Names of templates that a label may replace. The four MAP_ labels are accepted and never read (COMPAT.md 5.4)."""

_INDEXED = re.compile(r"HAPROXY_(0|[1-9][0-9]{0,8})_(.+)", re.DOTALL)
_INTEGER = re.compile(r"\s*[+-]?[0-9]+(_[0-9]+)*\s*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
MAX_CHARACTERS = 65_536
"""Of one label: far beyond what anybody writes by hand, and what one of 50 MB would be made into is not held either."""

_MAX_DIGITS = 20  # far beyond any port or rank, and cheap to convert


def by_index(labels: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """Sort the labels of an app by the index of their service port: index -> name after the index -> value."""
    indexed: dict[int, dict[str, Any]] = {}
    for label, value in labels.items():
        match = _INDEXED.fullmatch(label) if label.startswith("HAPROXY_") else None
        if match and value is not None:
            indexed.setdefault(int(match[1]), {})[match[2]] = value
    return indexed


def parse(index: int, labels: Mapping[str, Any], defaults: ServiceOptions) -> ServiceOptions:
    """Return ``defaults`` changed by the labels of service port ``index`` (names without prefix, from `by_index`).

    Raises ServiceError naming the label and what is wrong with its value.
    """
    if not labels:
        return defaults
    values: dict[str, Any] = {}
    templates: dict[str, str] = {}
    for name, value in labels.items():
        if name not in LABELS:
            continue
        field, kind = LABELS[name]
        where = f"HAPROXY_{index}_{name}"
        if kind == "template":
            templates[name] = _string(where, value).replace("\r\n", "\n")
        elif kind == "auth":
            values["realm"], values["user"], values["password"] = _auth(where, value)
        else:
            values[field] = _READERS[kind](where, value)
    # A PATH label turns a rank of 0 into 1, an explicit 0 included (COMPAT.md 3.6 rule 3).
    if "path" in values and values.get("rank", 0) == 0:
        values["rank"] = 1
    return defaults._replace(**values, templates=templates)


def _string(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise ServiceError(f"label {where} is {value!r:.80}, a text is needed")
    _check_length(where, value)
    return value


def _check_length(where: str, value: str) -> None:
    if len(value) > MAX_CHARACTERS:
        raise ServiceError(f"label {where} has {len(value)} characters, at most {MAX_CHARACTERS} are read")


def _text(where: str, value: object) -> str:
    text = _string(where, value)
    if _CONTROL.search(text):
        raise ServiceError(f"label {where} is {text[:80]!r}, which contains a line break or control character")
    return text


def _lower(where: str, value: object) -> str:
    return _text(where, value).lower()


def _vhost(where: str, value: object) -> str:
    """Read host names; blanks around one are kept (COMPAT.md 6.7), a blank inside one would end its field."""
    text = _lower(where, value)
    for host in text.split(","):
        if len(host.split()) > 1:
            raise ServiceError(f"label {where} has the host name {host!r}, which contains a blank")
    return text


def _bool(where: str, value: object) -> bool:
    return _text(where, value).lower() in TRUE_WORDS


def _int(where: str, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    text = _string(where, value)
    if not _INTEGER.fullmatch(text) or len(text) > _MAX_DIGITS:
        raise ServiceError(f"label {where} is {text[:80]!r}, an integer is needed")
    return int(text)


def _port(where: str, value: object) -> int:
    port = _int(where, value)
    if not 0 <= port <= 65535:
        raise ServiceError(f"label {where} is {port}, a port from 0 to 65535 is needed")
    return port


def _texts(where: str, value: object) -> tuple[str, ...]:
    return tuple(_text(where, value).split(","))


def _auth(where: str, value: object) -> tuple[str, str, str]:
    if not isinstance(value, str) or _CONTROL.search(value):
        raise ServiceError(f"label {where} is no text without line breaks and control characters (not shown: a secret)")
    _check_length(where, value)
    parts = value.split(":")
    if len(parts) != 3:
        raise ServiceError(f"label {where} has {len(parts) - 1} colons, realm:user:password needs exactly two")
    realm, user, password = parts
    if len(user.split()) > 1 or len(password.split()) > 1:
        raise ServiceError(f"label {where}: user and password must not contain a blank")
    if '"' in realm:
        raise ServiceError(f"label {where}: the realm must not contain a quotation mark")
    return realm, user, password


_READERS: dict[str, Callable[[str, object], Any]] = {
    "bool": _bool,
    "int": _int,
    "lower": _lower,
    "port": _port,
    "text": _text,
    "texts": _texts,
    "vhost": _vhost,
}

VALUE_LABELS = {
    "AUTH": ("realm", "auth"),
    "BACKEND_HEALTHCHECK_PORT_INDEX": ("health_port_index", "int"),
    "BACKEND_NETWORK_ALLOWED_ACL": ("networks_allowed", "text"),
    "BACKEND_WEIGHT": ("rank", "int"),
    "BALANCE": ("balance", "text"),
    "BIND_ADDR": ("bind_address", "text"),
    "BIND_OPTIONS": ("bind_options", "text"),
    "ENABLED": ("enabled", "bool"),
    "GROUP": ("groups", "texts"),
    "HTTP_BACKEND_PROXYPASS_PATH": ("proxypass_path", "text"),
    "HTTP_BACKEND_REDIR": ("redirect_path", "text"),
    "HTTP_BACKEND_REVPROXY_PATH": ("revproxy_path", "text"),
    "KEEP_CONNECTIONS": ("keep_connections", "bool"),
    "MODE": ("mode", "lower"),
    "PATH": ("path", "text"),
    "PORT": ("port", "port"),
    "REDIRECT_TO_HTTPS": ("redirect_to_https", "bool"),
    "SSL_CERT": ("ssl_cert", "text"),
    "STICKY": ("sticky", "bool"),
    "USE_HSTS": ("use_hsts", "bool"),
    "VHOST": ("vhost", "vhost"),
}
"""Where the value of each label goes (AUTH fills two more) and how it is read."""

LABELS: dict[str, tuple[str, str]] = {**VALUE_LABELS, **dict.fromkeys(TEMPLATE_LABELS, ("templates", "template"))}
"""Every label of a service port: name -> option, kind."""
