"""Commands as an operator types them, run by a shell beside a front door, and what they printed.

    command --sh, with $LB and $RUN--> its output, shortened by lines, in a block of a page

Nothing of an output is changed but that what is beyond so many lines or columns is left out, and says so.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

from fastlb.printable import one_line
from tests.fakes.front_door import STATS_PORT

if TYPE_CHECKING:
    from tests.fakes.front_door import FrontDoor

CURLRC = r"""silent
write-out = "\n[%{response_code} %{content_type}]\n"
"""
WITHIN_S = 60
COLUMNS = 320
EXPORTER = "$ curl $LB/metrics"
STEADY = re.compile(
    r"##? [A-Z][^A-Z]|\$ |\[\d{3} |app |service \d+, |  ! |Marathon has |did you mean |fastlb does |this path "
)


class Shell:
    """A shell in the folder of ``door``, where ``fastlb`` is the one that is tested."""

    def __init__(self, door: FrontDoor, **variables: str) -> None:
        self._folder = door.folder
        (door.folder / ".curlrc").write_text(CURLRC)
        programs = door.folder / "bin"
        programs.mkdir(exist_ok=True)
        (programs / "fastlb").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fastlb "$@"\n')
        (programs / "fastlb").chmod(0o755)
        self._environment = door.environment(
            LB=f"{door.address}:{STATS_PORT}",
            RUN=str(door.folder / "run"),
            FASTLB_RUN_DIR=str(door.folder / "run"),
            PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
            HOME=str(door.folder),
            **variables,
        )

    def block(self, command: str, lines: int = 40) -> str:
        """Return a command and what it printed as a block of Markdown, whose last line always is there."""
        found = self._run(command).rstrip("\n").split("\n")
        if len(found) > lines:
            found = [*found[: lines - 1], f"... ({len(found) - lines} more lines)", found[-1]]
        return "\n".join(["```console", f"$ {command}", *(one_line(line, COLUMNS) for line in found), "```", ""])

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=WITHIN_S,
            check=False,
        )
        return done.stdout.decode(errors="replace")


def shape(page: str) -> list[str]:
    """Return the lines of a page that every run has: headings, commands, statuses, and what is said of an app.

    What HAProxy says in its own words depends on its version, and so does whether it has an exporter at ``/metrics``.
    """
    kept = (line for line in page.splitlines() if STEADY.match(line))
    lines = [line.partition("HAProxy refuses it: ")[0] for line in kept]
    if EXPORTER in lines:
        del lines[lines.index(EXPORTER) + 1]
    return lines
