"""One process has a folder; a folder that is not there is nobody's."""

from __future__ import annotations

import pytest

from fastlb.claim import claimed
from fastlb.errors import HAProxyError


def test_the_second_is_refused_and_may_have_it_when_the_first_is_gone(tmp_path):
    refused = pytest.raises(HAProxyError, match="another fastlb writes the files in")
    with claimed(tmp_path), refused, claimed(tmp_path):
        pass
    with claimed(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_keeps_nobody_from_starting(tmp_path):
    with claimed(tmp_path / "none"), claimed(tmp_path / "none"):
        pass
