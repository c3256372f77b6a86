"""Where log lines go: standard error and syslog, in the format asked for (COMPAT.md 2.1)."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from fastlb.errors import FastlbError

if TYPE_CHECKING:
    import argparse

LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")


def set_up_logging(args: argparse.Namespace) -> None:
    """Configure the root logger. Raises FastlbError for a level that does not exist."""
    level = args.log_level.upper()
    if level not in LEVELS:
        raise FastlbError(f"--log-level {args.log_level!r} does not exist; choose one of {', '.join(LEVELS)}")
    formatter = logging.Formatter(args.log_format)
    root = logging.getLogger()
    root.setLevel(level)
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    syslog = Path(args.syslog_socket)
    if syslog.is_socket():
        handlers.append(logging.handlers.SysLogHandler(str(syslog)))
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
