"""How long a soak is, how big, and how much happens in it."""

from __future__ import annotations

from typing import NamedTuple


class Sizes(NamedTuple):
    """Rates are per second: of requests to each of the two loaded apps, and of changes to the cluster."""

    minutes: float
    apps: int
    tasks: int = 3
    requests_per_s: int = 100
    changes_per_s: float = 2.0
    mishap_every_s: float = 45.0
    held: int = 6
    """So many connections are held at once."""
    ready_within_s: float = 600.0
    """Until all is served at the start, and until all is as it should be at the end."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return 60 * self.minutes

    @property
    def sample_every_s(self) -> float:
        """Between two looks at the processes: about 400 in all."""
        return max(0.5, self.seconds / 400)


SHORT = Sizes(minutes=0.3, apps=60, requests_per_s=50, changes_per_s=4, mishap_every_s=3, held=3, ready_within_s=60)
