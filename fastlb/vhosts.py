"""The rules of one service in the shared frontends on the http and https ports (COMPAT.md 6.7 to 6.9).

Pure. The tables of COMPAT.md are conditions on four facts of the service: path, auth, redirect, map; here each table is
one function that says which templates are written. What crosses services comes in as `first_use`: whether a map rule
of either kind is still to be written, which is the business of the first service that needs one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from fastlb import kernel
from fastlb.errors import TemplateError

if TYPE_CHECKING:
    from fastlb.model import Rules, Service
    from fastlb.templates import Catalogue


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

    ``needs_http_map``: a map rule serves it on the http port, whoever writes that rule; likewise on the https port.
    """

    http: str = ""
    https: str = ""
    rank: int = 0
    hosts: tuple[HostEntry, ...] = ()
    domains: tuple[tuple[str, str], ...] = ()
    needs_http_map: bool = False
    needs_https_map: bool = False
    remarks: tuple[str, ...] = ()


def vhost_rules(service: Service, catalogue: Catalogue, rules: Rules, first_use: FirstUse) -> VhostRules:
    """Return the rules of ``service``; nothing without a vhost label. Raises TemplateError."""
    if not service.options.vhost or rules.dont_bind_http_https:
        return VhostRules(rank=service.options.rank)
    writer = _Writer(service, catalogue, rules, first_use)
    if len(writer.names) == 1:
        writer.write_one_host()
    else:
        writer.write_several_hosts()
    return VhostRules(
        http="".join(writer.http),
        https="".join(writer.https),
        rank=writer.rank,
        hosts=tuple(writer.entries),
        domains=tuple(dict.fromkeys(writer.domains)),
        needs_http_map=writer.needs_http_map,
        needs_https_map=writer.needs_https_map,
        remarks=tuple(writer.remarks),
    )


