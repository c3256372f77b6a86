"""Which apps are asked for when not all are: a label selector of Marathon (MARATHON.md 1.2).

It must not know whether that is wise; `--select-by-group` is an operator's choice, since a selector cannot say all
that decides whether an app is served. Data flows: groups -> the expression for Marathon, and the same test for an
answer that was not selected by it: that of a single app, or of something between that does not know selectors.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

GROUP = "HAPROXY_GROUP"
ANY_GROUP = re.compile(r"HAPROXY_(?:\d+_)?GROUP")
_UNQUOTED = re.compile(r"[^-A-Za-z0-9_.]")


class Selector(NamedTuple):
    """Apps whose label HAPROXY_GROUP is one of `groups`, exactly; none of these is empty or `*`."""

    groups: tuple[str, ...]

    @property
    def expression(self) -> str:
        """The selector as Marathon reads it; every character that it does not take as it is stands behind a `\\`."""
        return f"{GROUP} in ({','.join(_UNQUOTED.sub(_quoted, group) for group in self.groups)})"

    def selects(self, app: Mapping[str, Any]) -> bool:
        """Whether Marathon would; an app whose labels make no sense is left to whoever reads it."""
        labels = app.get("labels")
        return not isinstance(labels, dict) or labels.get(GROUP) in self.groups

    def misses(self, app: Mapping[str, Any]) -> bool:
        """Whether this app is not selected although one of its labels names one of the groups."""
        return not self.selects(app) and any(not group.isdisjoint(self.groups) for group in _groups(app))


def selector_of(groups: tuple[str, ...]) -> Selector | None:
    """The selector for these groups; None when apps cannot be selected by them."""
    return None if "*" in groups or "" in groups else Selector(groups)


def _groups(app: Mapping[str, Any]) -> Iterator[set[str]]:
    for label, value in app["labels"].items():
        if ANY_GROUP.fullmatch(label) and isinstance(value, str):
            yield set(value.split(","))


def _quoted(character: re.Match[str]) -> str:
    return "\\" + character.group()
