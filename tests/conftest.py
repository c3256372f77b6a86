"""What every test may use: which hot path and which HAProxy a run is about, and the twins of the hot path."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from fastlb import kernel
from fastlb.errors import HAProxyError
from fastlb.haproxy import find_haproxy

if TYPE_CHECKING:
    from types import ModuleType

# A run that must be green or red for what changed takes the same examples every time; to look for new ones:
# HYPOTHESIS_PROFILE=default python -m pytest tests/property
settings.register_profile("steady", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

HOT_PATH = [name for name, each in vars(kernel).items() if callable(each) and not name.startswith("_")]


TESTS = Path(__file__).parent
UNDER_LOAD = {"reach", "faults", "soak", "zdd"}
"""Folders whose tests count failed requests and milliseconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(TESTS) and item.path.relative_to(TESTS).parts[0] in UNDER_LOAD:
            item.add_marker(pytest.mark.alone)


def pytest_report_header() -> list[str]:
    try:
        haproxy = find_haproxy(None, os.environ)
        found = f"{haproxy.path}, version {haproxy.version_text}"
    except HAProxyError as error:
        found = f"none ({error})"
    return [f"hot path: {kernel.CHOSEN}", f"HAProxy: {found}"]


def _twin(name: str) -> ModuleType:
    """Import one of the twins; skips where the compiled one was not built, unless the build was demanded."""
    try:
        return importlib.import_module(f"fastlb.{name}")
    except ImportError as error:
        if os.environ.get("FASTLB_BUILD_EXTENSION") == "1":
            raise
        pytest.skip(f"fastlb.{name} cannot be imported: {error}")


@pytest.fixture(params=["_native", "_speedups"])
def kernel_twin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Run the test once with each twin of the hot path in the kernel's place."""
    module = _twin(request.param)
    for name in HOT_PATH:
        monkeypatch.setattr(kernel, name, getattr(module, name))
    return module


@pytest.fixture(scope="session")
def compiled() -> ModuleType:
    """Return the compiled twin."""
    return _twin("_speedups")