@dataclass(slots=True)
class _Writer:
    """The state while the rules of one service are written: the texts so far, and its rank, which a map rule sets."""

    service: Service
    catalogue: Catalogue
    rules: Rules
    first_use: FirstUse
    http: list[str] = field(default_factory=list)
    https: list[str] = field(default_factory=list)
    entries: list[HostEntry] = field(default_factory=list)
    domains: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    needs_http_map: bool = False
    needs_https_map: bool = False
    rank: int = 0
    names: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    path: bool = False
    auth: bool = False
    redirect: bool = False

    def __post_init__(self) -> None:
        options = self.service.options
        self.rank = options.rank
        self.names = (options.vhost or "").split(",")
        self.path, self.auth, self.redirect = bool(options.path), bool(options.realm), options.redirect_to_https
        app = self.service.app_id[1:].replace("/", "_")
        self.values = {
            "backend": self.service.backend,
            "appId": self.service.app_id,
            "realm": options.realm,
            "path": options.path,
            "bindAddr": options.bind_address,
            "hostname": self.names[0],
            "cleanedUpHostname": f"{kernel.clean(self.names[0])}_{app}",
        }

    def write_one_host(self) -> None:
        self.http += self._one_host_http()
        texts = []
        for text in self._one_host_https():
            self.https.append(text)
            texts.append((self.rank, text))
        options = self.service.options
        if texts or options.ssl_cert is not None or options.bind_options is not None:
            self._enter_host(self.names[0], texts)

    def _one_host_http(self) -> list[str]:
        host = "cleanedUpHostname hostname"
        if self.path and self.redirect:
            return [
                self._fill("HTTP_FRONTEND_ACL_ONLY", host),
                self._fill("HTTP_FRONTEND_ACL_ONLY_WITH_PATH", f"{host} path backend"),
                self._fill("BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH", "bindAddr cleanedUpHostname backend"),
            ]
        if self.path and self.auth:
            return [self._fill("HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH", f"{host} path appId realm backend")]
        if self.path:
            return [self._fill("HTTP_FRONTEND_ACL_WITH_PATH", f"{host} path appId backend")]
        if self.redirect:
            return [
                self._fill("HTTP_FRONTEND_ACL", f"{host} backend"),
                self._fill("BACKEND_REDIRECT_HTTP_TO_HTTPS", "bindAddr cleanedUpHostname"),
            ]
        if self.auth:
            return [self._fill("HTTP_FRONTEND_ACL_WITH_AUTH", f"{host} appId realm backend")]
        if self.rules.haproxy_map:
            return self._http_map("HTTP_FRONTEND_ACL", self.names[0])
        return [self._fill("HTTP_FRONTEND_ACL", f"{host} appId backend")]

    def _one_host_https(self) -> list[str]:
        host = "cleanedUpHostname hostname"
        if self.path:
            acl = self._fill("HTTPS_FRONTEND_ACL_ONLY_WITH_PATH", "path backend")
            if self.auth:
                names = f"{host} path appId realm backend"
                return [acl, self._fill("HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH", names)]
            return [acl, self._fill("HTTPS_FRONTEND_ACL_WITH_PATH", f"{host} appId backend")]
        return self._https_routing(self.names[0])

    def _https_routing(self, name: str) -> list[str]:
        """Write the https rule of one host; several hosts share it but for the path that one host offers."""
        self.values["hostname"] = name
        host = "cleanedUpHostname hostname appId"
        if self.path and self.auth:
            return [self._fill("HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH", f"{host} realm backend")]
        if self.path:
            return [self._fill("HTTPS_FRONTEND_ACL_WITH_PATH", f"{host} backend")]
        if self.auth:
            return [self._fill("HTTPS_FRONTEND_ACL_WITH_AUTH", f"{host} realm backend")]
        if self.rules.haproxy_map:
            return self._https_map(name)
        return [self._fill("HTTPS_FRONTEND_ACL", f"{host} backend")]

    def write_several_hosts(self) -> None:
        setup = self._write_setup()
        plain_map = self.rules.haproxy_map and not (self.path or self.auth or self.redirect)
        for name in self.names:
            texts = [(self.rank, setup)]
            self.values["hostname"] = name
            if plain_map:
                self.http += self._http_map("HTTP_FRONTEND_ACL_ONLY", name)
            else:
                self.http.append(self._fill("HTTP_FRONTEND_ACL_ONLY", "cleanedUpHostname hostname"))
            for text in self._https_routing(name):
                self.https.append(text)
                texts.append((self.rank, text))
            self._enter_host(name, texts)
        if not plain_map:
            self.http.append(self._routing())

    def _write_setup(self) -> str:
        """Write the ACLs that all hosts share; return the https one, which each grouped host repeats."""
        if not self.path:
            return ""
        names = "path cleanedUpHostname hostname realm backend" if self.auth else "path backend"
        suffix = "_AND_AUTH" if self.auth else ""
        self.http.append(self._fill(f"HTTP_FRONTEND_ACL_ONLY_WITH_PATH{suffix}", names))
        setup = self._fill("HTTPS_FRONTEND_ACL_ONLY_WITH_PATH", names)
        self.https.append(setup)
        return setup

    def _routing(self) -> str:
        if self.redirect and self.path:
            return self._fill("BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH", "bindAddr cleanedUpHostname backend")
        if self.redirect:
            return self._fill("BACKEND_REDIRECT_HTTP_TO_HTTPS", "bindAddr cleanedUpHostname")
        suffix = {
            (True, True): "_WITH_PATH_AND_AUTH",
            (True, False): "_WITH_PATH",
            (False, True): "_WITH_AUTH",
            (False, False): "",
        }[self.path, self.auth]
        names = "cleanedUpHostname realm backend" if self.auth else "cleanedUpHostname backend"
        return self._fill(f"HTTP_FRONTEND_ROUTING_ONLY{suffix}", names)

    def _http_map(self, template: str, name: str) -> list[str]:
        self.domains.append((name, self.service.backend))
        is_written, self.needs_http_map = self.needs_http_map, True
        if not self.first_use.http_map or is_written:
            return []
        self.rank = -1
        return self._map_rule(template, {"haproxy_dir": self.rules.haproxy_dir})

    def _https_map(self, name: str) -> list[str]:
        self.domains.append((name, self.service.backend))
        is_written, self.needs_https_map = self.needs_https_map, True
        if not self.first_use.https_map or is_written:
            return []
        self.rank = -1
        values = {"haproxy_dir": self.rules.haproxy_dir, "hostname": name}
        return self._map_rule("HTTPS_FRONTEND_ACL", values)

    def _map_rule(self, template: str, values: dict[str, Any]) -> list[str]:
        text, remarks = map_rule(template, self.service, self.catalogue, values)
        self.remarks += remarks
        return [text]

    def _enter_host(self, name: str, texts: list[tuple[int, str]]) -> None:
        if not self.rules.group_https_by_vhost:
            return
        options = self.service.options
        certificates = () if options.ssl_cert is None else (options.ssl_cert,)
        bind_options = () if options.bind_options is None else (options.bind_options,)
        self.entries.append(HostEntry(name, tuple(texts), certificates, bind_options))

    def _fill(self, template: str, names: str) -> str:
        values = {name: self.values[name] for name in names.split()}
        return self.catalogue.fill(template, self.service.options.templates, values)


def map_rule(
    template: str, service: Service, catalogue: Catalogue, values: dict[str, Any]
) -> tuple[str, tuple[str, ...]]:
    """Fill in the map form of ``template``, which a service's label for the plain form replaces (COMPAT.md 5.4).

    A label written for the plain form mostly asks for what a map rule is not offered; then the global text serves
    (quirk 5), since this one rule routes everybody's hosts, and a remark says so.
    """
    try:
        return catalogue.fill(f"MAP_{template}", service.options.templates, values, label=template), ()
    except TemplateError as error:
        remark = f"label {template} cannot serve the map rule ({error}); the global template is used instead"
        return catalogue.fill(f"MAP_{template}", {}, values), (remark,)
