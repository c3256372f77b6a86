"""The texts of one service outside the shared frontends on the http and https ports (COMPAT.md 6.4 to 6.6, 6.10).

Pure. Each function says of a shape which templates make one text, in order, and what each of them is offered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb.shapes import CHECK_NAMES, map_step, network_field, step

if TYPE_CHECKING:
    from fastlb.model import Rules
    from fastlb.shapes import Shape, Step

TCP_CHECKS = frozenset({"TCP", "MESOS_TCP"})

FRONTEND = (
    step("FRONTEND_HEAD", "backend bindAddr servicePort sslCert bindOptions mode"),
    step("FRONTEND_BACKEND_GLUE", "backend"),
)


def userlist(shape: Shape) -> tuple[Step, ...]:
    """Return the steps of the userlist of a service with a user."""
    return (step("USERLIST_HEAD", "backend user passwd"),) if shape.user else ()


def enters_app_map(shape: Shape, rules: Rules) -> bool:
    """Whether its app's id leads to it through the app map (COMPAT.md 6.10)."""
    return shape.mode == "http" and shape.of_app and rules.haproxy_map


def app_id_rule(shape: Shape, rules: Rules) -> tuple[Step, ...]:
    """Return the steps of the rule by which its app's id leads to it."""
    if enters_app_map(shape, rules):
        return (map_step("HTTP_FRONTEND_APPID_ACL", "haproxy_dir"),) if shape.appid_map else ()
    if shape.mode == "http" and shape.of_app:
        return (step("HTTP_FRONTEND_APPID_ACL", "cleanedUpAppId appId backend", hostname="vhost"),)
    return ()


def backend(shape: Shape) -> tuple[Step, ...]:
    """Return the steps of the backend block up to its servers, in the order of COMPAT.md 6.5."""
    return (
        step("BACKEND_HEAD", "backend balance mode"),
        *(_http_options(shape) if shape.mode == "http" else ()),
        *_networks(shape),
        *([step("BACKEND_STICKY_OPTIONS")] if shape.sticky else ()),
    )


def backend_check(shape: Shape) -> tuple[Step, ...]:
    """Return the steps of the end of that block, which say how servers are checked."""
    return _checks(shape, "BACKEND", port="healthCheckPort", options="healthCheckPortOptions")


def server_check(shape: Shape) -> tuple[Step, ...]:
    """Return the steps of ``healthCheckOptions``, which stands in the lines of its servers."""
    return _checks(shape, "BACKEND_SERVER", port="serverCheckPort", options="serverCheckPortOptions")


def _http_options(shape: Shape) -> list[Step]:
    steps = [step("BACKEND_HSTS_OPTIONS")] if shape.hsts else []
    steps.append(step("BACKEND_HTTP_OPTIONS"))
    if shape.proxypass:
        steps.append(step("HTTP_BACKEND_PROXYPASS_GLUE", "proxypath", hostname="vhost"))
    if shape.revproxy:
        steps.append(step("HTTP_BACKEND_REVPROXY_GLUE", "rootpath", hostname="vhost"))
    if shape.redirect_path:
        steps.append(step("HTTP_BACKEND_REDIR", "redirpath", hostname="vhost"))
    return steps


def _networks(shape: Shape) -> list[Step]:
    if shape.networks is None or shape.mode not in {"http", "tcp"}:
        return []
    kind = shape.mode.upper()
    fields = map(network_field, range(shape.networks))
    allowed = [step(f"{kind}_BACKEND_NETWORK_ALLOWED_ACL", network_allowed=field) for field in fields]
    return [*allowed, step(f"{kind}_BACKEND_ACL_ALLOW_DENY")]


def _checks(shape: Shape, where: str, port: str, options: str) -> tuple[Step, ...]:
    """Return the health check template that serves a shape (COMPAT.md 6.6), offered the port of its place."""
    if not shape.check:
        return ()
    if shape.mode == "tcp" or shape.protocol in TCP_CHECKS:
        kind = "TCP"
    elif shape.mode == "http":
        kind = "HTTP"
    else:
        return ()
    template = f"{where}_{kind}_HEALTHCHECK_OPTIONS"
    return (step(template, CHECK_NAMES, healthCheckPort=port, healthCheckPortOptions=options),)
