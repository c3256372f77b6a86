"""How much there is, and how much is left out: a few numbers that say what was decided last.

    Decider --take_census--> Census --board--> metrics

Pure. Sizes are kept up to date by the rooms that own them, and what is left out is counted from the notes, so that a
census costs what is wrong in the cluster and not what is in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastlb.decision import Decider


class Census(NamedTuple):
    """How many apps Marathon has, services and servers HAProxy, and how much is left out, by `REASONS`."""

    apps: int
    services: int
    servers: int
    left_out: Mapping[str, int]


REASONS = {
    "unreadable": "Marathon's answer about the app cannot be read",
    "refused": "HAProxy refuses the app, and no good form of it is known",
    "older_form": "HAProxy refuses the app's newest form; its last good form serves",
    "unusable": "a label or a port of the service cannot be used",
    "template": "the service's templates cannot be filled in",
    "policy": "the policy does not allow a label, a vhost or the service",
    "conflict": "another app, older as it is, has the vhost or the service port (--conflicts first)",
    "unservable": "no service port is left for it, or it speaks UDP only",
}
"""Why something of an app is left out, in a word, and in words."""


def take_census(decider: Decider) -> Census:
    """Count what was decided last; as with `Decider.notes`, what nobody wanted is not left out."""
    desired, refused = decider.desired.notes, decider.quarantine.refused.values()
    counts = {
        "unreadable": len(decider.store.notes),
        "refused": sum(each.entirely for each in refused),
        "older_form": sum(not each.entirely for each in refused),
        "unusable": sum(note.mistake for note in desired),
        "template": sum(note.mistake for note in decider.document.notes),
        "policy": sum(note.cause == "policy" for note in desired),
        "conflict": sum(note.cause == "conflict" for note in desired),
        "unservable": sum(note.left_out and not (note.mistake or note.cause) for note in desired),
    }
    return Census(decider.store.count, decider.document.listening, decider.document.servers, counts)
