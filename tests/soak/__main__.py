"""``python -m tests.soak --minutes 120 --apps 5000``: soak, say what came of it, end with 1 if anything is wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import mkdtemp

from tests.soak.report import page, plot, table
from tests.soak.sizes import Sizes
from tests.soak.soak import Outcome, soaked


def main() -> int:
    """Return 0 if all is as it has to be."""
    args = _arguments()
    folder = Path(args.folder or mkdtemp(prefix="soak-"))
    sizes = Sizes(args.minutes, args.apps, args.tasks, args.requests, args.changes, args.mishaps)
    sys.stdout.write(f"{sizes}\nlog and journal: {folder}\n")
    sys.stdout.flush()
    with soaked(sizes, folder) as scene:
        _report(scene.outcome, folder, args)
    return 1 if scene.outcome.faults() else 0


def _report(outcome: Outcome, folder: Path, args: argparse.Namespace) -> None:
    """Say what came of it while all of it still runs: whatever its end finds wrong, the figures of hours stay."""
    (folder / "samples").write_text(json.dumps(outcome.samples))
    sys.stdout.write("\n".join([table(outcome), *outcome.faults(), ""]))
    sys.stdout.flush()
    if args.plot:
        plot(outcome, args.plot)
    if args.page:
        picture = os.path.relpath(args.plot, args.page.parent) if args.plot else None
        args.page.write_text(page(outcome, picture))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--apps", type=int, default=5000)
    parser.add_argument("--tasks", type=int, default=3, help="of each app (%(default)s)")
    parser.add_argument("--requests", type=int, default=100, help="per second to each of two apps (%(default)s)")
    parser.add_argument("--changes", type=float, default=2.0, help="per second (%(default)s)")
    parser.add_argument("--mishaps", type=float, default=45.0, help="seconds between two (%(default)s)")
    parser.add_argument("--folder", help="where log and journal stay; default: a new one")
    parser.add_argument("--page", type=Path, help="write the report here")
    parser.add_argument("--plot", type=Path, help="draw the curves here; needs the extra bench")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
