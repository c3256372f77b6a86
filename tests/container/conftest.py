"""The image, built once; a container for one test, or one that the tests of a module share; transcripts."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fastlb.simulator.server import SimulatedMarathon
from tests.container.stage import RECORDER, ROOT, Container, built_image, chosen_engine
from tests.container.transcript import PAGE, page
from tests.fakes.front_door import app, claimed_address

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

OPEN: dict[Container, int] = {}
"""Containers that are there, with the lines of each that are on record."""
VERSION = re.compile(r"HAProxy: ([\d.]+)")
VERSIONS: set[str] = set()


# Nothing here runs by itself, since it needs root, an engine and minutes: `make container` asks for it.
collect_ignore_glob = [] if os.environ.get("CONTAINER") else ["test_*.py"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    RECORDER.begin(item.name.removeprefix("test_").replace("_", " "))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Ask containers for what they said, before they are removed."""
    for container, known in OPEN.items() if PAGE else ():
        log = container.log().splitlines()
        VERSIONS.update(match[1] for line in log if (match := VERSION.search(line)))
        RECORDER.heard(log[known:])
        OPEN[container] = len(log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.when == "call" or report.outcome != "passed":
        RECORDER.entries[-1].outcome = report.outcome
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if PAGE and RECORDER.entries:
        haproxy = " and ".join(f"HAProxy {version}" for version in sorted(VERSIONS))
        name = Path(chosen_engine())
        engine = f"Engine: {name.relative_to(ROOT) if name.is_relative_to(ROOT) else name.name}"
        Path(PAGE).write_text(page(RECORDER.entries, engine, haproxy or "no HAProxy"))
        terminalreporter.write_line(f"written to {PAGE}")


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
        OPEN[container] = 0
        try:
            yield container
        finally:
            del OPEN[container]
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
