"""A Marathon, load balancers and the file of an app, for one test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fastlb.simulator.world import Delays
from tests.integration.zdd.stage import BLUE, Stage, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path, BLUE) as made:
        yield made


@pytest.fixture
def sick(tmp_path: Path) -> Iterator[Stage]:
    """Whatever is started from now on never gets healthy."""
    with staged(tmp_path, BLUE, delays=Delays(healthy_s=1e6)) as made:
        yield made
