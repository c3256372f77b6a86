"""The assembled daemon for tests: one for each test, or one that the tests of a module share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fastlb.simulator.server import SimulatedMarathon
from tests.fakes.front_door import front_door

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.front_door import FrontDoor


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedMarathon]:
    """A simulated Marathon for the tests of one module; each of them brings its own apps."""
    with SimulatedMarathon() as marathon:
        yield marathon


@pytest.fixture
def own_cluster() -> Iterator[SimulatedMarathon]:
    """A simulated Marathon for one test."""
    with SimulatedMarathon() as marathon:
        yield marathon


@pytest.fixture
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A front door for one test, not started yet. Its folder has a short name, since sockets lie in it."""
    with front_door(tmp_path_factory.mktemp("door")) as closed:
        yield closed


@pytest.fixture(scope="module")
def closed_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrontDoor]:
    """A front door that the tests of one module share, once that module has started it."""
    with front_door(tmp_path_factory.mktemp("door")) as closed:
        yield closed
