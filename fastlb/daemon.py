"""``fastlb sse`` and ``fastlb poll``: check everything that can be checked, then supervise or run the loop alone.

A mistake in flags or templates ends the process here, before HAProxy or any file has been touched. What checking takes
(templates, TLS, a client for Marathon) is three times as big as the supervisor, which has to live where others run out
of memory: so a child checks, hands over what it found, and is gone before the supervisor begins.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb import supervisor
from fastlb.claim import claimed
from fastlb.errors import FastlbError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

log = logging.getLogger(__name__)


def runs_alone(args: argparse.Namespace) -> bool:
    """Whether this is a run like marathon-lb's own: HAProxy is somebody else's, or there is one pass only."""
    return args.command is not None or args.dry or args.once


def run_daemon(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run until told to end; return the exit code. Raises UsageError, or HAProxyError if there is none to run."""
    if runs_alone(args):
        from fastlb.controller import run_controller

        if args.dry or args.once:  # a pass may be made beside a daemon, whose HAProxy it reloads
            return run_controller(args, environ)
        with claimed(Path(args.haproxy_config).parent):
            return run_controller(args, environ)
    return supervisor.run(_in_child(lambda: _checked(args, environ)))


def _checked(args: argparse.Namespace, environ: Mapping[str, str]) -> supervisor.Orders:
    from fastlb.controller import ARGUMENTS, find_for, pass_on
    from fastlb.haproxy import find_haproxy
    from fastlb.marathon_settings import read_marathon
    from fastlb.settings import SYSLOG_SOCKET, read_catalogue, read_rules, read_settings

    settings = read_settings(args)
    paths = settings.paths
    read_rules(args, environ)
    read_catalogue(args, environ, find_for(args, environ, settings), paths)
    read_marathon(args, environ)
    return supervisor.Orders(
        haproxy=find_haproxy(args.haproxy, environ).path,
        config=paths.config,
        run_dir=paths.run_dir,
        maps=(paths.domain_map, paths.app_map),
        server_state=paths.server_state,
        controller=(sys.executable, "-m", "fastlb", "controller"),
        environment={ARGUMENTS: pass_on(args.words)},
        stop_grace_s=settings.stop_grace_s,
        controller_timeout_s=settings.controller_timeout_s,
        log_socket=SYSLOG_SOCKET if _has_no_syslog(args) else None,
    )


def _has_no_syslog(args: argparse.Namespace) -> bool:
    """Whether HAProxy's log shall come out here, and fastlb's own goes nowhere else: as in a container."""
    return bool(args.haproxy_log == "stdout" and args.syslog_socket == os.devnull)


def _in_child(work: Callable[[], supervisor.Orders]) -> supervisor.Orders:
    """Return what ``work`` returns, or raise the FastlbError that it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "wb") as pipe:
            status = _hand_over(work, pipe.write)
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        raise FastlbError("the settings could not be checked; fastlb does not start")
    found = pickle.loads(answer)  # noqa: S301 - our own child wrote it
    if isinstance(found, FastlbError):
        raise found
    assert isinstance(found, supervisor.Orders)
    return found


def _hand_over(work: Callable[[], supervisor.Orders], write: Callable[[bytes], object]) -> int:
    """Return the status of the child; whatever happens, it must not go on as if it were its parent.

    It logs nothing: the controller reads the same again, and says what there is to say about it.
    """
    found: supervisor.Orders | FastlbError
    logging.disable()
    try:
        try:
            found = work()
        except FastlbError as error:
            found = error
        write(pickle.dumps(found))
    except BaseException:
        logging.disable(logging.NOTSET)
        log.exception("fastlb failed while it checked its settings; please report this")
        return 1
    return 0
