"""The command line: subcommands, logging, wiring, exit codes (COMPAT.md 2.1, 2.2)."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from fastlb import __version__, flags
from fastlb.errors import ExitCode, FastlbError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger("fastlb")

DAEMON_FLAGS = (
    ("Marathon", flags.MARATHON),
    ("event stream", flags.STREAM),
    ("generation", flags.GENERATION),
    ("validation and reload", flags.APPLY),
    ("pace", flags.LOOP),
    ("logging", flags.LOGGING),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``fastlb`` with ``argv`` (default: the process's own) and return its exit code."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.subcommand is None:
        parser.print_help(sys.stderr)
        return ExitCode.USAGE
    try:
        return int(args.run(args))
    except UsageError as error:
        _usage(parser, args.subcommand, error)
    except FastlbError as error:
        print(f"fastlb: {error}", file=sys.stderr)  # noqa: T201 - the last word of a command
        return ExitCode.FAILED


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all subcommands; defaults come from the environment where it sets them."""
    parser = argparse.ArgumentParser(prog="fastlb", description="The front door of a Mesos/Marathon cluster.")
    parser.add_argument("--version", action="version", version=f"fastlb {__version__}")
    subparsers = parser.add_subparsers(dest="subcommand", metavar="COMMAND")
    _add_render(subparsers)
    return parser


def _add_render(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "write the configuration and maps for a cluster; touches no HAProxy"
    parser = subparsers.add_parser("render", help=text, description=text)
    flags.add_flags(parser, "input and output", flags.RENDER, os.environ)
    flags.add_flags(parser, "generation", flags.GENERATION, os.environ)
    flags.add_flags(parser, "Marathon", flags.MARATHON, os.environ)
    parser.set_defaults(run=_render)


def _render(args: argparse.Namespace) -> int:
    from fastlb.once import render_command

    return render_command(args, os.environ)


def _usage(parser: argparse.ArgumentParser, subcommand: str, error: UsageError) -> NoReturn:
    parser.prog = f"fastlb {subcommand}"
    parser.error(str(error))


if __name__ == "__main__":
    sys.exit(main())
