"""Runs fuzz targets guided by coverage, one process each; prints executions and findings.

    python -m tests.fuzz.runner [TARGET...] [--seconds N] [--corpus DIR]

What fails a target is written beside its corpus. Exit code 1 if anything did.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

TARGETS = sorted(path.stem.removeprefix("target_") for path in Path(__file__).parent.glob("target_*.py"))
MAX_INPUT_BYTES = 4096
SLOW_INPUT_S = 20  # a single one; nothing here takes a hundredth of it
MAX_RSS_MB = 2048


def fuzz(name: str, corpus: Path, seconds: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["fastlb"], enable_loader_override=False):
        target = import_module(f"tests.fuzz.target_{name}")
    folder = corpus / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.SEEDS):
        (folder / f"seed-{number}").write_bytes(seed)
    flags = [f"-max_total_time={seconds}", f"-max_len={MAX_INPUT_BYTES}", f"-timeout={SLOW_INPUT_S}"]
    flags += [
        f"-rss_limit_mb={MAX_RSS_MB}",
        f"-artifact_prefix={corpus}/{name}-",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *flags, str(folder)], target.check)
    atheris.Fuzz()


def run(name: str, corpus: Path, seconds: int) -> tuple[int, bool]:
    """Fuzz one target in a process of its own; return executions, and whether it went well."""
    command = [sys.executable, "-m", __spec__.name, name, "--here", "--seconds", str(seconds), "--corpus", str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds * 2 + 300)
    counted = re.search(r"number_of_executed_units: +(\d+)", done.stderr)
    executions = int(counted[1]) if counted else 0
    if done.returncode or not executions:
        sys.stderr.write(done.stdout[-3000:] + done.stderr[-6000:])
    return executions, done.returncode == 0 and executions > 0


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--corpus", type=Path, help="a folder that is kept, instead of one for this run")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if unknown := sorted({*args.targets} - {*TARGETS}):
        parser.error(f"there is no target {unknown[0]}")
    if args.here:
        fuzz(args.targets[0], args.corpus, args.seconds)
    corpus = args.corpus or Path(tempfile.mkdtemp(prefix="fastlb-fuzz-"))
    total, failed = 0, []
    for name in args.targets or TARGETS:
        executions, well = run(name, corpus, args.seconds)
        total += executions
        failed += [] if well else [name]
        say(f"{name:10} {executions:>12,} executions  {'ok' if well else 'FAILED'}")
    say(f"{'all':10} {total:>12,} executions  corpus and findings: {corpus}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
