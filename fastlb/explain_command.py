"""``fastlb explain``: why an app is routed, or is not; asked of the running daemon, or of a saved answer of Marathon.

Offline everything is decided as the daemon would do it, and then explained. The daemon is asked through the socket that
only its own user can open.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fastlb.admin.client import ask_fastlb
from fastlb.decision import Decider
from fastlb.errors import ExitCode, UsageError
from fastlb.explain import all_problems, explain, unknown
from fastlb.explain_text import as_json, as_text
from fastlb.explanation import Unknown
from fastlb.once import haproxy_written_for, read_documents
from fastlb.render import Renderer
from fastlb.resolver import Resolver
from fastlb.settings import read_catalogue, read_limits, read_paths, read_rules
from fastlb.store import Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from fastlb.explanation import Explanation


def explain_command(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run ``fastlb explain``; return 1 if there is no such app. Raises FastlbError if nobody can be asked."""
    if (args.app_id is None) is not args.all_problems:
        raise UsageError("either an APP_ID or --all-problems has to be given")
    known, answer = _of_running(args) if args.apps_file is None else _of_file(args, environ)
    sys.stdout.write(answer)
    return ExitCode.OK if known else ExitCode.FAILED


def _of_running(args: argparse.Namespace) -> tuple[bool, str]:
    path = read_paths(args).local_socket
    if args.all_problems:
        return ask_fastlb(path, "/_fastlb/problems", json=args.json)
    return ask_fastlb(path, "/_fastlb/explain", json=args.json, app=args.app_id)


def _of_file(args: argparse.Namespace, environ: Mapping[str, str]) -> tuple[bool, str]:
    decider = _decided(args, environ)
    found: Explanation | Unknown | list[str]
    if args.all_problems:
        found = all_problems(decider)
    else:
        known = [app.id for app in decider.store.apps]
        found = explain(args.app_id, decider) or unknown(args.app_id, known)
    return not isinstance(found, Unknown), as_json(found) if args.json else as_text(found)


def _decided(args: argparse.Namespace, environ: Mapping[str, str]) -> Decider:
    """Decide about the apps of the file from scratch."""
    rules = read_rules(args, environ)
    catalogue = read_catalogue(args, environ, haproxy_written_for(args, environ), read_paths(args))
    decider = Decider(Store(empty_grace_s=0.0), Renderer(catalogue, rules, read_limits(args)), rules)
    decider.store.take(read_documents(args, environ), 0.0)
    names = decider.names_to_resolve()
    if names:
        decider.learn_addresses(Resolver(args.lru_cache_capacity).addresses(names))
    decider.decide()
    return decider
