"""The policy file, TOML, to a Policy (docs/policy.md); whatever is not understood is refused, with its place.

    path --read_policy--> text --parse_policy--> Policy

It must not know what becomes of a policy. One of which a part were passed over would protect less than it says.
"""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastlb.errors import UsageError
from fastlb.labels import LABELS, TEMPLATE_LABELS
from fastlb.model import LabelRule, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastlb.model import Owners

DEPLOYMENT_GROUP = "DEPLOYMENT_GROUP"
EVERY_LABEL = frozenset({*LABELS, DEPLOYMENT_GROUP})
WORDS = {"*": EVERY_LABEL, "TEMPLATES": TEMPLATE_LABELS}
TABLES = ("labels", "vhosts", "ports", "deployment_groups")
RULE_KEYS = ("apps", "groups", "allow", "deny")
HIGHEST_PORT = 65535

_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_PREFIX = re.compile(r"/|(/[^/\s]+)+/?")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def read_policy(path: str | None) -> Policy | None:
    """Return what a policy file says, None without one. Raises UsageError naming the file and what is wrong in it."""
    if path is None:
        return None
    try:
        return parse_policy(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, UsageError) as error:
        raise UsageError(f"--policy {path}: {error}") from error


def parse_policy(text: str) -> Policy:
    """Return the policy that a file says. Raises UsageError naming what is wrong, and where."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"it is no TOML: {error}") from error
    _demand_known("the file", tables, TABLES)
    rules = tables.get("labels", [])
    if not isinstance(rules, list):
        raise UsageError("labels is no list of tables: [[labels]] is needed")
    return Policy(
        labels=tuple(_rule(f"rule {number} of labels", rule) for number, rule in enumerate(rules, 1)),
        vhosts={_host(name): owners for name, owners in _reserved("vhosts", tables)},
        ports=_ports(_reserved("ports", tables)),
        deployment_groups={name.removeprefix("/"): owners for name, owners in _reserved("deployment_groups", tables)},
    )


def _rule(where: str, rule: Any) -> LabelRule:
    if not isinstance(rule, dict):
        raise UsageError(f"{where} is no table: [[labels]] is needed")
    _demand_known(where, rule, RULE_KEYS)
    allowed = _labels(f"allow in {where}", rule["allow"]) if "allow" in rule else EVERY_LABEL
    denied = _labels(f"deny in {where}", rule.get("deny", []))
    return LabelRule(
        prefixes=_owners(f"apps in {where}", rule["apps"]) if "apps" in rule else None,
        groups=frozenset(_texts(f"groups in {where}", rule["groups"])) if "groups" in rule else None,
        allowed=allowed - denied,
    )


def _labels(where: str, value: Any) -> frozenset[str]:
    """Read names of labels, without what comes before them; ``*`` and ``TEMPLATES`` stand for several."""
    names = _texts(where, value)
    unknown = [name for name in names if name not in EVERY_LABEL and name not in WORDS]
    if unknown:
        raise UsageError(f"{where}: there is no label HAPROXY_{{n}}_{unknown[0]}")
    return frozenset().union(*(WORDS.get(name, {name}) for name in names))


def _reserved(table: str, tables: Mapping[str, Any]) -> Iterable[tuple[str, Owners]]:
    entries = tables.get(table, {})
    if not isinstance(entries, dict):
        raise UsageError(f"{table} is no table: [{table}] is needed")
    return [(name, _owners(f"{name!r} in {table}", value)) for name, value in entries.items()]


def _host(name: str) -> str:
    host = name.lower().rstrip(".")
    if not _HOST.fullmatch(host):
        raise UsageError(f"{name!r} in vhosts is no host name, nor one with *. in front")
    return host


def _ports(entries: Iterable[tuple[str, Owners]]) -> tuple[tuple[int, int, Owners], ...]:
    ranges = []
    for name, owners in entries:
        match = _PORTS.fullmatch(name)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not 0 <= low <= high <= HIGHEST_PORT:
            raise UsageError(f"{name!r} in ports is no port from 0 to {HIGHEST_PORT}, nor a range such as 10000-10099")
        ranges.append((low, high, owners))
    ranges.sort()
    for one, other in pairwise(ranges):
        if other[0] <= one[1]:
            raise UsageError(f"port {other[0]} is reserved twice in ports")
    return tuple(ranges)


def _owners(where: str, value: Any) -> Owners:
    prefixes = _texts(where, value)
    for prefix in prefixes:
        if not _PREFIX.fullmatch(prefix):
            raise UsageError(f"{where}: {prefix!r} is no app id, which begins with a slash")
    return tuple(prefix if prefix == "/" else prefix.rstrip("/") for prefix in prefixes)


def _texts(where: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"{where} is no list of texts")
    return value


def _demand_known(where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    unknown = [name for name in table if name not in known]
    if unknown:
        raise UsageError(f"{where} has {unknown[0]!r}, which means nothing; there are {', '.join(known)}")
