"""What each fault cost: one row each, as text for a terminal and as a page."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from fastlb.haproxy import find_haproxy
from tests.faults.sizes import SIZES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.fakes.load import Failure

LONGEST_SAID = 230
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ ")

PAGE = """# What faults cost

Written by `make faults`: each row is one fault, injected under a steady load of about {rate} requests a second, half of
them on kept connections, half on new ones, with a real HAProxy in front of a simulated Marathon of {apps} apps.
*Failed* counts requests without a whole answer of status 200 within ten seconds, with the kinds. *Steady* is the time
in seconds from the end of the fault (a kill ends at once) until a server that was added and an app that was created at
that moment answer through HAProxy. What an operator may expect of each is written beside it in `tests/faults/`, and
tests hold fastlb to it; the short form is part of `make test`.

Run on {processors} processors and {memory} GiB of memory, {at_once} faults at a time;
HAProxy {haproxy}, Python {python}.

{table}
"""


@dataclass(slots=True)
class Row:
    """One fault; ``steady_s`` is the longest where it was injected several times."""

    fault: str
    requests: int = 0
    failures: list[Failure] = field(default_factory=list)
    steady_s: float = 0.0
    said: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> str:
        """Say how many failed, and how."""
        kinds = Counter(kind_of(failure) for failure in self.failures)
        named = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        return f"{len(self.failures)}{f' ({named})' if named else ''}"

    def __str__(self) -> str:
        """Say it in a few lines."""
        figures = f"{self.requests} requests, failed: {self.kinds}, steady after {self.steady_s:.1f} s"
        return "\n    ".join([f"{self.fault}: {figures}", *self.said])

    def as_table(self) -> str:
        """Say it in a row of a Markdown table."""
        said = (
            "(nothing)"
            if not self.said
            else "<br>".join(line.replace("|", "\\|").replace("<", "&lt;") for line in self.said)
        )
        return f"| {self.fault} | {self.requests} | {self.kinds} | {self.steady_s:.1f} | {said} |"


def kind_of(failure: Failure) -> str:
    """Return the kind of a failed request: a status, or the name of an error."""
    if status := re.search(r"status (\d+)", failure.how):
        return f"status {status[1]}"
    named = re.search(r"(\w+)\(", failure.how)
    return named[1] if named else failure.how


def without_stamp(line: str) -> str:
    """Return a line of the log as it is everywhere: without its time."""
    short = _STAMP.sub("", line).strip()
    return short if len(short) <= LONGEST_SAID else f"{short[:LONGEST_SAID]}…"


def page(rows: Iterable[Row]) -> str:
    """Return docs/faults.md."""
    table = ["| fault | requests | failed | steady, s | what the log said |", "| --- | --- | --- | --- | --- |"]
    return PAGE.format(
        rate=SIZES.rate,
        apps=SIZES.others + 2,
        processors=os.cpu_count(),
        memory=round(psutil.virtual_memory().total / 2**30),
        at_once=SIZES.at_once,
        haproxy=find_haproxy(None, os.environ).version_text,
        python=platform.python_version(),
        table="\n".join([*table, *(row.as_table() for row in rows)]),
    )
