"""A cluster, a front door and a load for each test of reach, and the figures of all of them at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from fastlb.simulator.world import Delays
from tests.fakes.front_door import front_door
from tests.reach.sizes import FIGURES, WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.front_door import FrontDoor

HERE = "tests/reach/"
AT_ONCE = Delays(staging_s=0.002, starting_s=0.002, running_s=0.002, healthy_s=0.002, killing_s=0, relaunch_s=0.01)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.as_posix():
            item.add_marker(pytest.mark.reach)
            item.add_marker(pytest.mark.haproxy)
            item.add_marker(pytest.mark.timeout(WITHIN_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if said := str(FIGURES):
        terminalreporter.section("reach")
        terminalreporter.write_line(said)


@pytest.fixture
def cluster() -> Iterator[SimulatedMarathon]:
    """A simulated Marathon without apps, which does what it is asked within milliseconds."""
    with SimulatedMarathon(SimulatorSettings(delays=AT_ONCE)) as marathon:
        yield marathon


@pytest.fixture
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A front door, not started yet. Its folder has a short name, since sockets lie in it."""
    folder: Path = tmp_path_factory.mktemp("door")
    with front_door(folder) as closed:
        yield closed
