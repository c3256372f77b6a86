"""Bytes to choices: how a fuzzer, which knows bytes only, gets at anything that has a form.

Missing bytes read as zero, so that every input means something, and a seed need not say everything.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = TypeVar("Kind")

BLANKS = ["\n", "\r", "\r\n", "\0", "\x0b", "\x1b", "\x7f", "\x85", "\xa0", "\u2028", "\u3000", "\t", " ", "\ufeff"]
SIGNS = [*";\"'\\#$|{}[]*,:@/%", "${HOME}", "{{", "<<", "../", "%[env(HOME)]", "-m reg .*"]
LETTERS = ["é", "\u017f", "İ", "\U0001f600"]
PLACEHOLDERS = ["{backend}", "{0}", "{a.b}", "{healthCheck[path]}"]
WORDS = ["a.example", "127.0.0.1", "0", "-1", "65536", "99999999999999999999", "true", "http", "r:user:pass", "backend"]
COMMANDS = ["\nbackend x\n  server a 127.0.0.1:1", "; disable server a/b", "\n  use_backend x\n"]
ATOMS = [*BLANKS, *SIGNS, *LETTERS, *PLACEHOLDERS, *WORDS, *COMMANDS]
"""What a byte of 128 or more stands for in a text: whatever means something to somebody."""


class Choices:
    """Takes bytes one after the other."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def below(self, limit: int) -> int:
        """Return a number from 0 to ``limit`` - 1, of at most 256."""
        return next(self._bytes, 0) % limit

    def one_of(self, things: Sequence[Kind]) -> Kind:
        """Return one of up to 65,536 things."""
        number = next(self._bytes, 0)
        return things[(number + 256 * next(self._bytes, 0) if len(things) > 256 else number) % len(things)]

    def text(self) -> str:
        """Return a text of up to 63 pieces: characters of ASCII as they are, other bytes as `ATOMS`."""
        taken = islice(self._bytes, self.below(64))
        return "".join(chr(byte) if byte < 128 else ATOMS[(byte - 128) % len(ATOMS)] for byte in taken)

    def rest(self) -> bytes:
        """Return all that is left."""
        return bytes(self._bytes)
