"""Before and after of a map: the expected steps."""

from __future__ import annotations

import pytest

from fastlb.commands import MapSwap
from fastlb.live_maps import MAX_SINGLE, UnfitMap, map_steps, map_steps_between

PATH = "/etc/haproxy/domain2backend.map"
A, B = ("a.test", "one"), ("b.test", "two")
MANY = [(f"h{number}.test", "one") for number in range(MAX_SINGLE + 1)]


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ([A], [A], []),
        ([A, B], [B, A], []),
        ([], [A], [f"add map {PATH} a.test one"]),
        ([A, B], [A], [f"del map {PATH} b.test"]),
        ([A], [("a.test", "two")], [f"set map {PATH} a.test two"]),
        ([A], [B], [f"add map {PATH} b.test two", f"del map {PATH} a.test"]),
    ],
)
def test_entries_are_changed_one_by_one(before, after, lines):
    assert [step.line for step in map_steps_between(PATH, before, after)] == lines


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([A], MANY),
        (MANY, [A]),
        ([A], [A, ("a.test", "two")]),
        ([A, ("a.test", "two")], [("a.test", "two")]),
        ([A, ("a.test", "two")], [("a.test", "two"), A]),
    ],
)
def test_many_keys_or_a_key_that_is_there_twice_are_one_swap(before, after):
    (swap,) = map_steps_between(PATH, before, after)
    assert isinstance(swap, MapSwap)
    assert list(swap.entries) == after


def test_a_key_that_is_there_twice_is_no_matter_for_others():
    twice = [A, ("a.test", "two")]
    assert [step.line for step in map_steps_between(PATH, twice, [*twice, B])] == [f"add map {PATH} b.test two"]


def test_a_small_change_of_a_big_map_does_not_look_at_the_others():
    steps = map_steps(PATH, [A], [("a.test", "two")], frozenset(), lambda: pytest.fail("not needed"))
    assert len(steps) == 1


@pytest.mark.parametrize("key", [" a.test", "a b", "", "#a", "@1", "a;b", 'a"b', "a\\b", "ä.test", "a\nb", "<<"])
def test_an_entry_that_no_command_can_have_is_a_reload(key):
    with pytest.raises(UnfitMap, match="cannot be written in a command"):
        map_steps_between(PATH, [], [(key, "one")])
    with pytest.raises(UnfitMap):
        map_steps_between(PATH, [(key, "one")], [])


def test_a_swap_with_an_entry_that_no_command_can_have_is_a_reload():
    with pytest.raises(UnfitMap):
        map_steps_between(PATH, [("a b", "one")], [("a b", "one"), *MANY])


def test_a_map_whose_name_no_command_can_have_is_a_reload():
    with pytest.raises(UnfitMap, match="name of the map"):
        map_steps_between("/my maps/a.map", [], [A])
