"""Every test that the page of threats calls as a witness is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITNESSES = sorted(set(re.findall(r"`(tests/[^`]+)`", (ROOT / "docs/threats.md").read_text())))


@pytest.mark.parametrize("witness", WITNESSES)
def test_a_witness_is_there(witness):
    path, _, name = witness.partition("::")
    assert (ROOT / path).exists()
    if name:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_there_are_witnesses():
    assert len(WITNESSES) > 20
