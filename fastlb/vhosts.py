"""The rules of one service in the shared frontends on the http and https ports (COMPAT.md 6.7 to 6.9).

Pure. The tables of COMPAT.md are conditions on four facts of the service: path, auth, redirect, map; here each table is
one function of the service's shape that says which templates are written. What crosses services comes in through
`FirstUse`: whether a map rule of either kind is still to be written, which is the business of the first service that
needs one.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from fastlb.shapes import host_field, map_step, step

if TYPE_CHECKING:
    from fastlb.model import Rules
    from fastlb.shapes import Shape, Step

ONE_HOST = "cleanedUpHostname hostname"


class FirstUse(NamedTuple):
    """Rules that no service before this one has written, and whether it is the first http service of its app."""

    http_map: bool
    https_map: bool
    appid_map: bool
    of_app: bool


class HostEntry(NamedTuple):
    """What a service adds to one host of the grouped https part (COMPAT.md 6.9)."""

    host: str
    texts: tuple[tuple[int, str], ...]
    certificates: tuple[str, ...]
    bind_options: tuple[str, ...]


class VhostRules(NamedTuple):
    """Everything a service contributes to the shared frontends; ``rank`` orders it among the others' texts.

    Where each host has an https frontend of its own, its rules there are in ``hosts``, else in ``https``.
    ``needs_http_map``: a map rule serves it on the http port, whoever writes that rule; likewise on the https port.
    """

    http: str = ""
    https: str = ""
    rank: int = 0
    hosts: tuple[HostEntry, ...] = ()
    domains: tuple[tuple[str, str], ...] = ()
    needs_http_map: bool = False
    needs_https_map: bool = False


class VhostSteps(NamedTuple):
    """The templates of a shape: of the text on the http port, and of the texts on the https port.

    ``https`` are all rules in one text, or one text for each host if each has a frontend of its own.
    ``writes_map_rule``: such a rule is among them, so that they come last among those of all services.
    """

    http: tuple[Step, ...]
    https: tuple[tuple[Step, ...], ...]
    needs_http_map: bool = False
    needs_https_map: bool = False
    writes_map_rule: bool = False
    grouped: bool = False


def vhost_steps(shape: Shape, rules: Rules) -> VhostSteps:
    """Return what is written for a service of this shape; nothing without a vhost label."""
    if not shape.hosts or rules.dont_bind_http_https:
        grouped = rules.group_https_by_vhost
        return VhostSteps((), () if grouped else ((),), grouped=grouped)
    needs_https_map = rules.haproxy_map and not (shape.path or shape.auth)
    needs_http_map = needs_https_map and not shape.redirect
    of_all_hosts = _https_of_all_hosts(shape)
    of_each_host = _https_map_rule(shape) if needs_https_map else _https_rules(shape)
    if rules.group_https_by_vhost:
        https = tuple((*of_all_hosts, *own) for own in of_each_host)
    else:
        https = ((*of_all_hosts, *chain.from_iterable(of_each_host)),)
    return VhostSteps(
        http=_http_map_rule(shape) if needs_http_map else _http_rules(shape),
        https=https,
        needs_http_map=needs_http_map,
        needs_https_map=needs_https_map,
        writes_map_rule=(needs_http_map and shape.http_map) or (needs_https_map and shape.https_map),
        grouped=rules.group_https_by_vhost,
    )


def _http_map_rule(shape: Shape) -> tuple[Step, ...]:
    template = "HTTP_FRONTEND_ACL" if shape.hosts == 1 else "HTTP_FRONTEND_ACL_ONLY"
    return (map_step(template, "haproxy_dir"),) if shape.http_map else ()


def _https_map_rule(shape: Shape) -> tuple[tuple[Step, ...], ...]:
    rule = (map_step("HTTPS_FRONTEND_ACL", "hostname haproxy_dir"),) if shape.https_map else ()
    return (rule, *[()] * (shape.hosts - 1))


def _http_rules(shape: Shape) -> tuple[Step, ...]:
    return _http_of_one_host(shape) if shape.hosts == 1 else _http_of_several_hosts(shape)


def _https_rules(shape: Shape) -> tuple[tuple[Step, ...], ...]:
    return tuple((_https_of_host(shape, host_field(host)),) for host in range(shape.hosts))


def _http_of_one_host(shape: Shape) -> tuple[Step, ...]:
    if shape.path and shape.redirect:
        return (
            step("HTTP_FRONTEND_ACL_ONLY", ONE_HOST),
            step("HTTP_FRONTEND_ACL_ONLY_WITH_PATH", f"{ONE_HOST} path backend"),
            _redirect(shape),
        )
    if shape.path and shape.auth:
        return (step("HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH", f"{ONE_HOST} path appId realm backend"),)
    if shape.path:
        return (step("HTTP_FRONTEND_ACL_WITH_PATH", f"{ONE_HOST} path appId backend"),)
    if shape.redirect:
        return (step("HTTP_FRONTEND_ACL", f"{ONE_HOST} backend"), _redirect(shape))
    if shape.auth:
        return (step("HTTP_FRONTEND_ACL_WITH_AUTH", f"{ONE_HOST} appId realm backend"),)
    return (step("HTTP_FRONTEND_ACL", f"{ONE_HOST} appId backend"),)


def _http_of_several_hosts(shape: Shape) -> tuple[Step, ...]:
    hosts = [host_field(host) for host in range(shape.hosts)]
    acls = [step("HTTP_FRONTEND_ACL_ONLY", "cleanedUpHostname", hostname=host) for host in hosts]
    if shape.path and shape.auth:
        template, names = "HTTP_FRONTEND_ACL_ONLY_WITH_PATH_AND_AUTH", f"path {ONE_HOST} realm backend"
        return (step(template, names), *acls, _routing(shape))
    if shape.path:
        return (step("HTTP_FRONTEND_ACL_ONLY_WITH_PATH", "path backend"), *acls, _routing(shape))
    return (*acls, _routing(shape))


def _routing(shape: Shape) -> Step:
    if shape.redirect:
        return _redirect(shape)
    if shape.path and shape.auth:
        return step("HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH", "cleanedUpHostname realm backend")
    if shape.path:
        return step("HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH", "cleanedUpHostname backend")
    if shape.auth:
        return step("HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH", "cleanedUpHostname realm backend")
    return step("HTTP_FRONTEND_ROUTING_ONLY", "cleanedUpHostname backend")


def _redirect(shape: Shape) -> Step:
    if shape.path:
        return step("BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH", "bindAddr cleanedUpHostname backend")
    return step("BACKEND_REDIRECT_HTTP_TO_HTTPS", "bindAddr cleanedUpHostname")


def _https_of_all_hosts(shape: Shape) -> tuple[Step, ...]:
    if not shape.path:
        return ()
    names = f"path {ONE_HOST} realm backend" if shape.auth and shape.hosts > 1 else "path backend"
    return (step("HTTPS_FRONTEND_ACL_ONLY_WITH_PATH", names),)


def _https_of_host(shape: Shape, hostname: str) -> Step:
    """Return the https rule of one host; a path is offered to that of an only host."""
    names = "cleanedUpHostname appId backend"
    if shape.path and shape.auth:
        template = "HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH"
        return step(template, f"{names} realm path" if shape.hosts == 1 else f"{names} realm", hostname=hostname)
    if shape.path:
        return step("HTTPS_FRONTEND_ACL_WITH_PATH", names, hostname=hostname)
    if shape.auth:
        return step("HTTPS_FRONTEND_ACL_WITH_AUTH", f"{names} realm", hostname=hostname)
    return step("HTTPS_FRONTEND_ACL", names, hostname=hostname)
