"""The lock of the image: every dependency, pinned, with hashes, and nobody's machine named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()
PINNED = {
    canonicalize_name(name): (version, hashes)
    for name, version, hashes in re.findall(
        r"^(\S+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", LOCK, re.MULTILINE
    )
}
DEPENDENCIES = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


@pytest.mark.parametrize("wanted", DEPENDENCIES)
def test_every_dependency_is_locked_at_a_version_that_will_do(wanted):
    requirement = Requirement(wanted)
    version, _ = PINNED[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version)


def test_everything_in_the_lock_has_hashes_and_no_host_is_named():
    stated = [line for line in LOCK.splitlines() if line and not line.startswith(("#", " "))]
    assert len(stated) == len(PINNED) >= len(DEPENDENCIES)
    assert "://" not in LOCK
    assert "index-url" not in LOCK


def test_the_image_installs_what_is_locked_and_nothing_without_a_hash():
    text = (ROOT / "Dockerfile").read_text()
    assert "--require-hashes --requirement requirements.lock" in text
    assert not re.findall(r"pip install (?!.*--no-deps)(?!.*\\\n *--require-hashes)", text)
