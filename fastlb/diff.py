"""What runs against what should run: a Plan, which is a value that can be printed and tested.

A plan is nothing or a reload with its reasons; runtime commands come as a third kind with the next versions of this
room. It compares what apps contribute, of those that may differ, never the text of the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from fastlb.document import Document
    from fastlb.layout import Written
    from fastlb.model import Service
    from fastlb.render import Part

SHOWN_REASONS = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done; without reasons, nothing."""

    reasons: tuple[str, ...]

    @property
    def is_nothing(self) -> bool:
        """Whether HAProxy already runs what it should."""
        return not self.reasons

    def __str__(self) -> str:
        """Say it in one line, with the first few reasons."""
        if self.is_nothing:
            return "nothing to do"
        more = len(self.reasons) - SHOWN_REASONS
        shown = "; ".join(self.reasons[:SHOWN_REASONS])
        return f"reload, because {shown}" + (f"; and {more} more" if more > 0 else "")


def compare(applied: Document | None, desired: Document, app_ids: Collection[str]) -> Plan:
    """Return the plan that leads from ``applied`` (None: unknown) to ``desired``; every reload has a reason.

    ``app_ids`` are those, as HAProxy knows them, whose contributions may differ; others are not looked at.
    """
    if applied is None:
        return Plan((f"HAProxy is given its first configuration, with {desired.listening} services",))
    reasons = []
    for app_id in sorted(app_ids):
        reasons += _reasons(applied.part(app_id), desired.part(app_id))
    if reasons and applied.domains.hash != desired.domains.hash:
        reasons.append("the vhost map changed")
    if reasons and applied.app_ids.hash != desired.app_ids.hash:
        reasons.append("the app-id map changed")
    return Plan(tuple(reasons))


def _reasons(applied: Part, desired: Part) -> list[str]:
    if applied is desired:
        return []
    before, after = _by_backend(applied), _by_backend(desired)
    reasons = [f"{_named(after[backend])} is new" for backend in after.keys() - before.keys()]
    reasons += [f"{_named(before[backend])} is gone" for backend in before.keys() - after.keys()]
    for backend in before.keys() & after.keys():
        old, new = before[backend], after[backend]
        if old.fragment == new.fragment:
            continue
        if old.service.servers != new.service.servers:
            reasons.append(_servers_reason(old.service, new.service))
        else:
            what = "the labels of" if old.service.options != new.service.options else "what is written for"
            reasons.append(f"{what} {_named(new)} changed")
    return sorted(reasons)


def _servers_reason(old: Service, new: Service) -> str:
    gained = len(set(new.servers) - set(old.servers))
    lost = len(set(old.servers) - set(new.servers))
    return f"service {new.backend} of app {new.app_id} has {gained} server(s) more or changed, {lost} fewer"


def _by_backend(part: Part) -> dict[tuple[str, int], Written]:
    return {(each.service.backend, each.service.port_index): each for each in part.written}


def _named(written: Written) -> str:
    return f"service {written.service.backend} of app {written.service.app_id}"
