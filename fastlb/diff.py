"""What runs against what should run: a Plan, which is a value that can be printed and tested.

    Running, desired Document, who changed --compare--> live changes by app, steps for the maps, reasons for a reload

It compares what apps contribute, of those that may differ, never the text of the document. An app is changed live as a
whole or not at all: if anything of it needs a reload, all of it waits for that, and the other apps do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from fastlb import commands, live
from fastlb.live_maps import UnfitMap, map_steps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from fastlb.commands import Phase
    from fastlb.document import Document
    from fastlb.fragments import Fragment
    from fastlb.layout import Written
    from fastlb.live import Change
    from fastlb.render import Part
    from fastlb.running import Running

SHOWN = 5
WHOLE = ""
"""Stands for the app of a reason that is nobody's."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done: apps that are changed live, and apps that need a reload, each with its reasons.

    ``live`` has apps of which nothing has to be sent, too: their text differs only where HAProxy does not look.
    """

    live: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    maps: Phase = ()
    reload: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        """Whether HAProxy already runs what it should."""
        return not self.reload and not self.phases

    @property
    def changes(self) -> tuple[Change, ...]:
        """Return what is changed live."""
        return tuple(chain.from_iterable(self.live.values()))

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Return what to send, in its order."""
        changes = self.changes
        gains = chain.from_iterable(change.gains for change in changes)
        losses = chain.from_iterable(change.losses for change in changes)
        return commands.phases(gains, self.maps, losses)

    @property
    def live_reasons(self) -> dict[str, list[str]]:
        """Return, by app, why something is sent; nothing is for what differs only in maps, or where nobody looks."""
        return {
            app_id: [command.why for change in changes for command in (*change.gains, *change.losses)] or ["its maps"]
            for app_id, changes in self.live.items()
        }

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return why a reload is needed; without reasons none is."""
        return tuple(chain.from_iterable(self.reload.values()))

    @property
    def why_reload(self) -> str:
        """Return the first few reasons in one line."""
        return _shown(self.reasons)

    @property
    def lines(self) -> list[str]:
        """Return all of it, a line for each step, in their order, and for each reason."""
        steps = [str(step) for phase in self.phases for step in phase]
        return steps + [f"reload   # {reason}" for reason in self.reasons]

    def __str__(self) -> str:
        """Say it in one line, with the first few steps and reasons."""
        steps = [str(step) for phase in self.phases for step in phase]
        parts = [f"live: {_shown(steps)}"] if steps else []
        parts += [f"reload: {self.why_reload}"] if self.reload else []
        return "; then ".join(parts) or "nothing to do"


def compare(running: Running, desired: Document, app_ids: Collection[str], map_paths: Mapping[str, str]) -> Plan:
    """Return the plan that leads from what runs to ``desired``.

    Args:
        running: what HAProxy has.
        desired: what it should have.
        app_ids: those, as HAProxy knows them, whose contributions may differ; others are not looked at.
        map_paths: the names of the files of ``domains`` and ``app_ids`` as the configuration writes them.

    """
    if running.document is None:
        return Plan(reload={WHOLE: (f"{running.doubt}, with {desired.listening} services",)})
    reload: dict[str, tuple[str, ...]] = {}
    changes: dict[str, tuple[Change, ...]] = {}
    for app_id in sorted(app_ids):
        reasons, changes[app_id] = _compare_app(running, running.document.part(app_id), desired.part(app_id))
        if reasons:
            reload[app_id] = tuple(sorted(reasons))
    if changes and running.head_values != desired.head_values:
        reload[WHOLE] = (f"the head follows the size: {_differing(running.head_values, desired.head_values)}",)
    live_ids = changes.keys() - reload.keys()
    steps, unfit = _map_phase(running, desired, live_ids, map_paths)
    reload |= unfit
    live_changes = {app_id: changes[app_id] for app_id in sorted(live_ids - unfit.keys())}
    return Plan(live_changes, steps, reload)


def _compare_app(running: Running, applied: Part, desired: Part) -> tuple[list[str], tuple[Change, ...]]:
    """Return why one app needs a reload, or what changes it live."""
    before, after = _by_backend(applied), _by_backend(desired)
    reasons = [f"new {_named(after[backend])}" for backend in after.keys() - before.keys()]
    reasons += [f"{_named(before[backend])} is gone" for backend in before.keys() - after.keys()]
    changes = []
    for backend in before.keys() & after.keys():
        old, new = before[backend], after[backend]
        if old.fragment == new.fragment and new.service.app_id not in running.stopped:
            continue
        if _beside_servers(old.fragment) != _beside_servers(new.fragment) or running.capabilities is None:
            reasons.append(_why_reload(old, new))
            continue
        leaving = running.leaving.of(new.service.backend)
        change = live.change(running.backend(old), running.wanted(new), running.capabilities, leaving)
        reasons += [f"{_named(new)}: {reason}" for reason in change.reasons]
        changes += [] if change.is_nothing else [change]
    return reasons, () if reasons else tuple(changes)


def _beside_servers(fragment: Fragment) -> tuple[object, ...]:
    """Return what of a fragment no command changes; its map entries are looked at by themselves."""
    vhost = fragment.vhost
    rank = vhost.rank if vhost.http or vhost.https else 0
    return (
        fragment.userlist,
        vhost.http,
        vhost.https,
        rank,
        vhost.hosts,
        fragment.appid,
        fragment.frontend,
        fragment.backend,
    )


def _map_phase(
    running: Running, desired: Document, app_ids: Collection[str], map_paths: Mapping[str, str]
) -> tuple[Phase, dict[str, tuple[str, ...]]]:
    """Return the steps that change both maps for these apps; or the apps that need a reload for it, with the reason."""
    applied = running.document
    differing = {app_id for app_id in app_ids if applied and _differ(applied.part(app_id), desired.part(app_id))}
    if applied is None or not differing:
        return (), {}
    steps: Phase = ()
    try:
        for table, path in map_paths.items():
            less = chain.from_iterable(getattr(applied.part(app_id), table) for app_id in differing)
            more = chain.from_iterable(getattr(desired.part(app_id), table) for app_id in differing)
            change = getattr(applied, table).change(less, more)
            everything = partial(_entries_after, applied, desired, differing, table)
            steps += map_steps(path, change.gone, change.came, change.repeated, everything)
    except UnfitMap as error:
        return (), dict.fromkeys(differing, (str(error),))
    return steps, {}


def _entries_after(applied: Document, desired: Document, app_ids: Iterable[str], table: str) -> list[tuple[str, str]]:
    after = applied.copy()
    after.follow(desired, app_ids)
    return after.entries(table)


def _differ(applied: Part, desired: Part) -> bool:
    return (applied.domains, applied.app_ids) != (desired.domains, desired.app_ids)


def _differing(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name} {before.get(name)} to {value}" for name, value in after.items() if before.get(name) != value
    )


def _why_reload(old: Written, new: Written) -> str:
    if old.service.options != new.service.options:
        return f"the labels of {_named(new)} changed"
    if old.service.servers != new.service.servers:
        gained = len(set(new.service.servers) - set(old.service.servers))
        lost = len(set(old.service.servers) - set(new.service.servers))
        return f"{_named(new)} has {gained} server(s) more or changed, {lost} fewer"
    return f"what is written for {_named(new)} changed"


def _by_backend(part: Part) -> dict[tuple[str, int], Written]:
    return {(each.service.backend, each.service.port_index): each for each in part.written}


def _named(written: Written) -> str:
    return f"backend {written.service.backend} (app {written.service.app_id})"


def _shown(each: Iterable[str]) -> str:
    several = list(each)
    more = len(several) - SHOWN
    return "; ".join(several[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
