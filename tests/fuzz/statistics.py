"""What a run of the fuzzer printed, as figures, and figures as a page: `docs/fuzzing.md`.

It must not run anything but git, which says what was fuzzed. Data flows: text of libFuzzer -> `Statistics` -> rows.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import fastlb

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
SLOWEST = "slowest input so far, seconds: "
EXECUTED = re.compile(r"number_of_executed_units: +(\d+)")
REACHED = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)/")
COLUMNS = (
    "target",
    "executions",
    "seconds",
    "of processor time",
    "executions per second of it",
    "corpus, inputs",
    "branches reached",
    "features",
    "slowest input, ms of processor time",
    "findings",
)
PAGE = """# Fuzzing

Written by `make fuzz SECONDS=600 ARGS="--corpus DIR --page docs/fuzzing.md"`, repeated with the same folder as often as
one likes: every target in `tests/fuzz`, guided by coverage of fastlb's Python code (atheris, libFuzzer). What a target
feeds, and what must hold for any input, is said at its top; most run the compiled hot path and its twin on each input
and compare. *Findings* are inputs on which that did not hold, that crashed the process, or that took more than a second
of processor time; a run ends with the first. An input that was a finding once is one of the target's seeds, so that
`make test` tries it always; what `make test` executes is not counted here.

fastlb {version}, commit {commits}; {date}; Python {python}, atheris {atheris}; {processors} processors, shared with
others. Executions per second are those of one processor, with the time until the first of each run.

| {columns} |
| --- |{rules}
{rows}
"""


class Statistics(NamedTuple):
    """What came of fuzzing one target, in the order of `COLUMNS`."""

    target: str
    executions: int
    seconds: float
    processor_s: float
    rate: float
    corpus: int
    branches: int
    features: int
    slowest_ms: float
    findings: int

    @property
    def well(self) -> bool:
        """Whether it ran, and found nothing."""
        return self.executions > 0 and not self.findings

    def followed_by(self, later: Statistics) -> Statistics:
        """Return what came of this and of a later run that went on with its corpus."""
        executions, seconds = self.executions + later.executions, self.seconds + later.seconds
        processor_s, slowest_ms = self.processor_s + later.processor_s, max(self.slowest_ms, later.slowest_ms)
        return later._replace(
            executions=executions,
            seconds=seconds,
            processor_s=processor_s,
            rate=executions / max(processor_s, 1e-9),
            slowest_ms=slowest_ms,
            findings=self.findings + later.findings,
        )

    def row(self) -> str:
        """Return it as a row of a table."""
        figures = [f"{each:,.1f}" if isinstance(each, float) and each < 100 else f"{each:,.0f}" for each in self[1:]]
        return f"| {' | '.join([self.target, *figures])} |"


def read_statistics(target: str, text: str, seconds: float, processor_s: float, *, well: bool) -> Statistics:
    """Read what libFuzzer and `runner` printed; what is not there counts as 0."""
    executions = _last(EXECUTED, text)
    branches, features, corpus = (_last(REACHED, text, group) for group in (1, 2, 3))
    slowest_s = max((float(each) for each in re.findall(rf"{SLOWEST}([\d.]+)", text)), default=0.0)
    rate = executions / max(processor_s, 1e-9)
    return Statistics(
        target, executions, seconds, processor_s, rate, corpus, branches, features, slowest_s * 1000, int(not well)
    )


def _last(pattern: re.Pattern[str], text: str, group: int = 1) -> int:
    found = [int(each[group]) for each in pattern.finditer(text)]
    return found[-1] if found else 0


def row_of_all(results: Sequence[Statistics]) -> str:
    """Return the last row of the table: what can be added up, added up."""
    executions, findings = sum(each.executions for each in results), sum(each.findings for each in results)
    seconds, processor_s = sum(each.seconds for each in results), sum(each.processor_s for each in results)
    slowest_ms = max((each.slowest_ms for each in results), default=0.0)
    all_of_them = f"**{executions:,}** | {seconds:,.0f} | {processor_s:,.0f}"
    return f"| all | {all_of_them} | {executions / max(processor_s, 1e-9):,.0f} | | | | {slowest_ms:.1f} | {findings} |"


class Runs:
    """All runs on one corpus, kept in a file, each with the commit that it was of."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._every: list[tuple[str, Statistics]] = []
        if path.exists():
            self._every = [(commit, Statistics(*each)) for commit, each in json.loads(path.read_text())]

    def add(self, found: Statistics) -> None:
        """Take one more run."""
        self._every.append((_commit(), found))
        self._path.write_text(json.dumps(self._every))

    def commits(self) -> list[str]:
        """Return what was fuzzed, each once."""
        return list(dict.fromkeys(commit for commit, _ in self._every))

    def by_target(self) -> list[Statistics]:
        """Return the runs of each target as one."""
        found: dict[str, Statistics] = {}
        for _, each in self._every:
            found[each.target] = found[each.target].followed_by(each) if each.target in found else each
        return [found[target] for target in sorted(found)]


def page(runs: Runs) -> str:
    """Return the page of all these runs."""
    results = runs.by_target()
    return PAGE.format(
        version=fastlb.__version__,
        commits=", ".join(runs.commits()),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        python=platform.python_version(),
        atheris=version("atheris"),
        processors=os.cpu_count(),
        columns=" | ".join(COLUMNS),
        rules=" --- |" * (len(COLUMNS) - 1),
        rows="\n".join([*(each.row() for each in results), row_of_all(results)]),
    )


def _commit() -> str:
    """Return which one is checked out here, and whether what is fuzzed or fuzzes was changed."""
    name, changes = (
        subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
        for words in (["describe", "--always"], ["diff", "--quiet", "HEAD", "--", "fastlb", "tests/fuzz"])
    )
    return f"{name.stdout.strip() or 'unknown'}{' with changes' if changes.returncode else ''}"
