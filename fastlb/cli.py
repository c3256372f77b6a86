"""The command line: subcommands, logging, wiring, exit codes (COMPAT.md 2.1, 2.2)."""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from fastlb import __version__, flags
from fastlb.errors import CredentialsError, ExitCode, FastlbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse names it nowhere else

DAEMON_FLAGS = (
    ("Marathon", flags.MARATHON),
    ("event stream", flags.STREAM),
    ("generation", flags.GENERATION),
    ("validation and reload", flags.APPLY),
    ("pace", flags.LOOP),
    ("polling", flags.POLL),
    ("admin endpoints", flags.ADMIN),
    ("logging", flags.LOGGING),
)
EXTRAS = ("fastlb.simulator.cli", "fastlb.demo.cli")
"""Modules with an ``add_parser``; each says itself which extra it lacks when it is run without."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fastlb`` with ``argv`` (default: the process's own) and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if "--longhelp" in words and words[0] != "zdd":
        from fastlb.manual import manual

        sys.stdout.write(manual(parser))
        return ExitCode.OK
    args = parser.parse_args(words)
    if args.subcommand is None:
        parser.print_help(sys.stderr)
        return ExitCode.USAGE
    args.words = words
    try:
        return int(args.run(args))
    except UsageError as error:
        _usage(parser, args.subcommand, error)
    except CredentialsError as error:
        print(error)  # noqa: T201 - where marathon-lb prints it (COMPAT.md 2.1)
        return ExitCode.FAILED
    except FastlbError as error:
        print(f"fastlb: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
        return ExitCode.FAILED


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all subcommands; defaults come from the environment where it sets them."""
    parser = argparse.ArgumentParser(prog="fastlb", description="The front door of a Mesos/Marathon cluster.")
    parser.add_argument("--version", action="version", version=f"fastlb {__version__}")
    parser.add_argument("--longhelp", action="store_true", help="print the manual: templates, labels, defaults")
    subparsers = parser.add_subparsers(dest="subcommand", metavar="COMMAND")
    _add_daemon(subparsers, "sse", "follow Marathon's events and keep HAProxy as they say")
    _add_daemon(subparsers, "poll", "read Marathon every --poll-interval seconds and keep HAProxy as it says")
    _add_render(subparsers)
    _add_explain(subparsers)
    _add_top(subparsers)
    _add_zdd(subparsers)
    for module in EXTRAS:
        importlib.import_module(module).add_parser(subparsers)
    controller = subparsers.add_parser("controller", description="what the supervisor runs; not for people")
    controller.set_defaults(run=_controller)
    return parser


def _add_daemon(subparsers: Subparsers, name: str, text: str) -> None:
    parser = subparsers.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    for title, group in DAEMON_FLAGS:
        flags.add_flags(parser, title, group, os.environ)
    parser.set_defaults(run=_daemon)


def _add_render(subparsers: Subparsers) -> None:
    text = "write the configuration and maps for a cluster; touches no HAProxy"
    parser = subparsers.add_parser("render", help=text, description=text)
    flags.add_flags(parser, "input and output", flags.RENDER, os.environ)
    flags.add_flags(parser, "generation", flags.GENERATION, os.environ)
    flags.add_flags(parser, "Marathon", flags.MARATHON, os.environ)
    parser.set_defaults(run=_render)


def _add_explain(subparsers: Subparsers) -> None:
    text = "say why an app is routed, or is not; asks the running fastlb, or works offline with --apps-file"
    parser = subparsers.add_parser("explain", help=text, description=text)
    parser.add_argument("app_id", nargs="?", metavar="APP_ID", help="the app's id in Marathon")
    flags.add_flags(parser, "what to explain", flags.EXPLAIN, os.environ)
    flags.add_flags(
        parser, "generation, for --apps-file; --run-dir names the running fastlb", flags.GENERATION, os.environ
    )
    parser.set_defaults(run=_explain)


def _add_top(subparsers: Subparsers) -> None:
    text = "watch the running fastlb in the terminal: what its page shows, redrawn in place"
    parser = subparsers.add_parser("top", help=text, description=f"{text[0].upper()}{text[1:]}. q or Ctrl-C ends it.")
    flags.add_flags(parser, "which fastlb, and how", flags.TOP, os.environ)
    parser.set_defaults(run=_top)


def _add_zdd(subparsers: Subparsers) -> None:
    text = "deploy an app beside its predecessor, move the load over, delete the predecessor"
    parser = subparsers.add_parser("zdd", help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("--longhelp", action="version", version="None", help="print None: there is no manual")
    flags.add_flags(parser, "Marathon", flags.ZDD_MARATHON, os.environ)
    flags.add_flags(parser, "deployment", flags.ZDD, os.environ)
    flags.add_flags(parser, "logging", flags.ZDD_LOGGING, os.environ)
    parser.set_defaults(run=_zdd, insecure=False, select_by_group=False, group=[])


def _daemon(args: argparse.Namespace) -> int:
    """Run the daemon; what runs in the place of marathon-lb's generator logs where that did (COMPAT.md 2.1)."""
    from fastlb.daemon import run_daemon, runs_alone
    from fastlb.logs import set_up_logging

    set_up_logging(args, sys.stderr if runs_alone(args) else sys.stdout)
    return run_daemon(args, os.environ)


def _controller(args: argparse.Namespace) -> int:
    """Parse what the supervisor's environment hands down, and run the loop.

    The supervisor sends SIGUSR2 to a controller that hangs: where it hangs goes to standard error.
    """
    faulthandler.register(signal.SIGUSR2)
    from fastlb.controller import passed_on, run_controller
    from fastlb.logs import set_up_logging

    args = build_parser().parse_args(passed_on(os.environ))
    set_up_logging(args, sys.stdout)
    return run_controller(args, os.environ)


def _render(args: argparse.Namespace) -> int:
    from fastlb.once import render_command

    return render_command(args, os.environ)


def _explain(args: argparse.Namespace) -> int:
    from fastlb.explain_command import explain_command

    return explain_command(args, os.environ)


def _zdd(args: argparse.Namespace) -> int:
    from fastlb.logs import set_up_logging
    from fastlb.zdd.command import zdd_command

    set_up_logging(args, sys.stderr)
    return zdd_command(args, os.environ)


def _top(args: argparse.Namespace) -> int:
    from fastlb.top import top_command

    return top_command(args)


def _usage(parser: argparse.ArgumentParser, subcommand: str, error: UsageError) -> NoReturn:
    parser.prog = f"fastlb {subcommand}"
    parser.error(str(error))
