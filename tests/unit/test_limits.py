"""How many connections fit under the limit of open files."""

from __future__ import annotations

import pytest

from fastlb.limits import Limits, reserve


@pytest.mark.parametrize(
    ("descriptors", "maxconn", "strict"),
    [(None, 50000, True), (200_000, 50000, True), (20_000, 9840, True), (520, 100, True), (519, 100, False)],
)
def test_maxconn_falls_with_the_limit_down_to_a_floor(descriptors, maxconn, strict):
    assert Limits(50000, descriptors).head_values(10, 10) == {"maxconn": maxconn, "strict_limits": strict}


def test_listeners_and_checked_servers_both_need_a_descriptor():
    assert Limits(50000, 20_000).head_values(200, 100)["maxconn"] == (20_000 - 64 - 512) // 2


@pytest.mark.parametrize(("needed", "reserved"), [(0, 256), (256, 256), (257, 512), (5000, 8192)])
def test_the_reserve_grows_in_big_steps(needed, reserved):
    assert reserve(needed) == reserved


def test_the_limit_that_the_warning_asks_for_is_enough():
    warning = Limits(50000, 20_000).warning(10, 10)
    assert warning is not None
    assert "HAProxy gets maxconn 9840" in warning
    needed = int(warning.partition("to at least ")[2].split()[0])
    assert Limits(50000, needed).warning(10, 10) is None
    assert Limits(50000, needed - 1).warning(10, 10) is not None
    assert "at least 101088 " in (Limits(50000, 20_000).warning(600, 400) or "")


def test_without_a_limit_there_is_nothing_to_warn_about():
    assert Limits(50000, None).warning(10**6, 10**6) is None
