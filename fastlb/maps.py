"""The entries of one map file, with a hash of all of them that is kept up to date entry by entry.

Mutable, without I/O. Two tables hold the same entries if their hashes are equal, whatever the order; several services
may enter the same pair, which is in the map once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastlb import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable

Entry = tuple[str, str]

HASH_VALUES = 2**128


class EntryTable:
    """Which entries a map has: (key, backend)."""

    def __init__(self) -> None:
        self._counts: dict[Entry, int] = {}
        self.hash = 0
        """Stands for all entries (`kernel.table_hash`)."""

    def __len__(self) -> int:
        """Return the number of different entries."""
        return len(self._counts)

    def __contains__(self, entry: Entry) -> bool:
        """Whether the map has this entry."""
        return entry in self._counts

    def enter(self, entries: Iterable[Entry]) -> None:
        """Add entries, one count each."""
        for entry in entries:
            count = self._counts.get(entry, 0)
            self._counts[entry] = count + 1
            if count == 0:
                self.hash = (self.hash + kernel.entry_hash(*entry)) % HASH_VALUES

    def leave(self, entries: Iterable[Entry]) -> None:
        """Take away entries that were added, one count each."""
        for entry in entries:
            count = self._counts.pop(entry)
            if count > 1:
                self._counts[entry] = count - 1
            else:
                self.hash = (self.hash - kernel.entry_hash(*entry)) % HASH_VALUES

    def copy(self) -> EntryTable:
        """Return a table of its own with the same entries."""
        twin = EntryTable()
        twin._counts, twin.hash = dict(self._counts), self.hash
        return twin
