"""How Marathon's releases differ, as one table: a new difference is a new column.

Pure values. The rows are the last patch of each line that MARATHON.md describes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one Marathon release line does in its own way."""

    release: str
    """What /v2/info calls it."""
    networks: bool
    """Apps have `networks` and nothing unset; before: `ipAddress`, `ports`, nulls (MARATHON.md 2.1)."""
    full_tasks: bool
    """Tasks always carry their arrays and never a null (MARATHON.md 3.1)."""
    keeps_dead: bool
    """Instances outlive tasks: dead ones stay listed, task ids name the incarnation (MARATHON.md 3.2)."""
    heavy_by_default: bool
    """Deployment events carry the whole plan unless the light form is asked for (MARATHON.md 5.1)."""
    plan_format: bool
    """`plan-format=light` is understood."""
    max_outstanding: int
    """Events queued for one slow reader (MARATHON.md 5.3)."""
    cuts_slow_readers: bool
    """A full queue closes the stream; before, events were silently lost (MARATHON.md 5.3)."""
    redirects_events: bool
    """A follower answers /v2/events with 302 and every answer has the frame headers (MARATHON.md 1.8)."""
    no_leader_status: int
    refused_status: int
    slow_leader_status: int
    wrong_type_status: int
    unknown_route_status: int


DIALECTS = {
    "1.4": Dialect("1.4.13", False, False, False, True, False, 50, False, False, 503, 503, 504, 400, 404),
    "1.5": Dialect("1.5.15", True, False, False, True, True, 1024, False, False, 503, 502, 504, 422, 404),
    "1.6": Dialect("1.6.590", True, True, False, True, True, 1024, False, False, 503, 502, 500, 422, 500),
    "1.7": Dialect("1.7.236", True, True, False, False, True, 1024, False, True, 502, 502, 500, 422, 500),
    "1.8": Dialect("1.8.244", True, True, True, False, False, 1024, True, True, 502, 502, 500, 422, 500),
}
