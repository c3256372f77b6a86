"""Text from outside on one line, so that it moves no cursor, breaks no log line and hides nothing.

Pure. Ids, labels, HAProxy's words and Marathon's answers come from outside: whatever of them is not printable (line
breaks, escape sequences, marks that turn the direction of writing) is shown as Python would escape it.
"""

from __future__ import annotations


def one_line(text: str, longest: int) -> str:
    """Return ``text`` with all that is not printable escaped, cut after ``longest`` characters if it is longer."""
    cut = text[: longest + 1]
    if not cut.isprintable():
        cut = "".join(each if each.isprintable() else _escaped(each) for each in cut)
    return cut if len(cut) <= longest else f"{cut[:longest]}... ({len(text)} characters)"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
