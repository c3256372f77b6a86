"""How a run begins: what the file and the group's apps in Marathon come to, given the flags (COMPAT.md 9.2).

Pure. It must not know how apps are read; a run that is to go on with a deployment finds all it needs in the labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fastlb.zdd.definitions import FILE, Json, Sizes, first_colour, group_of, mark_of, next_colour
from fastlb.zdd.machine import Aim
from fastlb.zdd.outcomes import Code, ZddError
from fastlb.zdd.state import by_age, read_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastlb.zdd.state import Side

MOST_APPS = 2


class Wish(NamedTuple):
    """What the flags ask for; ``left_by``: which app a run that was killed wanted to be alone, empty without a lock."""

    initial: int = 1
    linear: int = 0
    split: int = 0
    resume: bool = False
    complete_newer: bool = False
    complete_older: bool = False
    left_by: str = ""


class Begin(NamedTuple):
    """How to begin: create ``definition``, if there is one, then pursue ``aim``, if there is one.

    ``sizes`` are the instances of the new and the old app at the start, ``notes`` what the user should know.
    ``over`` is the app that a run left alone that was killed after its last change: all that is left is to end.
    """

    definition: Json | None
    aim: Aim | None
    sizes: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()
    over: str = ""

    @property
    def wanted_id(self) -> str:
        """Which app is to be alone in the end, or the newer one."""
        return self.aim.new_id if self.aim else str(self.definition["id"]) if self.definition else self.over


def begin(definition: Json, apps: Sequence[Json], wish: Wish, started_at: str) -> Begin:
    """Return how to begin. Raises ZddError: UNEXPECTED, NO_SPLIT, DEFINITION, GROUP."""
    group = group_of(definition) or ""
    if len(apps) > MOST_APPS:
        names = ", ".join(app["id"] for app in by_age(apps))
        raise ZddError(
            Code.GROUP, f"deployment group {group} has {len(apps)} apps ({names}); it may have two: delete one"
        )
    if len(apps) == MOST_APPS:
        return _go_on(group, apps, wish)
    if apps and _is_over(definition, apps[0], wish):
        alone = apps[0]["id"]
        return Begin(None, None, notes=(f"{alone} is alone, as was wanted: nothing is left to do",), over=alone)
    if wish.complete_newer or wish.complete_older:
        raise ZddError(Code.NO_SPLIT, f"there is nothing to complete: deployment group {group} has {len(apps)} apps")
    if not apps:
        return Begin(first_colour(definition, started_at), None)
    return _follow(definition, apps[0], wish, started_at)


def backwards(aim: Aim, new: Side, old: Side) -> Aim:
    """Return the way back: the app that was to go takes over again, as a whole.

    It is asked for what the newer deployment found, or what its own label says, whichever is more: load balancers
    drain the newer app by that label.
    """
    total = max(aim.total, old.target or 0)
    thins = (new.target or 0) >= total
    return Aim(aim.group, aim.old_id, aim.new_id, total, linear=aim.linear, thins=thins, forces=True)


def _is_over(definition: Json, app: Json, wish: Wish) -> bool:
    """Whether the run that is to go on had made its last change: the lock that it left tells, else the app's label.

    Both apps may be of the same file: a lock that wants another app says that this one is what comes before.
    """
    if wish.left_by:
        return bool(wish.left_by == app["id"] and (wish.resume or wish.complete_newer or wish.complete_older))
    side = read_side(app)
    is_whole = side.instances >= (side.target or 0)
    return bool(wish.resume and is_whole and app["labels"].get(FILE) == mark_of(definition))


def _go_on(group: str, apps: Sequence[Json], wish: Wish) -> Begin:
    """Go on with two apps: towards the newer, keeping a split or completing it, or towards the older."""
    old, new = map(read_side, by_age(apps))
    if not (wish.complete_newer or wish.complete_older or wish.resume):
        raise ZddError(
            Code.UNEXPECTED,
            f"a deployment is in progress, from {old.app_id} ({old.instances} instances) to {new.app_id} "
            f"({new.instances}): go on with --resume or --complete-cur, or go back with --complete-prev",
        )
    total = max(new.instances if new.target is None else new.target, 0)
    forwards = Aim(group, new.app_id, old.app_id, total, linear=wish.linear, thins=(old.target or 0) >= total)
    if wish.complete_newer:
        return Begin(None, forwards, (new.instances, old.instances))
    if wish.complete_older:
        return Begin(None, backwards(forwards, new, old), (old.instances, new.instances))
    aim = forwards._replace(split=min(new.split, total))
    _check_split(aim, old)
    return Begin(None, aim, (new.instances, old.instances))


def _follow(definition: Json, last: Json, wish: Wish, started_at: str) -> Begin:
    old = read_side(last)
    following = next_colour(definition, last, Sizes(wish.initial, wish.split), started_at)
    split = min(wish.split, old.instances)
    thins = (old.target or 0) >= old.instances
    group = group_of(definition) or ""
    aim = Aim(group, following["id"], old.app_id, old.instances, split=split, linear=wish.linear, thins=thins)
    _check_split(aim, old)
    notes = []
    if definition.get("instances", old.instances) != old.instances:
        notes.append(f"{old.app_id} has {old.instances} instances, so the new app gets as many, whatever the file says")
    if not aim.thins and old.instances:
        notes.append(
            f"{old.app_id} does not say in a label that it is asked for {old.instances}, so all of it stays until all "
            "new tasks are there"
        )
    if not old.instances:
        notes.append(f"{old.app_id} has no instances, and so gets the new app; nothing serves")
    if not definition.get("healthChecks"):
        notes.append(
            "the app has no health checks: old tasks are taken out before anybody knows whether the new ones answer"
        )
    return Begin(following, aim, (following["instances"], old.instances), tuple(notes))


def _check_split(aim: Aim, old: Side) -> None:
    """Refuse a split that load balancers would undo: by the old app's label, they would drain all of the new one."""
    if aim.split and not aim.thins:
        raise ZddError(
            Code.DEFINITION,
            f"{old.app_id} cannot be split: its label HAPROXY_DEPLOYMENT_TARGET_INSTANCES is {old.target}, and "
            f"{aim.total} instances are asked for; deploy once without --new-instances, or go on with --complete-cur",
        )
