"""What is installed is what is there: lists of packages, templates, modules, and the pages made from tables."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import fastlb
from fastlb.templates import NAMES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
NEVER_USED = frozenset(
    {
        "HTTPS_FRONTEND_AUTH_ACL_ONLY",
        "HTTPS_FRONTEND_AUTH_REQUEST_ONLY",
        "HTTPS_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH",
    }
)
"""They exist for whoever looks for them, and are read by nobody (COMPAT.md 10, quirk 33)."""
TEMPLATES = {path.name for path in (ROOT / "templates").iterdir()}


def test_every_package_on_disk_is_listed():
    on_disk = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "fastlb").rglob("__init__.py")}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == on_disk


def test_there_is_one_default_template_for_each_name():
    names = sorted(name.removesuffix(".j2") for name in TEMPLATES)
    assert names == sorted(f"HAPROXY_{name}" for name in NAMES | NEVER_USED)


def test_the_package_sees_the_templates_of_the_checkout():
    assert {path.name for path in (ROOT / "fastlb" / "default_templates").iterdir()} == TEMPLATES


def test_the_version_is_the_same_everywhere():
    assert PROJECT["project"]["version"] == fastlb.__version__
    assert f"## {fastlb.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_page_of_flags_is_what_the_table_of_flags_says():
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_flags.py"], check=True, capture_output=True, timeout=60
    )
    assert (ROOT / "docs" / "flags.md").read_text(encoding="utf-8") == made.stdout.decode()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> set[str]:
    """Build a wheel in a copy of what goes into one, without the extension; return the names in it."""
    copy = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "fastlb", "templates"):
        subprocess.run(["cp", "-a", ROOT / name, copy], check=True, timeout=60)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('.'))"
    environment = {**os.environ, "FASTLB_BUILD_EXTENSION": "0"}
    subprocess.run(
        [sys.executable, "-c", build], check=True, cwd=copy, env=environment, capture_output=True, timeout=120
    )
    with zipfile.ZipFile(next(copy.glob("*.whl"))) as archive:
        return set(archive.namelist())


def test_a_wheel_holds_every_template(wheel):
    held = {name for name in wheel if name.startswith("fastlb/default_templates/")}
    assert held == {f"fastlb/default_templates/{name}" for name in TEMPLATES}


def test_a_wheel_holds_every_module_and_the_marker_of_types(wheel):
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "fastlb").rglob("*.py")}
    assert modules | {"fastlb/py.typed", "fastlb/_speedups.pyi"} <= wheel


def test_a_wheel_holds_the_files_of_the_page(wheel):
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "fastlb" / "admin" / "pages").iterdir()}
    assert len(files) >= 5
    assert files <= wheel


def test_a_wheel_built_without_the_extension_has_none(wheel):
    assert not [name for name in wheel if name.endswith((".so", ".c", ".pyx"))]


@pytest.mark.parametrize("wish", ["yes", "2"])
def test_the_switch_of_the_build_takes_only_its_own_words(wish):
    environment = {**os.environ, "FASTLB_BUILD_EXTENSION": wish}
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, env=environment, capture_output=True, timeout=60
    )
    assert done.returncode != 0
    assert b"0 forbids the extension, 1 demands it" in done.stderr
