"""The stage of each test, which has to be empty at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.integration.supervisor.stage import (
    Stage,
    end,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def stage(tmp_path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for supervisor in stage.supervisors:
        if supervisor.poll() is None:
            end(supervisor)
    left = stage.processes()
    for process in left:
        process.kill()
    assert left == [], stage.log()
