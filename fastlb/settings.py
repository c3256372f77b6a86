"""Flags, environment and template folder, read once into frozen values; the only room that knows argparse's names.

What decides the generated text becomes `Rules`, a `Catalogue` and `Limits`; how the daemon behaves becomes `Settings`.
A mistake in any of them is a UsageError, before anything has been touched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import shlex
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from fastlb.access import read_access
from fastlb.dialect import Dialect, parse_version
from fastlb.errors import UsageError
from fastlb.flag_words import FIRST
from fastlb.generations import MIB, WorkerLimits
from fastlb.limits import Limits
from fastlb.mesos import reached_at
from fastlb.model import Rules
from fastlb.policy_file import read_policy
from fastlb.rate_limit import read_rate
from fastlb.template_sources import template_sources
from fastlb.templates import Catalogue, default_options_text
from fastlb.users import find_user

if TYPE_CHECKING:
    import argparse

    from fastlb.access import Access
    from fastlb.flags import Environment
    from fastlb.haproxy import HAProxy
    from fastlb.rate_limit import Rate

log = logging.getLogger(__name__)

DEFAULT_OPTIONS = "redispatch,http-server-close,dontlognull"
SYSLOG_SOCKET = Path("/dev/log")
DEFAULT_SSL_CERTS = "/etc/ssl/cert.pem"
DOMAIN_MAP = "domain2backend.map"
APP_MAP = "app2backend.map"
SHORTEST_CONTROLLER_TIMEOUT_S = 5.0
"""A controller shows once a second that it lives."""
MOST_RELOADS = 50
"""What HAProxy 3 has by itself: far beyond our own limit, for those who reload past us."""
MOST_THREADS = 64
"""HAProxy's limit, for one group of threads."""
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Of a container, as it sees them itself; a machine without limits has none or a word there."""
LONGEST_SOCKET_PATH = 90  # bytes; the kernel allows 107, HAProxy adds a suffix while it binds


@dataclass(frozen=True, slots=True)
class Paths:
    """Where everything lies: the configuration with its maps, and the folder of sockets and state."""

    config: Path
    run_dir: Path

    @property
    def domain_map(self) -> Path:
        """Return the path of the vhost map."""
        return self.config.with_name(DOMAIN_MAP)

    @property
    def app_map(self) -> Path:
        """Return the path of the app-id map."""
        return self.config.with_name(APP_MAP)

    @property
    def master_socket(self) -> Path:
        """Return the socket of HAProxy's master."""
        return self.run_dir / "master.sock"

    @property
    def runtime_socket(self) -> Path:
        """Return the socket of the running worker; its name is the one that marathon-lb's users know."""
        return self.run_dir / "socket"

    @property
    def admin_socket(self) -> Path:
        """Return the socket of the admin server that HAProxy hands requests to."""
        return self.run_dir / "admin.sock"

    @property
    def local_socket(self) -> Path:
        """Return the socket of the admin server for whoever may open it."""
        return self.run_dir / "local.sock"

    @property
    def server_state(self) -> Path:
        """Return the file through which health states survive a reload."""
        return self.run_dir / "servers.state"

    @property
    def fallback_certificate(self) -> Path:
        """Return where a self-signed certificate is made when no other is there."""
        return self.run_dir / "self-signed.pem"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the daemon behaves; times in seconds."""

    paths: Paths
    haproxy_uid: int | None
    policy: str | None
    follow_events: bool
    once: bool
    dry: bool
    command: str | None
    command_retries: int
    command_interval_s: float
    reload_through: str | None
    reload_timeout_s: float
    validation_timeout_s: float
    archive_versions: int
    skip_validation: bool
    find_culprits: bool
    settle_s: float
    settle_max_s: float
    bulk_threshold: int
    resync_interval_s: float
    empty_grace_s: float
    shrink_share: float
    shrink_least: int
    shrink_grace_s: float
    poll_interval_s: float
    stop_grace_s: float
    drain_timeout_s: float
    audit_round_s: float
    reload_settle_s: float
    reload_settle_max_s: float
    reload_only: bool
    resolver_capacity: int
    old_workers: WorkerLimits
    controller_timeout_s: float
    access: Access
    synced_within_s: float
    snapshot_rate: Rate | None


def read_rules(args: argparse.Namespace, environ: Environment) -> Rules:
    """Return the rules of generation. Raises UsageError with the texts of COMPAT.md 2.1."""
    if not args.group:
        raise UsageError("argument --group is required: pleasespecify at least one group name")
    low, high = args.min_serv_port_ip_per_task, args.max_serv_port_ip_per_task
    if (low == 0) != (high == 0):
        raise UsageError(
            "arguments --min-serv-port-ip-per-task and --max-serv-port-ip-per-task: either both or none may be zero"
        )
    if low > high:
        raise UsageError("argument --max-serv-port-ip-per-task: it is less than --min-serv-port-ip-per-task")
    own = [args.appid_port, args.stats_port]
    own += [] if args.dont_bind_http_https else [args.http_port, args.https_port]
    if len(set(own)) != len(own):
        raise UsageError("--http-port, --https-port, --appid-port and --stats-port must differ")
    certificates = args.ssl_certs or DEFAULT_SSL_CERTS
    return Rules(
        groups=tuple(args.group),
        strict_mode=args.strict_mode,
        health_check=args.health_check,
        haproxy_map=args.haproxy_map,
        dont_bind_http_https=args.dont_bind_http_https,
        group_https_by_vhost=args.group_https_by_vhost,
        ssl_certs=tuple(certificates.split(",")),
        haproxy_dir=map_folder(args.haproxy_config),
        framework_name=environ.get("FRAMEWORK_NAME"),
        min_assigned_port=low,
        max_assigned_port=high,
        bind_address=args.bind_address,
        own_ports=tuple((stats_address(args) if port == args.stats_port else args.bind_address, port) for port in own),
        own_app=environ.get("MARATHON_APP_ID"),
        policy=read_policy(args.policy),
        first_come=args.conflicts == FIRST,
    )


def stats_address(args: argparse.Namespace) -> str:
    """Return where the statistics page listens."""
    return _address_here(args.stats_address or args.bind_address, args.bind_address)


@cache
def _address_here(wanted: str, otherwise: str) -> str:
    """Return ``wanted`` if this machine has it.

    Mesos tells tasks the agent's address (``LIBPROCESS_IP``), which a container with a network of its own has not.
    """
    if wanted in {"*", otherwise}:
        return wanted
    family = socket.AF_INET6 if ":" in wanted else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((wanted, 0))
    except OSError as error:
        log.warning("--stats-address %s: %s; %s is taken instead", wanted, error.strerror, otherwise)
        return otherwise
    return wanted


def read_reached_at(args: argparse.Namespace, environ: Environment) -> str:
    """Return ``host:port`` at which operators reach the statistics page."""
    return reached_at(stats_address(args), args.stats_port, (args.advertise_address, args.advertise_port), environ)


def map_paths(rules: Rules) -> dict[str, str]:
    """Return the files of `Document.domains` and `.app_ids` as the configuration names them; none without maps."""
    if not rules.haproxy_map:
        return {}
    return {"domains": f"{rules.haproxy_dir}/{DOMAIN_MAP}", "app_ids": f"{rules.haproxy_dir}/{APP_MAP}"}


def map_folder(config: str) -> str:
    """Return the folder part of the configuration path as the text names it (COMPAT.md 6.11, quirk 27)."""
    if "/" not in config:
        return "."
    folder = config.rpartition("/")[0].rstrip("/")
    if any(character.isspace() or character in "()'\"\\," for character in folder):
        raise UsageError(f"--haproxy-config {config!r}: HAProxy cannot name a map in a folder of that name")
    return folder


def read_paths(args: argparse.Namespace) -> Paths:
    """Return where everything lies. Raises UsageError if a socket's path would be too long for the kernel."""
    config = Path(args.haproxy_config)
    default = Path("/var/run/haproxy") if os.geteuid() == 0 else config.parent / "run"
    run_dir = Path(args.run_dir) if args.run_dir else default
    paths = Paths(config.absolute(), run_dir.absolute())
    if len(os.fsencode(paths.master_socket)) > LONGEST_SOCKET_PATH:
        raise UsageError(
            f"--run-dir {run_dir}: the path {paths.master_socket} is too long for a socket; choose a shorter folder"
        )
    return paths


