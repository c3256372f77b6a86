"""Where log lines go and what they look like: a stream and syslog, as text or as JSON (COMPAT.md 2.1).

    a record --its message: secrets hidden, everything unprintable escaped--> one line of text, or one JSON object

Whatever is logged, a line stays one line: labels and answers from outside cannot forge one, nor drive a terminal. Only
a traceback has further lines, each of them indented; in JSON it is a member of its object.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
import threading
from copy import copy
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fastlb.errors import FastlbError
from fastlb.masking import without_secrets
from fastlb.printable import one_line

if TYPE_CHECKING:
    import argparse
    from types import TracebackType

LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")
JSON = "json"
LONGEST_MESSAGE = 8000  # characters; collectors cut lines at 16 KiB
_OWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


def set_up_logging(args: argparse.Namespace, stream: TextIO) -> None:
    """Configure the root logger. Raises FastlbError for a level that does not exist, or a format that is none."""
    level = args.log_level.upper()
    if level not in LEVELS:
        raise FastlbError(f"--log-level {args.log_level!r} does not exist; choose one of {', '.join(LEVELS)}")
    formatter = _formatter(args.log_format)
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # a line that the locale cannot write would be lost
    root = logging.getLogger()
    root.setLevel(level)
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    syslog = Path(args.syslog_socket)
    if syslog.is_socket():
        handlers.append(logging.handlers.SysLogHandler(str(syslog)))
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    logging.raiseExceptions = False  # a full disk or a closed pipe behind the log is not the daemon's end
    sys.excepthook = _say_crash
    threading.excepthook = _say_crash_of_thread


def _formatter(wanted: str) -> logging.Formatter:
    if wanted.strip().lower() == JSON:
        return JsonLines()
    try:
        formatter = TextLines(wanted)
        formatter.format(logging.makeLogRecord({}))
    except (ValueError, KeyError, TypeError) as error:
        raise FastlbError(f"--log-format {wanted!r} is neither json nor a format of Python: {error}") from None
    return formatter


def _shown(text: str) -> str:
    more = f"... ({len(text)} characters)" if len(text) > LONGEST_MESSAGE else ""
    return one_line(without_secrets(text[:LONGEST_MESSAGE]), LONGEST_MESSAGE) + more


class TextLines(logging.Formatter):
    """Lines in a format of Python's logging."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines; of a record that others format, too, nothing is taken over from them."""
        own = copy(record)
        own.exc_text = None
        return super().format(own)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging calls it so
        """Put the message, made harmless, into the format."""
        record.message = _shown(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging calls it so
        """Return the traceback; indented, so that no line of it passes for a line of the log."""
        return "\n".join(f"    {line}" for line in _traceback(super().formatException(ei)))


class JsonLines(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message, fields of the record, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        import orjson  # here, since the supervisor stays small when nobody asks for JSON

        members: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")[:23] + "Z",
            "level": record.levelname,
            "logger": record.name,
            "message": _shown(record.getMessage()),
        }
        members |= {name: _plain(value) for name, value in vars(record).items() if name not in _OWN | members.keys()}
        if record.exc_info and record.exc_info[0]:
            members["exception"] = "\n".join(_traceback(self.formatException(record.exc_info)))
        return orjson.dumps(members, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _traceback(text: str) -> list[str]:
    return [_shown(line) for line in text.split("\n")]


def _plain(value: Any) -> Any:
    """Return a field of a record as JSON has it, its texts made harmless."""
    if isinstance(value, dict):
        return {_shown(str(name)): _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(each) for each in value]
    return value if isinstance(value, (bool, int, float, type(None))) else _shown(str(value))


def _say_crash(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    logging.getLogger("fastlb").critical(
        "fastlb failed and this process ends; please report this", exc_info=(kind, error, traceback)
    )


def _say_crash_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        name = args.thread.name if args.thread else "unknown"
        logging.getLogger("fastlb").critical(
            "the thread %s failed and ends; please report this",
            name,
            exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
        )
