"""Values of the page as people read them."""

from __future__ import annotations

import pytest
from markupsafe import Markup

from fastlb.admin.page_words import age, duration, link, more, shown, size, span, status, thousands, turn


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "-"), (0.0004, "0.4 ms"), (0.0094, "9.4 ms"), (0.024, "24 ms"), (0.9994, "999 ms"), (12.34, "12.3 s")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "-"), (0.9, "0 s"), (59.9, "59 s"), (61, "1 min 1 s"), (3660, "1 h 1 min"), (90_000, "1 d 1 h")],
)
def test_spans(seconds, said):
    assert span(seconds) == said


def test_ages_and_sizes():
    assert (age(None), age(3)) == ("never", "3 s ago")
    assert (size(0), size(210 * 2**20), size(12 * 2**30)) == ("0 MB", "210 MB", "12.0 GB")
    assert (thousands(None), thousands(15000)) == ("-", "15,000")


@pytest.mark.parametrize(
    ("word", "level"), [("UP", "ok"), ("UP 1/2", "ok"), ("no check", "ok"), ("DOWN", "bad"), ("MAINT", "warn")]
)
def test_states_of_servers(word, level):
    assert status(word) == level


def test_links_hold_any_id():
    assert link('/a b"<&\udc80') == "/_fastlb/app?id=/a%20b%22%3C%26%3F"
    assert turn(2, 'x"&y', "") == "?search=x%22%26y&amp;page=2#apps"


def test_what_comes_from_outside_is_made_harmless_and_what_is_html_stays():
    assert shown("a\x1b[31m\u202e") == r"a\x1b[31m\u202e"
    assert shown(Markup("<b>\n</b>")) == "<b>\n</b>"
    assert shown(5) == 5
    assert more([1, 2, 3], 2, 4) == '<tr><td colspan="4" class="quiet">and 1 more</td></tr>'
    assert more([1, 2], 2, 4) == ""
