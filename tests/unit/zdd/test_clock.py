"""How often a run looks again while it waits."""

from __future__ import annotations

from itertools import pairwise

import pytest

from fastlb.zdd import deploy
from fastlb.zdd.deploy import FIRST_PAUSE_S, GROWTH, Clock, Limits

STEP_DELAY_S = 5.0


@pytest.fixture
def pauses(monkeypatch):
    """All pauses that were made, in seconds."""
    made = []
    monkeypatch.setattr(deploy, "sleep", made.append)
    return made


def test_that_a_wait_is_over_is_noticed_within_a_tenth_of_its_length(pauses):
    clock = Clock(Limits(STEP_DELAY_S, 300, 300, 120), pytest.fail)
    while sum(pauses) < 300:
        clock.pause()
    waited_s = 0.0
    for pause_s in pauses:
        assert pause_s <= FIRST_PAUSE_S + (GROWTH - 1) * waited_s * 1.001
        waited_s += pause_s
    assert pauses[-1] == STEP_DELAY_S
    assert all(shorter <= longer for shorter, longer in pairwise(pauses))
    assert len(pauses) < 120, "Marathon and load balancers have something else to do"


def test_after_a_change_it_is_looked_at_again_soon(pauses):
    clock = Clock(Limits(STEP_DELAY_S, 300, 300, 120), pytest.fail)
    for _ in range(100):
        clock.pause()
    clock.changed()
    clock.pause()
    assert pauses[-1] == FIRST_PAUSE_S
