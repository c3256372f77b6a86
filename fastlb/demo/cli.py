"""``fastlb demo``: its flags, and what to say when the optional extra is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastlb.errors import FastlbError
from fastlb.flag_words import port
from fastlb.haproxy import find_haproxy

if TYPE_CHECKING:
    import argparse

PORTS = (
    ("http", 10080, "the shared http frontend"),
    ("https", 10443, "the shared https frontend"),
    ("appid", 19091, "the app-id frontend"),
    ("stats", 19090, "HAProxy's statistics page"),
    ("marathon", 18080, "the simulated Marathon"),
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``demo`` and its flags; the parsed arguments go to `run`."""
    text = "see fastlb work: a simulated Marathon, a real HAProxy and a scripted tour, all on loopback"
    parser = subparsers.add_parser("demo", help=text, description=f"{text[0].upper()}{text[1:]}. Ctrl-C ends it.")
    parser.add_argument("--once", action="store_true", help="one lap in plain lines; exit 1 if a claim does not hold")
    parser.add_argument("--haproxy", metavar="PATH", help="the HAProxy program; default: the one found [HAPROXY]")
    for name, default, meaning in PORTS:
        what = f"port of {meaning}, or the next free one (%(default)s)"
        parser.add_argument(f"--{name}-port", type=port, default=default, metavar="PORT", help=what)
    parser.add_argument("--seed", type=int, default=0, help="equal seeds choose equal victims (%(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the demo; return the exit code. Raises FastlbError, in particular if there is no HAProxy or no extra."""
    haproxy = find_haproxy(args.haproxy, os.environ)
    try:
        from fastlb.demo.evening import Wishes, run_evening
    except ImportError as error:
        raise FastlbError(f"the demo needs the extra `demo` (pip install 'fastlb[demo]'): {error}") from error
    ports = {name: getattr(args, f"{name}_port") for name, _, _ in PORTS}
    return run_evening(Wishes(haproxy, ports, seed=args.seed, once=args.once))
