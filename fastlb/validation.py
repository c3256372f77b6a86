"""Asks HAProxy whether it would accept a configuration, and reads what it complains about.

It must not know which app wrote which line (that is `blame`), nor move or publish a file. Data flows: a file
on disk -> `haproxy -c -f FILE` -> exit status and output -> `Verdict`. The exit status alone decides: 3.0 and
newer say nothing about a good file, and 3.4 accepts some files it prints an ALERT for. Reading the output is
pure (`read_complaints`).

HAProxy checks in phases: a file with an error found while reading lines does not show the errors that only
the cross-checks afterwards would find. Who repairs a file has to ask again.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastlb.errors import HAProxyError
from fastlb.haproxy import environment_for_haproxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastlb.haproxy import HAProxy

# `[ALERT]    (1234) : config : text`; before 2.4 a date stood before the pid, and 3.4 omits `config` after
# reading.
_HEAD = re.compile(r"^\[(?P<level>[A-Z]+)\]\s*(?:\d+/\d+\s*)?\(\d+\)\s*:\s*(?:config\s*:\s*)?(?P<text>.*)$")
_NAMED = re.compile(
    r"\b(?:proxy|frontend|backend|listen|userlist|server|resolvers|peers|default_backend|use_backend)"
    r"(?: named)?:? '(?P<name>[^'\s]+)'"
    r"|'server (?:(?P<backend>[^'\s/]+)/)?(?P<server>[^'\s]+)'",
    re.IGNORECASE,
)
# Lines that only sum up what the lines before them said.
_SUMMARY = re.compile(
    r"Error\(s\) found in configuration file|Fatal errors found in configuration|Failed to initialize server"
    r"|too many fatal errors|Parsing of the configuration file failed",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing HAProxy said about a configuration.

    `line` counts from 1 and is the first line of the file that the message points at, None if it points at
    none. `names` are the proxies, userlists and servers it quotes, in its order. `text` is one line without
    process id, date and file name, so that the same mistake always reads the same. `fatal` is an ALERT,
    otherwise a WARNING.
    """

    line: int | None
    names: tuple[str, ...]
    text: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `haproxy -c` made of a file: accepted or not, why, its raw output, and the seconds it took."""

    ok: bool
    complaints: tuple[Complaint, ...]
    output: str
    seconds: float


def validate(haproxy: HAProxy, config_path: Path, *, timeout_s: float) -> Verdict:
    """HAProxy's verdict on the file at `config_path` (COMPAT.md 7.3).

    Raises HAProxyError if there is no verdict: the program did not start, or did not end within `timeout_s`.
    """
    started = time.monotonic()
    try:
        done = subprocess.run(
            [haproxy.path, "-c", "-f", config_path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment_for_haproxy(os.environ),
            timeout=timeout_s,
            check=False,
        )
    except OSError as reason:
        raise HAProxyError(f"{haproxy.path} could not be started to check {config_path}: {reason.strerror}") from reason
    except subprocess.TimeoutExpired as reason:
        raise HAProxyError(f"{haproxy.path} -c did not finish {config_path} within {timeout_s:g} s; killed") from reason
    # Some versions quote freed memory in a message, so the output may hold any bytes.
    output = (done.stdout + done.stderr).decode(errors="backslashreplace")
    if done.returncode < 0:
        output += f"haproxy -c was killed by signal {-done.returncode}\n"
    complaints = tuple(read_complaints(output, str(config_path)))
    return Verdict(done.returncode == 0, complaints, output, time.monotonic() - started)


def read_complaints(output: str, config_path: str) -> list[Complaint]:
    """The ALERTs and WARNINGs that `haproxy -c -f config_path` printed, in its order, without summaries."""
    return [
        _complaint(level == "ALERT", text, config_path)
        for level, text in _messages(output)
        if level in {"ALERT", "WARNING"} and not _SUMMARY.search(text)
    ]


def _messages(output: str) -> Iterator[tuple[str, str]]:
    """Level and text of each message, its continuation lines joined to it."""
    level, parts = "", list[str]()
    for line in output.split("\n"):
        head = _HEAD.match(line)
        if head is None:
            parts.append(line.lstrip(" |"))
            continue
        if level:
            yield level, " ".join(parts)
        level, parts = head["level"], [head["text"]]
    if level:
        yield level, " ".join(parts)


def _complaint(fatal: bool, message: str, config_path: str) -> Complaint:
    here = re.escape(config_path)
    pointed = re.search(rf"{here}:(\d+)", message)
    text = re.sub(rf"^(?:parsing )?\[{here}:\d+\]\s*:\s*", "", message, flags=re.IGNORECASE)
    text = re.sub(rf"{here}:(\d+)", r"line \1", text).replace(config_path, "the configuration")
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return Complaint(
        line=int(pointed[1]) if pointed else None,
        names=tuple(dict.fromkeys(_names(message))),
        text=" ".join(printable.removesuffix(" ^ ").split()),
        fatal=fatal,
    )


def _names(message: str) -> Iterator[str]:
    for quoted in _NAMED.finditer(message):
        yield from (name for name in quoted.groups() if name)
