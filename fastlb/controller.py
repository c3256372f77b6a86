"""Builds the loop and its hands from flags and environment, and runs it: the process that may crash.

Under a supervisor (``fastlb sse``, ``fastlb poll``) it runs as ``fastlb controller``, with its arguments in the
environment, so that no credential shows in its argument list. With ``--command``, ``--dry`` or ``--once`` it is the
only process.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb import __version__, garbage, kernel
from fastlb.apply import Applier
from fastlb.asking import Asking
from fastlb.board import Board
from fastlb.certificates import usable_certificates
from fastlb.decision import Decider
from fastlb.errors import HAProxyError
from fastlb.fetching import Fetcher
from fastlb.files import sweep
from fastlb.haproxy import find_haproxy
from fastlb.history import History
from fastlb.hung_workers import HungWorkers
from fastlb.inbox import Inbox, LinkEnded, Signalled
from fastlb.journal import Journal
from fastlb.keeping import Keeping
from fastlb.loaded import GOOD_FOLDER
from fastlb.loading import CommandHAProxy, SupervisedHAProxy, UnattendedHAProxy
from fastlb.marathon import EventStream, MarathonClient
from fastlb.marathon_settings import read_marathon
from fastlb.old_workers import OldWorkers
from fastlb.rate_limit import Turns
from fastlb.reading import read_again
from fastlb.reconcile import Hands, Reconciler
from fastlb.render import Renderer
from fastlb.resolver import Resolver
from fastlb.rollout import Rollout, Tools
from fastlb.runtime import Runtime
from fastlb.runtime_api import RuntimeApi
from fastlb.services import may_be_wanted
from fastlb.settings import map_paths, read_catalogue, read_limits, read_reached_at, read_rules, read_settings
from fastlb.shrink import ShrinkGuard
from fastlb.store import Store
from fastlb.supervisor_link import SupervisorLink
from fastlb.trial import Trial, sweep_trials

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from fastlb.haproxy import HAProxy
    from fastlb.loading import Loader
    from fastlb.model import Rules
    from fastlb.settings import Settings

log = logging.getLogger(__name__)

ARGUMENTS = "FASTLB_CONTROLLER_ARGUMENTS"
JOURNAL = "FASTLB_JOURNAL"
ADDRESSES = "addresses.json"
"""Of host names, in the run folder."""
RUNTIME_TIMEOUT_S = 2.0
"""HAProxy answers a batch of commands within milliseconds; the loop waits for it."""
SWITCH_S = 0.0005
"""Joining the files of 5,000 apps takes a thread 20 ms. At Python's default of 5 ms a change that comes meanwhile waits
for almost all of it, since the loop gives way at each question to HAProxy; so it waits for half of it at most."""
SCRAPE_TIMEOUT_S = 1.0
"""Nobody but who scrapes waits for that."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run_controller(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run the loop until it is told to end; return the exit code. Raises UsageError before anything is touched."""
    garbage.look_on_demand()
    garbage.give_back_large_blocks()
    settings = read_settings(args)
    haproxy = find_for(args, environ, settings)
    catalogue = read_catalogue(args, environ, haproxy, settings.paths)
    rules = usable_certificates(read_rules(args, environ), settings.paths, dry=settings.dry)
    _prepare(settings, haproxy)
    inbox: Inbox = Inbox()
    link = _link(environ, inbox)
    applier = Applier(settings, rules, _loader(settings, link))
    store = _store(settings, rules, expects_apps=applier.serves_apps)
    renderer = Renderer(catalogue, rules, read_limits(args))
    decider = Decider(store, renderer, rules)
    marathon = read_marathon(args, environ)
    client = MarathonClient(marathon, read_again)
    fetcher = Fetcher(client, Asking(settings.bulk_threshold), inbox)
    history, board, journal = History(), Board(), Journal(Path(named) if (named := environ.get(JOURNAL)) else None)
    tools = Tools(
        trial=Trial(None if settings.skip_validation else haproxy, rules.haproxy_dir, settings.validation_timeout_s),
        applier=applier,
        runtime=_runtime(settings),
        old_workers=OldWorkers(settings.paths, settings.old_workers, journal, ours=settings.command is None),
        journal=journal,
        history=history,
    )
    rollout = Rollout(settings, decider, tools, map_paths(rules))
    hands = Hands(fetcher, _resolver(settings), journal, history, board, link.beat if link else None)
    stream = EventStream(marathon, inbox.put) if settings.follow_events else None
    reached_at = read_reached_at(args, environ)
    admin = _admin_server(settings, board, inbox, tools, renderer, client, reached_at)
    with _signals(inbox), _hung_workers_ended(settings, journal), admin:
        if stream:
            stream.start()
        try:
            return Reconciler(settings, decider, rollout, hands, inbox).run()
        finally:
            fetcher.stop()
            if stream:
                stream.stop()


