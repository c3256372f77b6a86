"""What apps may ask for, as an operator says (docs/policy.md): which labels, vhosts, service ports, deployment groups.

    App --admitted--> App without denied labels;  its services --permitted--> those, and the vhosts, that it may have

Pure: what becomes of an app depends on the app and the policy alone, so that it can be decided again whenever one of
them changes. A denied label counts as absent, unless that could let in whom it keeps out: then its service is left out.
What cannot be compared with what is reserved is not let through either. Nothing of it is a mistake, for which an app
would go on in its last good form: whether a service is there to be left out depends on its tasks.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from fastlb import deployment, kernel
from fastlb.deployment import GROUP
from fastlb.labels import LABELS, by_index
from fastlb.model import App, Note, Policy, Service

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from fastlb.model import LabelRule, Owners, Rules

NARROWING = frozenset(
    """
    AUTH BACKEND_NETWORK_ALLOWED_ACL BIND_ADDR BIND_OPTIONS ENABLED GROUP PATH REDIRECT_TO_HTTPS SSL_CERT
    """.split()
)
"""Labels without which a service may be open to more than with them, or stand in the way of more."""

_PLAIN_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|\*(\.[a-z0-9_-]+)+")
_PORT = re.compile(r":[0-9]*")


class Admitted(NamedTuple):
    """An app without the labels that it may not use; the indexes of services that are left out; what is to be said."""

    app: App
    barred: frozenset[int]
    notes: tuple[Note, ...]


def admitted(app: App, policy: Policy) -> Admitted:
    """Return what a policy makes of the labels of one app."""
    denied = dict(_denied(app, policy))
    if not denied:
        return Admitted(app, frozenset(), ())
    notes = tuple(
        Note(app.id, f"label {label}: {reason}; the label is ignored", left_out=False, cause="policy")
        for label, (index, reason) in denied.items()
        if index is None or _name(label) not in NARROWING
    )
    barred = frozenset(index for label, (index, _) in denied.items() if index is not None and _name(label) in NARROWING)
    labels = {label: value for label, value in app.labels.items() if label not in denied}
    return Admitted(app._replace(labels=labels), barred, notes)


def known_as(app: App, policy: Policy | None) -> str:
    """Return the id under which HAProxy knows an app: that of its deployment group, if it may be in one."""
    return deployment.known_as(app if policy is None else admitted(app, policy).app)


def permitted(
    services: Iterable[Service], app_ids: Sequence[str], barred: Container[int], policy: Policy, rules: Rules
) -> tuple[list[Service], list[Note]]:
    """Return the services that a policy lets through, each with the vhosts that it may have, and what is to be said.

    ``app_ids`` are Marathon's apps that they stand for; ``barred`` the indexes of services with a label that is denied.
    """
    kept, notes = [], []
    for service in services:
        reason = _why_not(service, app_ids, barred, policy, rules)
        if reason:
            notes.append(Note(service.app_id, f"{reason}; left out", service.port, cause="policy"))
            continue
        refused = dict(_refused_hosts(service, app_ids, policy))
        for host, why in refused.items():
            text = f"vhost {host[:80]!r} {why}; it is not routed"
            notes.append(Note(service.app_id, text, service.port, left_out=False, cause="policy"))
        kept.append(without_hosts(service, refused) if refused else service)
    return kept, notes


def without_hosts(service: Service, hosts: Iterable[str]) -> Service:
    """Return the service without some of its vhosts."""
    gone = set(hosts)
    left = [host for host in (service.options.vhost or "").split(",") if host not in gone]
    return service._replace(options=service.options._replace(vhost=",".join(left) if left else None))


def is_below(app_id: str, prefixes: Owners) -> bool:
    """Whether an app is named by, or lies below, one of the prefixes; a prefix ends where a word of the id ends."""
    return any(app_id == prefix or app_id.startswith(f"{prefix.rstrip('/')}/") for prefix in prefixes)


def _denied(app: App, policy: Policy) -> Iterator[tuple[str, tuple[int | None, str]]]:
    """Yield each label that the app may not use, with the index of its service (None: of the app) and the reason."""
    number, rule = next(((n, rule) for n, rule in enumerate(policy.labels, 1) if _concerns(rule, app)), (0, None))
    group = app.labels.get(GROUP)
    owners = policy.deployment_groups.get(group.removeprefix("/")) if isinstance(group, str) else None
    if owners is not None and not is_below(app.id, owners):
        yield GROUP, (None, f"deployment group {group} is reserved for apps below {_listed(owners)}")
    if rule is None:
        return
    reason = f"the policy does not allow it here (labels, rule {number})"
    if group is not None and "DEPLOYMENT_GROUP" not in rule.allowed:
        yield GROUP, (None, reason)
    for index, values in by_index(app.labels).items():
        for name in values.keys() & LABELS.keys() - rule.allowed:
            yield f"HAPROXY_{index}_{name}", (index, reason)


def _concerns(rule: LabelRule, app: App) -> bool:
    if rule.prefixes is not None and not is_below(app.id, rule.prefixes):
        return False
    return rule.groups is None or not rule.groups.isdisjoint(_groups(app.labels))


def _groups(labels: Mapping[str, object]) -> set[str]:
    named = (str(value) for name, value in labels.items() if name.startswith("HAPROXY_") and name.endswith("GROUP"))
    return {group for value in named for group in value.split(",")}


def _name(label: str) -> str:
    return label.split("_", 2)[2]


def _why_not(service: Service, app_ids: Sequence[str], barred: Container[int], policy: Policy, rules: Rules) -> str:
    """Return why a service is left out, nothing if it is not."""
    if service.port_index in barred:
        return "a label that says who may use it, and how, is not allowed here by the policy"
    owners = next((owners for low, high, owners in policy.ports if low <= service.port <= high), None)
    if owners is not None and not _are_below(app_ids, owners):
        return f"the policy reserves this service port for apps below {_listed(owners)}"
    address = service.options.bind_address
    if policy.ports and not (address == rules.bind_address or _is_one_address(address)):
        return f"the bind address {address[:80]!r} is no single address, so it may name ports that are reserved"
    return ""


def _is_one_address(address: str) -> bool:
    try:
        return address in {"*", ""} or bool(ipaddress.ip_address(address.strip("[]")))
    except ValueError:
        return False


def _refused_hosts(service: Service, app_ids: Sequence[str], policy: Policy) -> Iterator[tuple[str, str]]:
    """Yield the vhosts that a service may not have, each with the reason; all if its rules could become another's."""
    if not policy.vhosts or not service.options.vhost:
        return
    left = []
    for host in service.options.vhost.split(","):
        name = _PORT.sub("", host.strip()).rstrip(".")
        owners = _owners_of(name, policy.vhosts)
        if not _PLAIN_HOST.fullmatch(name):
            yield host, "is no plain host name, which the policy could be asked about"
        elif owners is not None and not _are_below(app_ids, owners):
            yield host, f"is reserved by the policy for apps below {_listed(owners)}"
        else:
            left.append(host)
    if left and any(_stands_in_for(left[0], service.app_id, app_ids, each) for each in policy.vhosts.items()):
        yield from ((host, "would get the rules of a vhost that the policy reserves") for host in left)


