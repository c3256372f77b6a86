"""Writes the pages: ``python -m tests.transcripts [FOLDER]``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.transcripts import endpoints, explained

DOCS = Path(__file__).parents[2] / "docs"


def main() -> None:
    """Make both pages, one after the other."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    for name, page in (("endpoints", endpoints.page), ("explain", explained.page)):
        (folder / f"{name}.md").write_text(page())


if __name__ == "__main__":
    main()
