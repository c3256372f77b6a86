"""The rate of /metrics/snapshot, in libprocess's words."""

from __future__ import annotations

import pytest

from fastlb.cli import build_parser
from fastlb.errors import UsageError
from fastlb.rate_limit import Rate, Turns, read_rate
from fastlb.settings import read_settings

VARIABLE = "LIBPROCESS_METRICS_SNAPSHOT_ENDPOINT_RATE_LIMIT"


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/1secs", Rate(10, 1.0)),
        ("100/10secs", Rate(100, 10.0)),
        ("1/250ms", Rate(1, 0.25)),
        ("3/1.5mins", Rate(3, 90.0)),
        ("none", None),
    ],
)
def test_a_rate_is_read_as_libprocess_writes_it(text, rate):
    assert read_rate(text) == rate


@pytest.mark.parametrize("text", ["", "10", "10/", "/1secs", "0/1secs", "1/0secs", "-1/1secs", "10/1s", "10/1secs/2"])
def test_what_is_no_rate_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="10/1secs"):
        read_rate(text)


def test_the_variable_of_libprocess_sets_it(tmp_path, monkeypatch):
    argv = ["sse", "--group", "external", "--haproxy-config", str(tmp_path / "haproxy.cfg"), "--run-dir", str(tmp_path)]
    assert read_settings(build_parser().parse_args(argv)).snapshot_rate == Rate(2, 1.0)
    monkeypatch.setenv(VARIABLE, "7/2secs")
    assert read_settings(build_parser().parse_args(argv)).snapshot_rate == Rate(7, 2.0)


def test_who_comes_too_early_waits_and_turns_are_evenly_apart():
    turns = Turns(Rate(4, 1.0))
    assert [turns.take(100.0, 10.0) for _ in range(4)] == pytest.approx([0.0, 0.25, 0.5, 0.75])
    assert turns.take(101.0, 10.0) == pytest.approx(0.0)


def test_nobody_waits_for_longer_than_he_may_and_who_is_refused_takes_no_turn():
    turns = Turns(Rate(1, 1.0))
    assert [turns.take(100.0, 1.5) for _ in range(4)] == [0.0, 1.0, None, None]
    assert turns.take(102.0, 1.5) == 0.0


def test_without_a_rate_it_is_always_ones_turn():
    turns = Turns(None)
    assert [turns.take(100.0, 0.0) for _ in range(100)] == [0.0] * 100
