"""Flags and environment to a MarathonConfig: where Marathon is and how to log in (COMPAT.md 2.1, 2.5)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb.marathon import (
    DcosLogin,
    Login,
    MarathonConfig,
    Selector,
    Tls,
    login_from_credential_file,
    login_from_user_pass,
    login_from_vault,
    selector_of,
)

if TYPE_CHECKING:
    import argparse

    from fastlb.flags import Environment

log = logging.getLogger(__name__)


def read_marathon(args: argparse.Namespace, environ: Environment) -> MarathonConfig:
    """Return how to reach Marathon. Raises UsageError, CredentialsError, or LoginError if Vault does not answer."""
    ca_cert = Path(args.marathon_ca_cert) if args.marathon_ca_cert else None
    selector = selector_of(tuple(args.group)) if args.select_by_group else None
    if args.insecure:
        log.warning("--insecure: Marathon's TLS certificate is not verified; anybody in between can change the routes")
    if args.select_by_group:
        _say_what_is_selected(selector)
    return MarathonConfig(
        urls=tuple(args.marathon),
        connect_timeout_s=args.marathon_connect_timeout,
        read_timeout_s=args.marathon_read_timeout,
        heartbeat_timeout_s=getattr(args, "heartbeat_timeout", 30.0),
        max_backoff_s=getattr(args, "max_backoff", 300.0),
        ca_cert=ca_cert,
        verify_tls=not args.insecure,
        login=_login(args, environ, Tls(ca_cert, not args.insecure)),
        selector=selector,
    )


def _say_what_is_selected(selector: Selector | None) -> None:
    if selector is None:
        log.warning("--select-by-group: nothing can be selected by a --group that is * or empty; all apps are read")
    else:
        log.warning(
            "--select-by-group: only apps with the label %s are read; one that lists several groups, or names its "
            "group in a label HAPROXY_{n}_GROUP alone, is not served",
            selector.expression,
        )


def _login(args: argparse.Namespace, environ: Environment, tls: Tls) -> Login:
    """Return the first login that is given: file, user and password, DC/OS account, variables, Vault, none."""
    if args.marathon_auth_credential_file:
        return login_from_credential_file(Path(args.marathon_auth_credential_file))
    if args.auth_credentials:
        return login_from_user_pass(args.auth_credentials)
    if args.dcos_auth_credentials:
        return DcosLogin(args.dcos_auth_credentials)
    user, password = environ.get("MARATHON_USER"), environ.get("MARATHON_PASSWORD")
    if user and password:
        return login_from_user_pass(f"{user}:{password}")
    return login_from_vault(environ, tls)
