"""Writes docs/flags.md from the table that the command line is built from: ``python docs/make_flags.py [FILE]``."""

from __future__ import annotations

import sys
from pathlib import Path

from fastlb import flags
from fastlb.cli import DAEMON_FLAGS

HEADING = """\
# Flags

Made from `fastlb/flags.py` by `make docs`; a test holds both equal.

`fastlb sse` and `fastlb poll` take every group down to *logging*; `fastlb render` takes the groups *Marathon*,
*generation* and *render*, `fastlb explain` takes *generation* and *explain*. `fastlb demo` and `fastlb simulate` have
flags of their own: `--help` shows them. `fastlb zdd` ([deployments](zdd.md)) takes *zdd* and most of
*Marathon* and *logging*, with other defaults: none for `--marathon`, and `WARNING` for `--log-level`.

Every flag can also be set by an environment variable. The command line beats the variable, the variable beats the
default; an empty variable counts as unset. For a flag that takes no value the words `1`, `true`, `t`, `yes` and `y`
switch it on; a flag that takes several values takes them separated by commas or blanks. Times are in seconds.
"""


def page() -> str:
    """Return the text of the page."""
    groups = [
        *DAEMON_FLAGS,
        ("render", flags.RENDER),
        ("explain", flags.EXPLAIN),
        ("zdd", flags.ZDD),
        ("top", flags.TOP),
    ]
    return HEADING + "".join(f"\n## {title}\n\n{table(group)}" for title, group in groups)


def table(group: tuple[flags.Flag, ...]) -> str:
    """Return one group as a table."""
    rows = ["| flag | default | meaning | variables |", "| --- | --- | --- | --- |"]
    rows += [f"| {name(flag)} | {default(flag)} | {meaning(flag)} | {variables(flag)} |" for flag in group]
    return "\n".join(rows) + "\n"


def name(flag: flags.Flag) -> str:
    """Return how the flag is given."""
    spellings = ", ".join(f"`{spelling}`" for spelling in flag.names.split())
    if flag.kind is bool:
        return spellings
    return f"{spellings} {flag.metavar}{'...' if flag.many == 'words' else ''}"


def default(flag: flags.Flag) -> str:
    """Return what holds when it is not given."""
    if flag.kind is bool:
        return "off"
    shown = " ".join(flag.default) if isinstance(flag.default, list) else flag.default
    shown = f"{shown:g}" if isinstance(shown, float) else shown
    return f"`{shown}`" if shown not in {None, ""} else ""


def meaning(flag: flags.Flag) -> str:
    """Return the sentence of the flag; a bar would end the cell."""
    return flag.help.replace("|", "\\|") + ("; may be repeated" if flag.many == "repeat" else "")


def variables(flag: flags.Flag) -> str:
    """Return the variables that set it."""
    return ", ".join(f"`{variable}`" for variable in flag.variables)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page(), encoding="utf-8")
    else:
        sys.stdout.write(page())
