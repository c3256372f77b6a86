"""`fastlb simulate`: a simulated Marathon in the foreground, until SIGTERM or SIGINT.

What serves is imported only when the command runs, since every start of `fastlb` reads this file.
"""

from __future__ import annotations

import signal
import sys
import threading
from ipaddress import ip_address
from typing import TYPE_CHECKING

from fastlb.errors import ExitCode, UsageError
from fastlb.simulator.dialects import DIALECTS
from fastlb.simulator.population import CHECKED_SHARE, population
from fastlb.simulator.settings import SimulatorSettings

if TYPE_CHECKING:
    import argparse

    from fastlb.simulator.definitions import Json

HELP = """\
Marathon {release} (simulated) with {apps} apps x {tasks} tasks: {url}
  events        curl -N -H 'Accept: text/event-stream' {url}/v2/events
  add an app    curl {url}/v2/apps -d '{{"id":"/hello","labels":{{"HAPROXY_GROUP":"{group}"}}}}'
  scale it      curl -X PUT {url}/v2/apps/hello -d '{{"instances":5}}'
  delete it     curl -X DELETE {url}/v2/apps/hello
  break it      curl -X PUT {url}/_sim/faults/error -d '{{"times":3,"value":503}}'
  look inside   curl {url}/_sim/state
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `simulate` and its flags; the parsed arguments go to `run`."""
    parser = subparsers.add_parser("simulate", help="run a simulated Marathon on loopback")
    parser.add_argument("--apps", type=int, default=10, metavar="N", help="apps to begin with (%(default)s)")
    parser.add_argument("--tasks", type=int, default=3, metavar="N", help="tasks of each app (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen at, 0: any (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds give equal clusters (%(default)s)")
    parser.add_argument("--version-shape", choices=sorted(DIALECTS), default="1.8", help="Marathon to be (%(default)s)")
    parser.add_argument(
        "--real-servers",
        type=int,
        default=200,
        metavar="N",
        help="tasks with an address of their own; all further ones share some (%(default)s)",
    )
    parser.add_argument(
        "--checked-share", type=float, default=CHECKED_SHARE, help="share of apps with a health check (%(default)s)"
    )
    parser.add_argument("--group", default="external", help="label HAPROXY_GROUP of the apps (%(default)s)")
    parser.add_argument("--follower", action="store_true", help="also listen as a follower at a second port")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal says stop. Raises UsageError for a host that is not loopback."""
    _refuse_other_hosts(args.host)
    from fastlb.simulator.server import SimulatedMarathon

    apps = _population(args)
    stop = threading.Event()
    former = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with SimulatedMarathon(_settings(args)) as marathon:
            marathon.load(apps)
            release = DIALECTS[args.version_shape].release
            sys.stdout.write(HELP.format(release=release, url=marathon.url, **vars(args)))
            if args.follower:
                sys.stdout.write(f"  a follower    {marathon.follower_url}\n")
            sys.stdout.flush()
            stop.wait()
    except OSError as error:
        raise UsageError(f"cannot listen at {args.host}:{args.port}: {error}") from error
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    return ExitCode.OK


def _refuse_other_hosts(host: str) -> None:
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback:
        raise UsageError(f"--host {host}: the simulator has no access control and listens on loopback only")


def _population(args: argparse.Namespace) -> list[Json]:
    share, group = args.checked_share, args.group
    try:
        return list(population(args.apps, args.tasks, seed=args.seed, checked_share=share, group=group))
    except ValueError as error:
        raise UsageError(f"--apps {args.apps}: {error}") from error


def _settings(args: argparse.Namespace) -> SimulatorSettings:
    return SimulatorSettings(
        host=args.host,
        port=args.port,
        version_shape=args.version_shape,
        seed=args.seed,
        real_servers=args.real_servers,
        follower=args.follower,
    )
