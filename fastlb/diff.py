"""What runs against what should run: a Plan, which is a value that can be printed and tested.

A plan is nothing or a reload with its reasons; runtime commands come as a third kind with the next versions of this
room. It compares services and maps, never the text of the document, except to know that there is nothing to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastlb.model import Service
    from fastlb.render import Rendering

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


def compare(applied: Rendering | None, desired: Rendering) -> Plan:
    """Return the plan that leads from ``applied`` (None: unknown) to ``desired``; every reload has a reason."""
    if applied is None:
        return Plan((f"HAProxy is given its first configuration, with {len(desired.services)} services",))
    texts = ((each.config, each.domain_map, each.app_map) for each in (applied, desired))
    if next(texts) == next(texts):
        return Plan(())
    reasons = [*_service_reasons(applied, desired), *_map_reasons(applied, desired)]
    return Plan(tuple(reasons) or ("the shared sections changed",))


def _service_reasons(applied: Rendering, desired: Rendering) -> list[str]:
    before, after = _by_key(applied), _by_key(desired)
    reasons = [f"service {key[1]} of app {key[0]} is new" for key in after.keys() - before.keys()]
    reasons += [f"service {key[1]} of app {key[0]} is gone" for key in before.keys() - after.keys()]
    for key in before.keys() & after.keys():
        old, new = before[key], after[key]
        if old.servers != new.servers:
            reasons.append(_servers_reason(key, old, new))
        elif old != new:
            reasons.append(f"the labels of service {key[1]} of app {key[0]} changed")
    return sorted(reasons)


def _servers_reason(key: tuple[str, str, int], old: Service, new: Service) -> str:
    gained = len(set(new.servers) - set(old.servers))
    lost = len(set(old.servers) - set(new.servers))
    return f"service {key[1]} of app {key[0]} has {gained} server(s) more or changed, {lost} fewer"


def _by_key(rendering: Rendering) -> dict[tuple[str, str, int], Service]:
    return {(service.app_id, service.backend, service.port_index): service for service in rendering.services}


def _map_reasons(applied: Rendering, desired: Rendering) -> list[str]:
    reasons = []
    if applied.domain_map != desired.domain_map:
        reasons.append("the vhost map changed")
    if applied.app_map != desired.app_map:
        reasons.append("the app-id map changed")
    return reasons
