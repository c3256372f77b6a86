"""The pages that are what a run printed are what a run of today prints."""

from __future__ import annotations

import shutil

import pytest

from tests.transcripts import endpoints, explained
from tests.transcripts.__main__ import DOCS
from tests.transcripts.shell import shape

pytestmark = [
    pytest.mark.haproxy,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed: nothing is asked with it"),
]


@pytest.mark.parametrize(("name", "page"), [("endpoints", endpoints.page), ("explain", explained.page)])
def test_a_page_says_what_a_run_of_today_prints(name, page):
    written = (DOCS / f"{name}.md").read_text()
    assert shape(page()) == shape(written)