def _owners_of(host: str, reserved: Mapping[str, Owners]) -> Owners | None:
    """Return who may have a host: by its own name, else by the longest name with ``*.`` that it is below."""
    if host in reserved:
        return reserved[host]
    labels = host.split(".")
    wild = (f"*.{'.'.join(labels[start:])}" for start in range(1, len(labels)))
    return next((reserved[name] for name in wild if name in reserved), None)


def _stands_in_for(host: str, hap_id: str, app_ids: Sequence[str], reserved: tuple[str, Owners]) -> bool:
    """Whether the names that rules for ``host`` get (COMPAT.md 6.3) could be those of rules for a reserved host.

    They join host and app id with underscores, in place of dots and slashes, so that two pairs may give one name.
    """
    pattern, owners = reserved
    if _are_below(app_ids, owners):
        return False
    name = f"_{kernel.clean(host)}_{hap_id[1:].replace('/', '_')}_"
    stems = (f"_{kernel.clean(pattern.removeprefix('*.'))}_{each[1:].replace('/', '_')}_" for each in owners)
    return any(stem in name if pattern.startswith("*.") else name.startswith(stem) for stem in stems)


def _are_below(app_ids: Iterable[str], owners: Owners) -> bool:
    return all(is_below(app_id, owners) for app_id in app_ids)


def _listed(owners: Owners) -> str:
    return ", ".join(owners)
