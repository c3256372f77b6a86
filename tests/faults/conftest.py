"""Runs the chosen faults side by side, hands each its result, and writes the report.

``FAULTS_PAGE`` names the file of the report, if one is wanted.
"""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.report import Row, page
from tests.faults.sizes import SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

HERE = "tests/faults/"
ROWS: list[Row] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.as_posix():
            item.add_marker(pytest.mark.haproxy)
            item.add_marker(pytest.mark.timeout(SIZES.result_within_s + 10))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if ROWS:
        terminalreporter.section("faults")
        for row in ROWS:
            terminalreporter.write_line(str(row))
    if ROWS and (path := os.environ.get("FAULTS_PAGE")):
        Path(path).write_text(page(ROWS))
        terminalreporter.write_line(f"written to {path}")


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """What the report will have."""
    return ROWS


@pytest.fixture(scope="session")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Row]]]:
    """What comes of each chosen fault. Folders have short names, since sockets lie in them."""
    functions = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen: list[Any] = [item.callspec.params["fault"] for item in functions if "results" in item.fixturenames]
    with ThreadPoolExecutor(SIZES.at_once) as pool, contextlib.ExitStack() as at_the_end:
        at_the_end.callback(pool.shutdown, wait=False, cancel_futures=True)  # whoever interrupts waits for none
        yield {each.id: pool.submit(each.run, tmp_path_factory.mktemp("f")) for each in chosen if not each.why_not()}
