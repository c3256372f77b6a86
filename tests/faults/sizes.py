"""How big and how long it is: the short form, and the long one that ``FAULTS=long`` asks for."""

from __future__ import annotations

import os
from typing import NamedTuple

IS_LONG = os.environ.get("FAULTS") == "long"


class Sizes(NamedTuple):
    """``rate`` is in requests a second for each fault; ``others``: apps of three tasks beside the watched ones."""

    rate: int
    others: int
    at_once: int
    """So many faults are looked at side by side."""
    steady_within_s: float
    result_within_s: float


SHORT = Sizes(rate=100, others=20, at_once=3, steady_within_s=60, result_within_s=170)
LONG = Sizes(rate=200, others=500, at_once=2, steady_within_s=150, result_within_s=3600)
SIZES = LONG if IS_LONG else SHORT
