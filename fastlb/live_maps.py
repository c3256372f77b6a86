"""Before and after of one map file to commands, or to one swap of the whole map, or the reason for a reload.

It must not know sockets or files. Data flows: entries that went and came --map_steps--> steps for `runtime`.

An entry is changed alone only while its key is in the map once: of equal keys the first counts, `add map` puts a new
one last, and `del map` removes all of them or, on 3.4, one (HAPROXY.md C, HAPROXY-3.4.md 3).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from fastlb.commands import Command, MapSwap

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Sequence

    from fastlb.commands import Phase

    Entry = tuple[str, str]

MAX_SINGLE = 100
"""Entries that are changed one by one; more are a swap, which nobody sees half done."""

_WORD = re.compile(r"(?![#@])[!%&()*+,\-./0-9:=?@A-Z\[\]^_a-z{|}~]{1,1000}")
_PATH = re.compile(r"[\w./+-]+", re.ASCII)


class UnfitMap(Exception):  # noqa: N818 - it names a state, not a mistake
    """This map cannot be changed live; the message is the reason for a reload."""


def map_steps(
    path: str,
    gone: Iterable[Entry],
    came: Iterable[Entry],
    repeated: Container[str],
    everything: Callable[[], Iterable[Entry]],
) -> Phase:
    """Return what makes the running HAProxy's map ``path`` lose the entries ``gone`` and get those that ``came``.

    ``repeated`` has the keys that are in the map more than once, before or after; ``everything`` gives all entries
    that there are after, in the order of the file. ``path`` is the name of the file as the configuration writes it.
    Raises UnfitMap.
    """
    old, new = dict(gone), dict(came)
    touched = old.keys() | new.keys()
    if not touched:
        return ()
    _check(path, new.items())
    _check(path, ((key, "any") for key in old))
    if len(touched) > MAX_SINGLE or any(key in repeated for key in touched):
        entries = tuple(everything())
        _check(path, entries)
        return (MapSwap(path, entries, f"{len(touched)} of its keys changed"),)
    return tuple(_single(path, old, new))


def map_steps_between(path: str, before: Sequence[Entry], after: Sequence[Entry]) -> Phase:
    """Return what leads from all entries before to all entries after, both in their order. Raises UnfitMap."""
    counts = Counter(key for key, _ in before) | Counter(key for key, _ in after)
    repeated = {key for key, count in counts.items() if count > 1}
    was, now = set(before), set(after)
    steps = map_steps(path, was - now, now - was, repeated, lambda: after)
    if steps or not repeated or before == after or _winners(before) == _winners(after):
        return steps
    return (MapSwap(path, tuple(after), "the order of equal keys changed"),)


def _winners(entries: Sequence[Entry]) -> dict[str, str]:
    return dict(reversed(entries))


def _single(path: str, old: dict[str, str], new: dict[str, str]) -> Iterator[Command]:
    for key, value in sorted(new.items()):
        if key not in old:
            yield Command(f"add map {path} {key} {value}", "the entry is new")
        elif old[key] != value:
            yield Command(f"set map {path} {key} {value}", f"it was {old[key]}")
    for key in sorted(old.keys() - new.keys()):
        yield Command(f"del map {path} {key}", "the entry is gone")


def _check(path: str, entries: Iterable[Entry]) -> None:
    if not _PATH.fullmatch(path):
        raise UnfitMap(f"the name of the map {path!r} cannot be written in a command")
    for entry in entries:
        if not all(map(_WORD.fullmatch, entry)):
            raise UnfitMap(f"the entry {entry[0]!r} of {path} cannot be written in a command")
