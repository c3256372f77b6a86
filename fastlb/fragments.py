"""One service to its text: the fragment that everything else is joined from (COMPAT.md 6.4 to 6.6, 6.10).

A fragment is a pure function of the service, the templates, the rules and `FirstUse`; nothing here looks at another
service. A template that cannot be filled in raises, and costs this service only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb import kernel
from fastlb.errors import ServiceError
from fastlb.vhosts import VhostRules, map_rule, vhost_rules

if TYPE_CHECKING:
    from fastlb.model import HealthCheck, Rules, Service
    from fastlb.templates import Catalogue
    from fastlb.vhosts import FirstUse

HEALTH_MEMBERS = ("timeoutSeconds", "intervalSeconds", "gracePeriodSeconds", "maxConsecutiveFailures")


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

    @property
    def needs_appid_map(self) -> bool:
        """Whether a map rule serves its app's id, whoever writes that rule."""
        return self.app_entry is not None


def render_fragment(service: Service, catalogue: Catalogue, rules: Rules, first_use: FirstUse) -> Fragment:
    """Render one service. Raises TemplateError or ServiceError if it cannot be."""
    writer = _Writer(service, catalogue, rules)
    vhost = vhost_rules(service, catalogue, rules, first_use)
    appid, app_entry, remarks = writer.app_id_rule(first_use)
    health = writer.server_health()
    return Fragment(
        userlist=writer.userlist(),
        vhost=vhost,
        appid=appid,
        frontend=writer.frontend(),
        backend=writer.backend(),
        servers=writer.servers(health),
        app_entry=app_entry,
        checked=len(service.servers) if service.options.sticky or any(health) else 0,
        remarks=(*vhost.remarks, *remarks),
    )


