"""The stages of the tests of deployments under load, and their figures at the end of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.zdd.sizes import SIZES, TABLE, WITHIN_S
from tests.zdd.stage import staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.zdd.stage import Stage

HERE = "tests/zdd/"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.as_posix():
            item.add_marker(pytest.mark.haproxy)
            item.add_marker(pytest.mark.timeout(WITHIN_S))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := TABLE.lines():
        terminalreporter.section("deployments under load")
        for line in lines:
            terminalreporter.write_line(line)
        if path := os.environ.get("ZDD_PAGE"):
            page = Path(path)
            page.write_text(TABLE.replace_in(page.read_text()))


@pytest.fixture(scope="module", params=SIZES.balancers, ids=lambda number: f"{number}lb")
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with one app, deployed by zdd, that all load balancers serve."""
    with staged(tmp_path_factory.mktemp("zdd"), instances=SIZES.instances, balancers=request.param) as stage:
        yield stage
