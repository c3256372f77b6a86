"""Old workers and their memory during many reloads, each leaving a connection: with limits and without, side by side.

    python -m tests.old_workers_curve --services 1000 --reloads 200 --seconds 60

No test: it prints a curve and takes as long as it is told. Each run has a HAProxy of its own on loopback. Without
limits the reloads stop when the old workers fill half of the memory that is there, or HAProxy's list of them.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from fastlb.errors import RuntimeApiError
from fastlb.generations import MIB
from fastlb.settings import memory_there
from tests.fakes.held_haproxy import held_haproxy, talk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.held_haproxy import HeldHAProxy

SAMPLE_EVERY_S = 0.05
SHOWN_ROWS = 21
MOST_LISTED = 170
"""With about 190 workers the list is longer than HAProxy's buffer, and its master (2.8) answers no more at all."""


@dataclass
class Run:
    """What one run came to; a sample is (seconds, old workers, their MiB)."""

    samples: list[tuple[float, int, int]] = field(default_factory=lambda: [(0.0, 0, 0)])
    reloads: int = 0
    ended: int = 0
    postponed: int = 0
    seconds: float = 0.0

    @property
    def peaks(self) -> tuple[int, int]:
        """The most old workers, and the most MiB of them."""
        return max(count for _, count, _ in self.samples), max(mib for _, _, mib in self.samples)

    def at(self, share: float) -> tuple[int, int]:
        """Old workers and MiB at that share of the run."""
        wanted = share * self.samples[-1][0]
        return min(self.samples, key=lambda sample: abs(sample[0] - wanted))[1:]


def main() -> None:
    args = _arguments()
    logging.disable(logging.WARNING)
    more = _services(args.services, args.servers)
    limits = {"most": args.most, "resident_bytes": args.memory * MIB or memory_there() // 4}
    bounded = _run(more, args, {**limits, "patience_s": args.patience})
    free = _run(more, args, None)
    if args.json:
        args.json.write_text(json.dumps({"with limits": asdict(bounded), "without": asdict(free)}, indent=1))
    print(_table(args, bounded, free))  # noqa: T201 - what it is for


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--reloads", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--most", type=int, default=10, help="--max-old-workers")
    parser.add_argument("--memory", type=int, default=0, help="--max-old-workers-memory, MiB")
    parser.add_argument("--patience", type=float, default=0.0, help="--reload-patience, seconds")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def _services(count: int, servers: int) -> str:
    """Sections like those of as many services, without listeners of their own."""
    lines = []
    for number in range(count):
        lines.append(f"backend be_{number}\n    mode http\n    balance roundrobin\n    option forwardfor\n")
        lines += [f"    server s{each} 127.0.0.{2 + each}:{20000 + number}\n" for each in range(servers)]
    return "".join(lines)


def _run(more: str, args: argparse.Namespace, limits: dict[str, float] | None) -> Run:
    run, over = Run(), threading.Event()
    with tempfile.TemporaryDirectory() as folder, held_haproxy(Path(folder), more) as haproxy:
        sampler = threading.Thread(target=_sample, args=(haproxy, run, over))
        sampler.start()
        try:
            _reload_again_and_again(haproxy, run, args, limits)
        finally:
            over.set()
            sampler.join()
        run.ended = len(haproxy.journal("old_worker_ended"))
    return run


def _reload_again_and_again(
    haproxy: HeldHAProxy, run: Run, args: argparse.Namespace, limits: dict[str, float] | None
) -> None:
    watch = haproxy.watch(**limits) if limits else None
    started_s = time.monotonic()
    for number in range(args.reloads):
        time.sleep(max(0.0, started_s + number * args.seconds / args.reloads - time.monotonic()))
        talk(haproxy.hold(haproxy.plain))
        asked_s = time.monotonic()
        while watch and (pause_s := watch.make_room(time.monotonic() - asked_s)):
            run.postponed += 1
            time.sleep(pause_s)
        haproxy.reload()
        run.reloads += 1
        if not watch and (run.reloads >= MOST_LISTED or run.samples[-1][2] * MIB > memory_there() // 2):
            break
    run.seconds = time.monotonic() - started_s


def _sample(haproxy: HeldHAProxy, run: Run, over: threading.Event) -> None:
    started_s = time.monotonic()
    while not over.wait(SAMPLE_EVERY_S):
        try:
            pids = haproxy.old_pids()
        except RuntimeApiError:  # 2.6's master replaces itself
            continue
        run.samples.append((round(time.monotonic() - started_s, 3), len(pids), _resident_mib(pids)))


def _resident_mib(pids: Sequence[int] | set[int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total // MIB


def _table(args: argparse.Namespace, bounded: Run, free: Run) -> str:
    lines = [
        f"{args.services} services x {args.servers} servers, a connection held on each generation",
        f"{'share of run':>12} | {'with limits':>11} {'MiB':>7} | {'without':>11} {'MiB':>7}",
    ]
    for row in range(SHOWN_ROWS):
        share = row / (SHOWN_ROWS - 1)
        (count, mib), (free_count, free_mib) = bounded.at(share), free.at(share)
        lines.append(f"{share:>12.0%} | {count:>11} {mib:>7} | {free_count:>11} {free_mib:>7}")
    for name, run in (("with limits", bounded), ("without", free)):
        most, mib = run.peaks
        lines.append(
            f"{name}: {run.reloads} reloads in {run.seconds:.1f} s, at most {most} old workers with {mib} MiB, "
            f"{run.ended} ended, {run.postponed} times postponed"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
