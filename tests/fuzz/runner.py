"""Runs fuzz targets guided by coverage, one process each; prints what came of it, and writes it as a page if asked.

    python -m tests.fuzz.runner [TARGET...] [--seconds N] [--at-once N] [--corpus DIR] [--page FILE]

What fails a target is written beside its corpus, with all that was printed. Exit code 1 if anything did. With the
corpus of an earlier run this one goes on: the page, as `docs/fuzzing.md` is one, has the figures of all of them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.statistics import SLOWEST, Runs, Statistics, page, read_statistics, row_of_all

if TYPE_CHECKING:
    from collections.abc import Callable

TARGETS = sorted(path.stem.removeprefix("target_") for path in Path(__file__).parent.glob("target_*.py"))
MAX_INPUT_BYTES = 4096
"""Unless a target says that it reads less: ``LONGEST``."""
SLOW_INPUT_S = 1.0
"""Processor time of a single input, at which it is a finding; nothing here takes a tenth of it."""
HUNG_INPUT_S = 120
"""By the clock, for what never comes back; far more than `SLOW_INPUT_S`, since the machine may be busy."""
MAX_RSS_MB = 2048


def fuzz(name: str, corpus: Path, seconds: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["fastlb"], enable_loader_override=False):
        target = import_module(f"tests.fuzz.target_{name}")
    target.check(target.SEEDS[0])  # what is made once, no input is to blame for
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.SEEDS):
        (folder / f"seed-{number}").write_bytes(seed)
    flags = [f"-max_total_time={seconds}", f"-max_len={getattr(target, 'LONGEST', MAX_INPUT_BYTES)}"]
    flags += [f"-timeout={HUNG_INPUT_S}", f"-rss_limit_mb={MAX_RSS_MB}", f"-artifact_prefix={corpus}/{name}-"]
    atheris.Setup([sys.argv[0], *flags, "-print_final_stats=1", str(folder)], timed(target.check))
    atheris.Fuzz()


def timed(check: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return ``check`` so that it says of each input that it is the slowest so far, and fails on one that is slow.

    One that seems to be, by the clock, is checked once more: processor time is dear to ask for, and the machine busy.
    """
    slowest_s = 0.0

    def check_in_time(data: bytes) -> None:
        nonlocal slowest_s
        begin_s = time.perf_counter()
        check(data)
        if time.perf_counter() - begin_s > slowest_s and (took_s := processor_s(check, data)) > slowest_s:
            slowest_s = took_s
            sys.stderr.write(f"{SLOWEST}{took_s:.6f}\n")
            assert took_s < SLOW_INPUT_S, f"this input of {len(data)} bytes took {took_s:.1f} s of processor time"

    return check_in_time


def processor_s(check: Callable[[bytes], None], data: bytes) -> float:
    """Return the processor time of one check."""
    begin_s = time.process_time()
    check(data)
    return time.process_time() - begin_s


def run(name: str, corpus: Path, seconds: int) -> Statistics:
    """Fuzz one target in a process of its own, the only child of this one; return what came of it."""
    command = [sys.executable, "-m", "tests.fuzz.runner", name, "--here", "--seconds", str(seconds)]
    printed, before_s, begin_s = corpus / f"{name}-{time.time_ns()}.log", _children_s(), time.monotonic()
    with printed.open("wb") as file:
        limit_s = seconds * 2 + 600
        done = subprocess.run([*command, "--corpus", str(corpus)], stdout=file, stderr=file, timeout=limit_s)
    took_s, spent_s = time.monotonic() - begin_s, _children_s() - before_s
    text = printed.read_text(errors="replace")
    found = read_statistics(name, text, took_s, spent_s, well=done.returncode == 0)
    if found.well:
        printed.unlink()
    else:
        sys.stderr.write(text[-6000:])
    return found


def _children_s() -> float:
    """Return the processor time of all children that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--at-once", type=int, default=1, help="how many targets run beside each other")
    parser.add_argument("--corpus", type=Path, help="a folder that is kept, to go on with, instead of one for this run")
    parser.add_argument("--page", type=Path, help="where to write the figures")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := sorted({*args.targets} - {*TARGETS}):
        parser.error(f"there is no target {unknown[0]}")
    if args.here:
        fuzz(args.targets[0], args.corpus, args.seconds)
    corpus = args.corpus or Path(tempfile.mkdtemp(prefix="fastlb-fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    runs = Runs(corpus / "runs.json")
    well = True
    with ProcessPoolExecutor(args.at_once) as pool:
        waited = [pool.submit(run, name, corpus, args.seconds) for name in args.targets or TARGETS]
        for found in (each.result() for each in as_completed(waited)):
            runs.add(found)
            well = well and found.well
            say(found.row())
            if args.page:
                args.page.write_text(page(runs))
    say(row_of_all(runs.by_target()))
    say(f"corpus and findings: {corpus}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