def _prepare(settings: Settings, haproxy: HAProxy | None) -> None:
    """Have the loop's helpers give way to it, say what runs, and clear away what a killed run left."""
    sys.setswitchinterval(SWITCH_S)
    found = haproxy.version_text if haproxy else "none"
    log.info("fastlb %s, hot path: %s, HAProxy: %s", __version__, kernel.CHOSEN, found)
    if settings.dry:
        return
    paths = settings.paths
    for folder in {paths.config.parent, paths.run_dir, paths.run_dir / GOOD_FOLDER}:
        sweep(folder)
    sweep_trials()


def find_for(args: argparse.Namespace, environ: Mapping[str, str], settings: Settings) -> HAProxy | None:
    """Return the HAProxy to validate with and write for. Raises HAProxyError if there has to be one."""
    try:
        return find_haproxy(args.haproxy, environ)
    except HAProxyError:
        if settings.dry or (settings.command and settings.skip_validation):
            return None
        raise


@contextmanager
def _admin_server(
    settings: Settings,
    board: Board,
    inbox: Inbox,
    tools: Tools,
    renderer: Renderer,
    client: MarathonClient,
    reached_at: str,
) -> Iterator[None]:
    """Have the admin server run; a single pass has none."""
    if settings.once or settings.dry:
        yield
        return
    # Here, since whoever only checks settings needs none of it, and it takes a quarter of a second.
    from fastlb.admin.assembly import view_routes
    from fastlb.admin.draining import DrainingEndpoint
    from fastlb.admin.endpoints import Endpoints, Limits
    from fastlb.admin.loop import Loop
    from fastlb.admin.metrics import MetricsEndpoints
    from fastlb.admin.server import AdminServer
    from fastlb.metrics.exposition import Metrics
    from fastlb.metrics.state import Sources

    haproxy = RuntimeApi(settings.paths.runtime_socket, SCRAPE_TIMEOUT_S)
    sources = Sources(board, renderer, tools.runtime, tools.old_workers, haproxy, settings.follow_events, reached_at)
    metrics = MetricsEndpoints(Metrics(sources, tools.journal), Turns(settings.snapshot_rate))
    limits = Limits(settings.controller_timeout_s, settings.synced_within_s)
    loop = Loop(inbox)
    draining = DrainingEndpoint(settings.paths, loop)
    routes = [*Endpoints(settings.paths, limits, board, loop).routes(), *draining.routes(), *metrics.routes()]
    routes += view_routes(settings, sources, tools.journal, tools.history, client, loop)
    paths, uid = settings.paths, settings.haproxy_uid
    server = AdminServer(paths.admin_socket, paths.local_socket, settings.access, routes, front_uid=uid)
    server.start()
    log.info("the page that says whether all is well: http://%s/_fastlb/", reached_at)
    try:
        yield
    finally:
        server.stop()


def _store(settings: Settings, rules: Rules, *, expects_apps: bool) -> Store:
    guard = ShrinkGuard(settings.shrink_share, settings.shrink_least, settings.shrink_grace_s)
    keeping = Keeping(guard, lambda app: len(app.tasks) if may_be_wanted(app, rules) else 0)
    return Store(0.0 if settings.once else settings.empty_grace_s, expects_apps=expects_apps, keeping=keeping)


@contextmanager
def _hung_workers_ended(settings: Settings, journal: Journal) -> Iterator[None]:
    """Have workers that hang ended; those of somebody else's HAProxy are left alone."""
    if settings.once or settings.dry or settings.command:
        yield
        return
    hung = HungWorkers(settings.paths.master_socket, journal)
    hung.start()
    try:
        yield
    finally:
        hung.stop()


def _resolver(settings: Settings) -> Resolver:
    return Resolver(settings.resolver_capacity, None if settings.dry else settings.paths.run_dir / ADDRESSES)


def _runtime(settings: Settings) -> Runtime | None:
    if settings.reload_only or settings.once:
        return None
    return Runtime(RuntimeApi(settings.paths.runtime_socket, RUNTIME_TIMEOUT_S))


def _link(environ: Mapping[str, str], inbox: Inbox) -> SupervisorLink | None:
    return SupervisorLink.from_environment(environ, lambda event: inbox.put(LinkEnded() if event is None else event))


def _loader(settings: Settings, link: SupervisorLink | None) -> Loader:
    if settings.command:
        return CommandHAProxy(settings.command, settings)
    return SupervisedHAProxy(link, settings) if link else UnattendedHAProxy(settings)


@contextmanager
def _signals(inbox: Inbox) -> Iterator[None]:
    """Turn signals into messages; in one pass or poll mode without a daemon, too, none of them kills (quirk of old)."""

    def queue(number: int, _frame: object) -> None:
        inbox.put(Signalled(number))

    watched = (*STOP_SIGNALS, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.signal(number, queue) for number in watched}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def pass_on(argv: list[str]) -> str:
    """Return the value of `ARGUMENTS` that makes ``fastlb controller`` parse ``argv``."""
    return json.dumps(argv)


def passed_on(environ: Mapping[str, str]) -> list[str]:
    """Return what `pass_on` was given."""
    arguments: list[str] = json.loads(environ[ARGUMENTS])
    return arguments
