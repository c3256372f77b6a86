"""The entries of one map file, with a hash of all of them that is kept up to date entry by entry.

Mutable, without I/O. Two tables hold the same entries if their hashes are equal, whatever the order; several services
may enter the same pair, which is in the map once.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from fastlb import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Entry = tuple[str, str]

HASH_VALUES = 2**128


class EntryChange(NamedTuple):
    """Entries that go and come, and the keys among theirs that are in the map more than once, before or after."""

    gone: list[Entry]
    came: list[Entry]
    repeated: set[str]


class EntryTable:
    """Which entries a map has: (key, backend)."""

    def __init__(self) -> None:
        self._counts: dict[Entry, int] = {}
        self._keys: dict[str, int] = {}
        self.hash = 0
        """Stands for all entries (`kernel.table_hash`)."""

    def __len__(self) -> int:
        """Return the number of different entries."""
        return len(self._counts)

    def count(self, entry: Entry) -> int:
        """Return how often an entry was added and not taken away."""
        return self._counts.get(entry, 0)

    def change(self, less: Iterable[Entry], more: Iterable[Entry]) -> EntryChange:
        """Return what would become of the map if entries were taken away and others added, one count each."""
        difference = Counter(more)
        difference.subtract(less)
        touched = {entry: self.count(entry) for entry, by in difference.items() if by}
        gone = [entry for entry, count in touched.items() if count and count + difference[entry] == 0]
        came = [entry for entry, count in touched.items() if not count]
        balance = Counter(key for key, _ in came)
        balance.subtract(key for key, _ in gone)
        before = {key: self._keys.get(key, 0) for key in balance}
        repeated = {key for key, by in balance.items() if max(before[key], before[key] + by) > 1}
        return EntryChange(gone, came, repeated)

    def enter(self, entries: Sequence[Entry]) -> None:
        """Add entries, one count each."""
        if entries:
            self.hash = (self.hash + kernel.enter(entries, self._counts, self._keys)) % HASH_VALUES

    def leave(self, entries: Iterable[Entry]) -> None:
        """Take away entries that were added, one count each."""
        gone = []
        for entry in entries:
            count = self._counts.pop(entry)
            if count > 1:
                self._counts[entry] = count - 1
                continue
            left = self._keys.pop(entry[0]) - 1
            if left:
                self._keys[entry[0]] = left
            gone.append(entry)
        if gone:
            self.hash = (self.hash - kernel.table_hash(gone)) % HASH_VALUES

    def copy(self) -> EntryTable:
        """Return a table of its own with the same entries."""
        twin = EntryTable()
        twin._counts, twin._keys, twin.hash = dict(self._counts), dict(self._keys), self.hash
        return twin
