"""What a soak came to, as a table, a page and a picture of its curves."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psutil

from fastlb import __version__
from fastlb.haproxy import find_haproxy
from tests.soak.samples import PARTS
from tests.soak.soak import UNWANTED

if TYPE_CHECKING:
    from collections import Counter
    from pathlib import Path

    from tests.soak.soak import Outcome

COLOURS = dict(zip(PARTS, ("#7f7f7f", "#1f5fa8", "#3a8f5c", "#d9822b"), strict=True))
STYLE: dict[Any, Any] = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}
PAGE = """\
# Soak

Everything at once for long: random change of a simulated cluster, load, connections that are held, and mishaps; in the
end everything has to be as it should. `make soak ARGS="--minutes 120 --apps 5000"` does it again;
`tests/soak/test_soak.py` is the short form, and shows that what is broken by hand is found.

    {command}

{machine}

Verdict: {verdict}

{table}
{picture}
## What is demanded

- The configuration and both maps on disk are what `fastlb render` makes of Marathon's answer, line by line; HAProxy has
  these servers, with address, port and weight, and no other that takes connections; its maps have these entries.
- No request fails. Of the two apps under load one is never touched, the other is scaled up and down. Tasks take
  connections for another 5 s after their end. Other apps are changed in every way, and their tasks killed.
- A held connection is answered in the end, unless its old worker was ended for one of the limits (`--max-old-workers`
  and its like, or HAProxy's own after 50 reloads, `--mworker-max-reloads`).
- No more than 10 old workers (`--max-old-workers`). No doubt about what HAProxy runs, nothing that the audit repairs.
- Memory and descriptors of each process: the median of the last third is at most a tenth above that of the middle third
  (and 4 MiB or 8 descriptors). The controller is killed in the first third only, so that both show one process. The
  worker is a new one after each reload.
"""


def table(outcome: Outcome) -> str:
    """Return the figures in Markdown."""
    rows = [*_what_happened(outcome), *_what_came_of_it(outcome)]
    lines = ["| what | figure |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)]
    lines += ["", "| process | middle third | last third | slope an hour |", "| --- | --- | --- | --- |"]
    for each in outcome.trends:
        lines.append(f"| {each.name} | {each.middle:.1f} | {each.last:.1f} | {each.per_hour:+.1f} |")
    return "\n".join(lines) + "\n"


def page(outcome: Outcome, picture: str | None) -> str:
    """Return the report."""
    sizes, faults = outcome.sizes, outcome.faults()
    command = f"python -m tests.soak --minutes {sizes.minutes:g} --apps {sizes.apps} --tasks {sizes.tasks}"
    command += (
        f" --requests {sizes.requests_per_s} --changes {sizes.changes_per_s:g} --mishaps {sizes.mishap_every_s:g}"
    )
    verdict = "all as it should be." if not faults else "\n\n" + "\n".join(f"- {fault}" for fault in faults[:20])
    shown = f"\n![memory, descriptors, old workers and the log over time]({picture})\n" if picture else ""
    return PAGE.format(command=command, machine=_machine(), verdict=verdict, table=table(outcome), picture=shown)


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    haproxy = find_haproxy(None, os.environ).version_text
    system = f"Linux {platform.release().partition('-')[0]}, Python {platform.python_version()}"
    words = f"{os.cpu_count()} processors, {memory:.0f} GiB, {system}"
    load = f"load average at the end {os.getloadavg()[2]:.1f}, tests of others included"
    return f"fastlb {__version__}, HAProxy {haproxy}, {words}, {load}, {datetime.now(UTC):%Y-%m-%d}."


def _what_happened(outcome: Outcome) -> list[tuple[str, str]]:
    sizes, journal = outcome.sizes, outcome.journal
    return [
        ("length", f"{outcome.seconds / 60:.1f} minutes"),
        ("cluster", f"{sizes.apps:,} apps of {sizes.tasks} tasks to begin with"),
        ("changes asked for", _counted(outcome.changes.made)),
        ("refused, as the app was locked", str(outcome.changes.refused)),
        ("mishaps", _counted(outcome.mishaps.made)),
        ("live changes, servers stopped, reloads", f"{journal['live']}, {journal['stopped']}, {journal['reload']}"),
    ]


def _what_came_of_it(outcome: Outcome) -> list[tuple[str, str]]:
    first, last = outcome.samples[0], outcome.samples[-1]
    hours = (last.at_s - first.at_s) / 3600
    lines, size = (last.log_lines - first.log_lines) / hours, (last.log_bytes - first.log_bytes) / hours
    oldest = max(outcome.samples, key=lambda each: each.old_workers)
    requests = [
        (f"requests to {each.host}", f"{each.requests:,}, {len(each.failures)} failed; p99 {each.p99_ms:.0f} ms")
        for each in outcome.requests
    ]
    return [
        *requests,
        ("held connections", _counted(outcome.held.ends)),
        ("old workers at most", f"{oldest.old_workers}, with {oldest.old_mib:.0f} MiB"),
        ("old workers ended for a limit", str(outcome.journal["old_worker_ended"])),
        ("doubts, drift repaired, HAProxy ended", ", ".join(str(outcome.journal[each]) for each in UNWANTED)),
        ("log", f"{lines:,.0f} lines and {size / 1e6:.2f} MB an hour"),
        ("differences from a fresh render in the end", str(len(outcome.wrong))),
    ]


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def plot(outcome: Outcome, path: Path) -> None:
    """Draw memory, descriptors, old workers and the log over time; needs matplotlib."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    minutes = [each.at_s / 60 for each in outcome.samples]
    with mpl.rc_context({**STYLE, "svg.hashsalt": "fastlb"}):
        figure = Figure(figsize=(11, 7), layout="constrained")
        memory, descriptors, workers, log = figure.subplots(2, 2).flat
        for name in PARTS:
            there = [each for each in outcome.samples if name in each.parts]
            at = [each.at_s / 60 for each in there]
            memory.plot(at, [each.parts[name].mib for each in there], color=COLOURS[name], lw=1, label=name)
            descriptors.plot(
                at, [each.parts[name].descriptors for each in there], color=COLOURS[name], lw=1, label=name
            )
        workers.plot(minutes, [each.old_workers for each in outcome.samples], color=COLOURS["worker"], lw=1)
        log.plot(minutes, [each.log_bytes / 1e6 for each in outcome.samples], color=COLOURS["controller"], lw=1)
        titles = ("resident memory, MiB", "open descriptors", "old workers", "log so far, MB")
        for axes, title in zip((memory, descriptors, workers, log), titles, strict=True):
            axes.set(title=title, xlabel="minutes", yscale="log" if axes is descriptors else "linear")
            axes.grid(alpha=0.3)
            if axes is not descriptors:
                axes.set_ylim(bottom=0)
        memory.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
