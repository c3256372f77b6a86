"""What each test did to containers and what they said: `docs/container-transcripts.md`.

    engine's words, processes, logs -> Entry, one for a test -> without what differs from run to run -> the page

``CONTAINER_PAGE`` names the file of the page, if one is wanted; otherwise nothing is asked of containers for it.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE = os.environ.get("CONTAINER_PAGE")
HEADING = """\
# What the tests of the image saw

Written by `CONTAINER_PAGE=docs/container-transcripts.md make container`: for each test what was done to a container and
what the container said. Times, process ids, addresses, names and long values are replaced, long logs cut (`...`). Where
several tests share a container, each has what it said meanwhile. {engine}, {haproxy}.

`$FLAGS` are `--health-check --group external --haproxy-map --marathon http://marathon:8080 --log-level INFO`, an
address and ports of its own for each container, and short waits.
"""
SHOWN = frozenset({"run", "exec", "kill", "stop", "start"})
"""What is done to containers; asking the engine about them is not shown."""
NOT_SHOWN = ("--detach", "--rm", "--name")
LONGEST_VALUE = 60  # characters
LONGEST_LINE = 230
MOST_LOG, MOST_OUTPUT = 24, 6  # lines
OF_THE_ENGINE = re.compile(r"time=\"\S+\" level=")
"""How lines begin that are none of the container's."""
_NAMED = re.compile(r"(?s)^(--env=\w+=|--[\w-]+=|)(.*)$")

_ALIKE = (
    (re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "), ""),
    (re.compile(r"^(?:\w{3} [ \d]\d [\d:]{8} )(\S+?)\[\d+\]"), r"\1[N]"),
    (re.compile(r"fastlb-[0-9a-f]{12}"), "lb"),
    (re.compile(r"\S*/?fastlb-under-test\b"), "fastlb"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://marathon:8080"),
    (re.compile(r"127\.251\.\d+\.(\d)\b"), r"127.0.0.\1"),
    (re.compile(r"127\.0\.0\.1:\d+ \[[^]]+\]"), "127.0.0.1:N [time]"),
    (re.compile(r"--health-check --group external --haproxy-map --marathon .*?--log-level INFO"), "$FLAGS"),
    (re.compile(r"(Connect from 127\.\S+):\d+"), r"\1:N"),
    (re.compile(r"\b(process|HAProxy|worker|pid) \d+\b"), r"\1 N"),
    (re.compile(r"(\[[A-Z]+\] +)\(\d+\)"), r"\1(N)"),
    (re.compile(r"\b\d+\.\d+ s\b"), "N s"),
    (re.compile(r"/\S*/pytest-of-\S*?/c\d+\b"), "/sandbox"),
    (re.compile(r"-sf \d+ -x sockpair@\d+"), "-sf N -x sockpair@N"),
    (re.compile(rf"\b{re.escape(socket.gethostname())}\b"), "host"),
)


@dataclass
class Entry:
    """One test: its name in words, what was done and heard, how it ended."""

    name: str
    lines: list[str] = field(default_factory=list)
    tree: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    outcome: str = "did not run"


class Recorder:
    """Collects the entries of a run; the last one is that of the test that runs."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def begin(self, name: str) -> None:
        """Begin the entry of a test."""
        self.entries.append(Entry(name))

    def did(self, words: Sequence[str], code: int, output: str) -> None:
        """Take in a command for the engine, its exit code and what it printed."""
        if not self.entries or words[0] not in SHOWN:
            return
        entry = self.entries[-1]
        entry.lines.append("$ " + command_line(words))
        if words[0] in {"exec", "run"} and "--detach" not in words:
            said = [line for line in output.splitlines() if not OF_THE_ENGINE.match(line)]
            entry.lines += shortened(said, MOST_OUTPUT)
            entry.lines.append(f"[exit code {code}]")

    def saw(self, processes: Sequence[tuple[int, list[str]]]) -> None:
        """Take in the processes of a container: how deep each is below the first one, and its words."""
        if self.entries:
            self.entries[-1].tree = [cut("  " * depth + alike(" ".join(words))) for depth, words in processes if words]

    def heard(self, log: Sequence[str]) -> None:
        """Take in what a container said during the test."""
        self.entries[-1].log += shortened(log, MOST_LOG)


def command_line(words: Sequence[str]) -> str:
    """Return a command for the engine as one would type it."""
    typed, skip = ["docker"], False
    for word in words:
        if not skip and word not in NOT_SHOWN:
            name, value = _NAMED.findall(word)[0]
            long = "\n" in value or (name and len(value) > LONGEST_VALUE)
            typed.append(shlex.quote(name + ("..." if long else value)))
        skip = word == "--name"
    return alike(" ".join(typed))


def shortened(lines: Sequence[str], most: int) -> list[str]:
    """Return at most so many lines: the first and the last ones, those that are alike once, each cut if it is long."""
    each = [(line, len(list(group))) for line, group in groupby(alike(line) for line in lines)]
    told = [cut(line) + (f" ({times} times)" if times > 1 else "") for line, times in each]
    left = len(told) - most
    return [*told[: most // 2], f"... ({left} lines)", *told[len(told) - most // 2 :]] if left > 0 else told


def cut(line: str) -> str:
    """Return the line, cut if it is long."""
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + "..."


def alike(text: str) -> str:
    """Return the text without what differs from run to run and machine to machine."""
    for pattern, replacement in _ALIKE:
        text = pattern.sub(replacement, text)
    return text


def page(entries: Sequence[Entry], engine: str, haproxy: str) -> str:
    """Return the page."""
    sections = [HEADING.format(engine=engine, haproxy=haproxy)]
    for entry in entries:
        block = [*entry.lines]
        block += ["", "# what runs in it", *entry.tree] if entry.tree else []
        block += ["", "# what it said", *entry.log] if entry.log else []
        text = "\n".join(f"    {line}".rstrip() for line in block).strip("\n")
        sections.append(f"## {entry.name}\n\n{text or '    (asked the engine about the image)'}\n\n*{entry.outcome}*\n")
    return "\n".join(sections)