def read_settings(args: argparse.Namespace) -> Settings:
    """Return how the daemon behaves. Raises UsageError."""
    _check(args)
    user = find_user(args.haproxy_user)
    return Settings(
        paths=read_paths(args),
        haproxy_uid=user.uid if user else None,
        policy=args.policy,
        follow_events=(args.subcommand == "sse" or args.sse) and not (args.once or args.dry),
        once=args.once,
        dry=args.dry,
        command=args.command,
        command_retries=args.max_reload_retries,
        command_interval_s=args.reload_interval,
        reload_through=args.reload_through,
        reload_timeout_s=args.reload_timeout,
        validation_timeout_s=args.validation_timeout,
        archive_versions=args.archive_versions,
        skip_validation=args.skip_validation,
        find_culprits=not args.skip_config_cleanup,
        settle_s=args.settle,
        settle_max_s=args.settle_max,
        bulk_threshold=args.bulk_threshold,
        resync_interval_s=args.resync_interval,
        empty_grace_s=args.empty_grace,
        shrink_share=args.shrink_share,
        shrink_least=args.shrink_least,
        shrink_grace_s=args.shrink_grace,
        poll_interval_s=getattr(args, "poll_interval", 60.0),
        stop_grace_s=args.stop_grace,
        drain_timeout_s=args.drain_timeout,
        audit_round_s=args.audit_interval,
        reload_settle_s=args.reload_settle,
        reload_settle_max_s=args.reload_settle_max,
        reload_only=args.reload_only,
        resolver_capacity=args.lru_cache_capacity,
        old_workers=_worker_limits(args),
        controller_timeout_s=args.controller_timeout,
        access=read_access(args.admin_access, _read_token(args.admin_token_file)),
        synced_within_s=args.synced_within,
        snapshot_rate=read_rate(args.snapshot_rate_limit),
    )


