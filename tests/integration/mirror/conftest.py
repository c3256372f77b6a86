"""A daemon that runs for all tests of a file, and one of a test's own."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.fakes.front_door import front_door
from tests.integration.mirror.scene import (
    Scene,
    scene_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.front_door import FrontDoor


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with front_door(tmp_path_factory.mktemp("door")) as door, scene_at(door) as scene:
        yield scene.up("--marathon-read-timeout", "1")


@pytest.fixture
def scene(shared: Scene) -> Iterator[Scene]:
    """A daemon that runs; what a test has changed is put right for the next one."""
    yield shared.begin()
    shared.marathon.obey()
    start = shared.door.now()
    shared.door.process.send_signal(signal.SIGHUP)
    shared.door.wait_for("fetched", start, asked="everything")
    shared.settle()
    shared.wait_until_it_follows("/a", "/b")


@pytest.fixture
def own(door: FrontDoor) -> Iterator[Scene]:
    """A daemon of this test's own, not started yet."""
    with scene_at(door) as scene:
        yield scene
