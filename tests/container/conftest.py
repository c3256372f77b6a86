"""The image, built once; a container for one test, or one that the tests of a module share."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from fastlb.simulator.server import SimulatedMarathon
from tests.container.stage import Container, built_image
from tests.fakes.front_door import app, claimed_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# Nothing here runs by itself, since it needs root, an engine and minutes: `make container` asks for it.
collect_ignore_glob = [] if os.environ.get("CONTAINER") else ["test_*.py"]


@pytest.fixture(scope="session")
def image() -> str:
    return built_image()


@pytest.fixture(scope="session")
def cluster() -> Iterator[SimulatedMarathon]:
    """A simulated Marathon with one app, whose vhost is web.test."""
    with SimulatedMarathon() as marathon:
        marathon.load([app("web", 24000, checks=True)])
        yield marathon


@contextlib.contextmanager
def closed(image: str, folder: Path) -> Iterator[Container]:
    with claimed_address() as address:
        container = Container(image, folder, address)
        try:
            yield container
        finally:
            container.remove()


@pytest.fixture
def container(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container that has not started."""
    with closed(image, tmp_path_factory.mktemp("c")) as one:
        yield one


@pytest.fixture(scope="module")
def shared(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container that has not started, for the tests of a module."""
    with closed(image, tmp_path_factory.mktemp("c")) as one:
        yield one
