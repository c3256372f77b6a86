"""Maps changed live on a real HAProxy are those that a start on the new file has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fastlb.commands import MapSwap, phases
from fastlb.live_maps import map_steps_between
from tests.fakes.live_haproxy import backend, haproxies, lines, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fakes.live_haproxy import LiveHAProxy

pytestmark = pytest.mark.haproxy


@pytest.fixture
def running(tmp_path) -> Iterator[Callable[..., LiveHAProxy]]:
    with haproxies(tmp_path) as start:
        yield start


MANY = [(f"h{number}.test", "app_10000") for number in range(3000)]
MAPS = {
    "one more": (MANY[:2], MANY[:3]),
    "one fewer": (MANY[:3], MANY[:2]),
    "one changed": ([("a.test", "other")], [("a.test", "app_10000")]),
    "added, changed and removed": (
        [("a.test", "x"), ("b.test", "x"), ("c.test", "x")],
        [("a.test", "x"), ("b.test", "y"), ("d.test", "x")],
    ),
    "many": (MANY[:10], MANY),
    "all others": (MANY[:1500], MANY[1500:]),
    "a key a second time": ([("a.test", "x")], [("a.test", "x"), ("a.test", "y")]),
    "the first of two": ([("a.test", "x"), ("a.test", "y")], [("a.test", "y")]),
    "two in another order": ([("a.test", "x"), ("a.test", "y")], [("a.test", "y"), ("a.test", "x")]),
}


@pytest.mark.parametrize(("before", "after"), MAPS.values(), ids=MAPS)
def test_a_map_that_was_changed_live_is_the_one_that_a_start_on_the_new_file_has(running, before, after):
    only = backend(lines([1]))
    live = running(text_of(only, lines([1])), entries=before)
    steps = map_steps_between(live.map_path, before, after)
    outcome = live.runtime.carry_out(phases((), steps, ()))
    assert outcome.ok, outcome.doubt
    fresh = running(text_of(only, lines([1])), entries=after)
    have, wanted = live.runtime.map_entries(live.map_path), fresh.runtime.map_entries(fresh.map_path)
    assert sorted(have) == sorted(wanted) == sorted(after)
    assert map_steps_between(live.map_path, have, after) == ()


def test_a_map_is_not_swapped_for_one_that_did_not_arrive_whole(running):
    only = backend(lines([1]))
    live = running(text_of(only, lines([1])), entries=MANY[:2])
    outcome = live.runtime.carry_out(
        [(MapSwap(live.map_path, (("a.test b.test", "x"), ("c.test", "x")), "it is broken"),)]
    )
    assert not outcome.ok
    assert live.runtime.map_entries(live.map_path) == MANY[:2]
