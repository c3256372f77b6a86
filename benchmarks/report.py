"""What a run says: on which machine, the figures as a table and as JSON, and which gates hold."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psutil

from benchmarks.programs import ROOT
from fastlb import __version__, kernel
from fastlb.errors import HAProxyError
from fastlb.haproxy import find_haproxy

if TYPE_CHECKING:
    from benchmarks.figures import Rows
    from benchmarks.gates import Gate
    from benchmarks.marathon_lb import Checkout

HEADING = f"{'what':<46} {'size':<20} {'who':<12} {'min':>11} {'median':>11} {'max':>11}  unit, times"
COMMIT_CHARACTERS = 12


def about(checkout: Checkout | None) -> dict[str, Any]:
    """Say what the figures were taken on, and when."""
    found = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory GB": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 2),
        "Python": platform.python_version(),
        "orjson": orjson.__version__,
        "HAProxy": _haproxy(),
        "fastlb": f"{__version__} ({_commit(ROOT)}), hot path {kernel.CHOSEN}",
    }
    if checkout:
        version = subprocess.run([checkout.python, "-V"], check=True, capture_output=True, text=True).stdout
        found["marathon-lb"] = f"{_commit(checkout.folder)}, {version.strip()}"
    return found


def table(rows: Rows) -> str:
    """Return the figures, a line each; curves are left to JSON and plots."""
    lines = [HEADING]
    for row in rows.every:
        if "changes" in row.size:
            continue
        values = (f"{value:>11.5g}" for value in (row.smallest, row.median, row.largest))
        lines.append(f"{row.what:<46} {row.size:<20} {row.who:<12} {' '.join(values)}  {row.unit}, {row.times}")
    return "\n".join(lines)


def verdicts(gates: list[Gate]) -> str:
    """Return the gates, a line each."""
    return "\n".join(f"{'holds' if gate.holds else 'FAILS'}  {gate}" for gate in gates)


def to_json(facts: dict[str, Any], rows: Rows, gates: list[Gate]) -> str:
    """Return everything for a machine to read."""
    judged = [gate._asdict() | {"holds": gate.holds} for gate in gates]
    return json.dumps({"about": facts, "rows": [row._asdict() for row in rows.every], "gates": judged}, indent=1) + "\n"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _haproxy() -> str:
    try:
        return find_haproxy(None, os.environ).version_text
    except HAProxyError:
        return "none"


def _commit(folder: Path) -> str:
    """Return the commit of a checkout, and whether it was changed since."""
    words = ["git", "-C", str(folder), "describe", "--always", "--dirty", f"--abbrev={COMMIT_CHARACTERS}"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "no commit"