class _Writer:
    """Fills in the templates of one service."""

    def __init__(self, service: Service, catalogue: Catalogue, rules: Rules) -> None:
        self.service = service
        self.options = service.options
        self.catalogue = catalogue
        self.rules = rules

    def userlist(self) -> str:
        if not self.options.user:
            return ""
        return self._fill(
            "USERLIST_HEAD", backend=self.service.backend, user=self.options.user, passwd=self.options.password
        )

    def frontend(self) -> str:
        options, service = self.options, self.service
        head = self._fill(
            "FRONTEND_HEAD",
            backend=service.backend,
            bindAddr=options.bind_address,
            servicePort=service.port,
            sslCert=f" ssl crt {options.ssl_cert}" if options.ssl_cert else "",
            bindOptions=f" {options.bind_options}" if options.bind_options else "",
            mode=service.mode,
        )
        return head + self._fill("FRONTEND_BACKEND_GLUE", backend=service.backend)

    def app_id_rule(self, first_use: FirstUse) -> tuple[str, tuple[str, str] | None, tuple[str, ...]]:
        """Return the rule of the app-id frontend, the entry of the app map (COMPAT.md 6.10), and remarks."""
        service = self.service
        if service.mode != "http" or not first_use.of_app:
            return "", None, ()
        if self.rules.haproxy_map:
            entry = (service.app_id, service.backend)
            values = {"haproxy_dir": self.rules.haproxy_dir}
            if not first_use.appid_map:
                return "", entry, ()
            rule, remarks = map_rule("HTTP_FRONTEND_APPID_ACL", service, self.catalogue, values)
            return rule, entry, remarks
        rule = self._fill(
            "HTTP_FRONTEND_APPID_ACL",
            cleanedUpAppId=kernel.clean(service.app_id),
            hostname=self.options.vhost,
            appId=service.app_id,
            backend=service.backend,
        )
        return rule, None, ()

    def backend(self) -> str:
        """Return the backend block up to its servers, in the order of COMPAT.md 6.5."""
        service, options = self.service, self.options
        head = self._fill("BACKEND_HEAD", backend=service.backend, balance=options.balance, mode=service.mode)
        parts = [head]
        if service.mode == "http":
            parts += self._http_parts()
        if service.mode in {"http", "tcp"} and options.networks_allowed:
            parts += self._network_parts("HTTP" if service.mode == "http" else "TCP")
        if options.sticky:
            parts.append(self._fill("BACKEND_STICKY_OPTIONS"))
        parts.append(self._backend_health())
        return "".join(parts)

    def _http_parts(self) -> list[str]:
        options, host = self.options, self.options.vhost
        parts = [self._fill("BACKEND_HSTS_OPTIONS")] if options.use_hsts else []
        parts.append(self._fill("BACKEND_HTTP_OPTIONS"))
        if options.proxypass_path:
            parts.append(self._fill("HTTP_BACKEND_PROXYPASS_GLUE", hostname=host, proxypath=options.proxypass_path))
        if options.revproxy_path:
            parts.append(self._fill("HTTP_BACKEND_REVPROXY_GLUE", hostname=host, rootpath=options.revproxy_path))
        if options.redirect_path:
            parts.append(self._fill("HTTP_BACKEND_REDIR", hostname=host, redirpath=options.redirect_path))
        return parts

    def _network_parts(self, kind: str) -> list[str]:
        networks = (self.options.networks_allowed or "").split()
        parts = [self._fill(f"{kind}_BACKEND_NETWORK_ALLOWED_ACL", network_allowed=network) for network in networks]
        return [*parts, self._fill(f"{kind}_BACKEND_ACL_ALLOW_DENY")]

    def _backend_health(self) -> str:
        check, kind = self.service.health_check, self._health_kind()
        name = f"BACKEND_{kind}_HEALTHCHECK_OPTIONS"
        if check is None or kind is None or self._is_empty(name):
            return ""
        ports = self.service.indexed_ports
        port = ports[0] if ports else self.service.servers[0].port
        return self._fill(name, **health_values(check, port))

    def server_health(self) -> list[str]:
        """Return ``healthCheckOptions``: one text for all servers, or one per server where their ports differ."""
        check, kind = self.service.health_check, self._health_kind()
        name = f"BACKEND_SERVER_{kind}_HEALTHCHECK_OPTIONS"
        if check is None or kind is None or self._is_empty(name):
            return [""]
        ports = (check.port,) if self.service.indexed_ports is None else self.service.indexed_ports
        return [self._fill(name, **health_values(check, port)) for port in ports]

    def servers(self, health: list[str]) -> str:
        service, templates = self.service, self.options.templates
        program = self.catalogue.program("BACKEND_SERVER_OPTIONS", templates)
        if not isinstance(program, tuple):
            every = kernel.server_values(service.servers, self.options.sticky, health)
            return "".join(program.render(values) for values in every)
        try:
            return kernel.server_lines(program, service.servers, self.options.sticky, health)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise ServiceError(f"template BACKEND_SERVER_OPTIONS: it cannot be filled in: {error}") from error

    def _health_kind(self) -> str | None:
        """Return which pair of health check templates serves this service (COMPAT.md 6.6)."""
        check, mode = self.service.health_check, self.service.mode
        if check is None:
            return None
        if mode == "tcp" or check.protocol in {"TCP", "MESOS_TCP"}:
            return "TCP"
        return "HTTP" if mode == "http" else None

    def _is_empty(self, name: str) -> bool:
        return self.catalogue.program(name, self.options.templates) == ()

    def _fill(self, template: str, **values: Any) -> str:
        return self.catalogue.fill(template, self.options.templates, values)


def health_values(check: HealthCheck, port: int | None) -> dict[str, Any]:
    """Return what the health check templates are offered (COMPAT.md 6.6). Raises ServiceError naming what lacks."""
    missing = [name for name in HEALTH_MEMBERS if name not in check.members]
    if missing:
        raise ServiceError(f"its health check has no {missing[0]}")
    path = check.members.get("path", "/")
    if not isinstance(path, str) or not path.isprintable():
        raise ServiceError(f"its health check path is {path!r}, which contains a line break or control character")
    odd = [name for name in HEALTH_MEMBERS if not isinstance(check.members[name], int)]
    if odd:
        raise ServiceError(f"{odd[0]} of its health check is {check.members[odd[0]]!r}, an integer is needed")
    values = {f"healthCheck{name[0].upper()}{name[1:]}": check.members[name] for name in HEALTH_MEMBERS}
    return values | {
        "healthCheck": check.members,
        "healthCheckPortIndex": check.port_index,
        "healthCheckPort": port,
        "healthCheckProtocol": check.protocol,
        "healthCheckPath": path,
        "healthCheckFalls": check.members["maxConsecutiveFailures"] + 1,
        "healthCheckPortOptions": f" port {port}" if port else "",
    }