def _check(args: argparse.Namespace) -> None:
    for flag, command in (("--command", args.command), ("--reload-through", args.reload_through)):
        if command is not None:
            _check_command(flag, command)
    if args.command is not None and args.reload_through is not None:
        raise UsageError(
            "--command is for a HAProxy that somebody else runs, --reload-through for ours; give one of them"
        )
    if 0 < args.controller_timeout < SHORTEST_CONTROLLER_TIMEOUT_S:
        least = f"0 or at least {SHORTEST_CONTROLLER_TIMEOUT_S:g}"
        raise UsageError(f"--controller-timeout {args.controller_timeout:g}: it has to be {least}")


def _worker_limits(args: argparse.Namespace) -> WorkerLimits:
    return WorkerLimits(
        most=args.max_old_workers,
        age_s=args.max_old_worker_age,
        resident_bytes=args.max_old_workers_memory * MIB or memory_there() // 4,
        patience_s=args.reload_patience,
    )


def _read_token(path: str | None) -> str:
    if path is None:
        return ""
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--admin-token-file {path} cannot be read: {error}") from error
    if not token:
        raise UsageError(f"--admin-token-file {path} is empty")
    return token


def memory_there() -> int:
    """Return the bytes of memory that this machine has, or its container may use."""
    amounts = [int(psutil.virtual_memory().total)]
    for path in MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):
            amounts.append(int(path.read_text()))
    return min(amounts)


def _check_command(flag: str, command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{flag} {command!r}: {error}") from error
    if not words:
        raise UsageError(f"{flag} is empty")


def read_dialect(args: argparse.Namespace, haproxy: HAProxy | None) -> Dialect:
    """Return the dialect to write: the one asked for, else that of the HAProxy found, else 2.6's."""
    if args.haproxy_version:
        return Dialect(parse_version(args.haproxy_version))
    return Dialect(haproxy.version[:2] if haproxy else (2, 6))


def read_limits(args: argparse.Namespace) -> Limits:
    """Return the wanted ``maxconn`` and the hard limit of open files, which HAProxy raises its soft one to."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return Limits(args.maxconn, None if hard == resource.RLIM_INFINITY else hard)


def _most_reloads(args: argparse.Namespace) -> int:
    """Where we end nobody, HAProxy's own limit is the only one on the number of old workers."""
    chosen: int = args.mworker_max_reloads
    return chosen or (args.max_old_workers if getattr(args, "command", None) else MOST_RELOADS)


def read_catalogue(args: argparse.Namespace, environ: Environment, haproxy: HAProxy | None, paths: Paths) -> Catalogue:
    """Compile the global templates. Raises UsageError naming the file and placeholder that is wrong."""
    dialect = read_dialect(args, haproxy)
    user = find_user(args.haproxy_user)
    options = environ.get("HAPROXY_GLOBAL_DEFAULT_OPTIONS", DEFAULT_OPTIONS)
    surroundings = {
        "dialect": dialect,
        "haproxy": {
            "version": dialect.version,
            "has_promex": haproxy is None or haproxy.has_promex,
            "has_openssl": haproxy is None or haproxy.has_openssl,
        },
        "bind_address": args.bind_address,
        "http_port": args.http_port,
        "https_port": args.https_port,
        "appid_port": args.appid_port,
        "stats_port": args.stats_port,
        "stats_address": stats_address(args),
        "threads": min(args.threads, MOST_THREADS),
        "hard_stop_after_s": args.hard_stop_after,
        "max_old_workers": args.max_old_workers,
        "mworker_max_reloads": _most_reloads(args),
        "default_options": default_options_text(options),
        "strict_sni": args.strict_sni,
        "haproxy_user": user.name if user else "",
        "haproxy_group": user.group if user else "",
        "log_socket": str(SYSLOG_SOCKET) if args.haproxy_log == "syslog" and SYSLOG_SOCKET.exists() else "",
        "log_to_stdout": args.haproxy_log == "stdout",
        "runtime_socket": str(paths.runtime_socket),
        "server_state_file": str(paths.server_state),
        "admin_socket": str(paths.admin_socket),
    }
    catalogue = Catalogue(template_sources(environ), dialect, surroundings)
    catalogue.head({"maxconn": args.maxconn, "strict_limits": True})
    return catalogue
