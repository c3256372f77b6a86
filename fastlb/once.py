"""``fastlb render``: the configuration and maps for a cluster, once, touching no HAProxy."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from fastlb.desired import desired_state
from fastlb.errors import AppError, ExitCode, HAProxyError, MarathonAnswerError
from fastlb.files import publish
from fastlb.haproxy import find_haproxy
from fastlb.marathon import MarathonClient
from fastlb.marathon_settings import read_marathon
from fastlb.model import Note
from fastlb.reading import app_id_of, read_app
from fastlb.render import Renderer
from fastlb.resolver import Resolver
from fastlb.services import Surroundings, names_to_resolve
from fastlb.settings import APP_MAP, DOMAIN_MAP, read_catalogue, read_limits, read_paths, read_rules

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from fastlb.haproxy import HAProxy
    from fastlb.model import App
    from fastlb.render import Rendering


def render_command(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run ``fastlb render``; return 0 if something could be rendered, 1 if nothing could be.

    Raises UsageError, and FastlbError if the apps cannot be read at all.
    """
    rules = read_rules(args, environ)
    catalogue = read_catalogue(args, environ, haproxy_written_for(args, environ), read_paths(args))
    documents = read_documents(args, environ)
    apps, notes = _read_apps(documents)
    surroundings = Surroundings(addresses=_addresses(apps, args.lru_cache_capacity))
    rendering = Renderer(catalogue, rules, read_limits(args)).render(desired_state(apps, rules, surroundings))
    for note in (*notes, *rendering.notes):
        print(f"fastlb: {note}", file=sys.stderr)  # noqa: T201 - the report of a command
    if rendering.warning:
        print(f"fastlb: {rendering.warning}", file=sys.stderr)  # noqa: T201 - the report of a command
    _write(rendering, args.output_dir, with_maps=rules.haproxy_map)
    left_out = any(note.mistake for note in (*notes, *rendering.notes))
    return ExitCode.FAILED if left_out and not rendering.services else ExitCode.OK


def haproxy_written_for(args: argparse.Namespace, environ: Mapping[str, str]) -> HAProxy | None:
    """Find the HAProxy whose version the text is for; without one the text is for the oldest supported."""
    try:
        return find_haproxy(args.haproxy, environ)
    except HAProxyError:
        if args.haproxy:
            raise
        return None


def read_documents(args: argparse.Namespace, environ: Mapping[str, str]) -> list[Any]:
    """Return the apps' JSON, from a file or Marathon itself. Raises MarathonError if there is nothing to be had."""
    if args.apps_file is None:
        client = MarathonClient(read_marathon(args, environ))
        try:
            return list(client.apps())
        finally:
            client.close()
    where = "standard input" if args.apps_file == "-" else args.apps_file
    try:
        data = sys.stdin.buffer.read() if args.apps_file == "-" else Path(args.apps_file).read_bytes()
        document = orjson.loads(data)
    except (OSError, orjson.JSONDecodeError) as error:
        raise MarathonAnswerError(f"{where} cannot be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("apps"), list):
        raise MarathonAnswerError(f"{where} is no answer of GET /v2/apps: it has no array of apps")
    return list(document["apps"])


def _read_apps(documents: list[Any]) -> tuple[list[App], list[Note]]:
    apps, notes = [], []
    for document in documents:
        try:
            apps.append(read_app(document))
        except AppError as error:
            notes.append(Note(app_id_of(document) or "without id", str(error), mistake=True))
    return apps, notes


def _addresses(apps: list[App], capacity: int) -> Mapping[str, str]:
    names = set().union(*map(names_to_resolve, apps))
    return Resolver(capacity).addresses(names) if names else {}


def _write(rendering: Rendering, folder: str | None, *, with_maps: bool) -> None:
    if folder is None:
        sys.stdout.write(rendering.config)
        return
    directory = Path(folder)
    directory.mkdir(parents=True, exist_ok=True)
    publish(directory / "haproxy.cfg", rendering.config)
    publish(directory / DOMAIN_MAP, rendering.domain_map if with_maps else "")
    publish(directory / APP_MAP, rendering.app_map if with_maps else "")
