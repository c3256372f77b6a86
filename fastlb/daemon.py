"""``fastlb sse`` and ``fastlb poll``: check everything that can be checked, then supervise or run the loop alone.

A mistake in flags or templates ends the process here, before HAProxy or any file has been touched.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fastlb import supervisor
from fastlb.controller import ARGUMENTS, find_for, pass_on, run_controller
from fastlb.haproxy import find_haproxy
from fastlb.marathon_settings import read_marathon
from fastlb.settings import read_catalogue, read_rules, read_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def run_daemon(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run until told to end; return the exit code. Raises UsageError, or HAProxyError if there is none to run."""
    settings = read_settings(args)
    if settings.command or settings.dry or settings.once:
        return run_controller(args, environ)
    read_rules(args, environ)
    read_catalogue(args, environ, find_for(args, environ, settings), settings.paths)
    read_marathon(args, environ)
    os.environ[ARGUMENTS] = pass_on(args.words)
    return supervisor.run(
        supervisor.Orders(
            haproxy=find_haproxy(args.haproxy, environ).path,
            config=settings.paths.config,
            run_dir=settings.paths.run_dir,
            controller=(sys.executable, "-m", "fastlb", "controller"),
            stop_grace_s=settings.stop_grace_s,
        )
    )
