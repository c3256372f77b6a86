"""How many connections fit under the descriptor limit.

HAProxy needs two descriptors per connection, one per listener and one per checked server, and refuses to start when
that passes the limit. The wanted ``maxconn`` therefore falls with the limit. It depends on the size of the document in
big steps only, so that a task more or less does not change the head, which only a reload can apply.
"""

from __future__ import annotations

from dataclasses import dataclass

OWN_DESCRIPTORS = 64
"""Sockets, pipes and logs of HAProxy itself, with room to spare."""

SMALLEST_RESERVE = 256
LOWEST_MAXCONN = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """The wanted ``maxconn`` and the hard limit of open descriptors (None: there is none)."""

    maxconn: int
    descriptors: int | None

    def head_values(self, listeners: int, checked: int) -> dict[str, int | bool]:
        """Return ``maxconn`` and ``strict_limits`` for the head.

        ``strict_limits`` is false where not even the lowest ``maxconn`` fits: HAProxy then starts with what it gets.
        """
        if self.descriptors is None:
            return {"maxconn": self.maxconn, "strict_limits": True}
        fitting = (self.descriptors - OWN_DESCRIPTORS - reserve(listeners + checked)) // 2
        return {
            "maxconn": min(self.maxconn, max(fitting, LOWEST_MAXCONN)),
            "strict_limits": fitting >= LOWEST_MAXCONN,
        }

    def warning(self, listeners: int, checked: int) -> str | None:
        """Return a sentence if the wanted ``maxconn`` does not fit; its numbers change as rarely as the head."""
        given = self.head_values(listeners, checked)["maxconn"]
        if given >= self.maxconn:
            return None
        return (
            f"maxconn {self.maxconn} does not fit the limit of {self.descriptors} open files "
            f"({reserve(listeners + checked)} kept for listeners and checked servers, 2 files per connection): "
            f"HAProxy gets maxconn {given}; raise the limit (ulimit -n) to at least "
            f"{2 * self.maxconn + OWN_DESCRIPTORS + reserve(listeners + checked)} for more"
        )


def reserve(needed: int) -> int:
    """Return ``needed`` rounded up to a power of two, 256 at least."""
    return max(SMALLEST_RESERVE, 1 << (max(needed, 1) - 1).bit_length())
