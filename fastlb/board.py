"""How the loop is doing, written by the loop alone and read by any thread: each field is one immutable value.

It must not know who reads it. A reader sees the newest value of each field, and never waits for the loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastlb.census import Census


@dataclass(slots=True)
class Board:
    """Times are monotonic seconds; None: not yet, or not at present."""

    busy_since_s: float | None = None
    """Since when the loop works on what has arrived; None while it waits for more."""
    read_s: float | None = None
    """When Marathon last gave an answer that was taken."""
    agreed_s: float | None = None
    """When the last answer arrived that HAProxy is known to run."""
    haproxy_gone: str = ""
    """What its supervisor said when HAProxy ended, until it serves again."""
    fetch_failure: str = ""
    """Why Marathon cannot be read at present."""
    kept_apps: int = 0
    """How many apps are kept, or tasks of them, although Marathon names them no more."""
    policy_failure: str = ""
    """Why the newest policy file cannot be used; the one before goes on."""
    event_s: float | None = None
    """When the last event of Marathon arrived, wanted or not."""
    census: Census | None = None
    """How much there is, as last decided."""
