"""The recorded outputs of marathon-lb, byte for byte; and how the text of newer dialects may differ from them."""

from __future__ import annotations

import re
import subprocess
import sys
from difflib import ndiff
from pathlib import Path

import pytest
from recorded import CASES, NAMES, argv_of, recorded, rendered_case

REMOVED_IN_2_1 = "037-http-backend-extras"
every_case = pytest.mark.parametrize("case", CASES, ids=NAMES)


def test_all_recorded_cases_are_there():
    assert [name[:3] for name in NAMES] == [f"{number:03}" for number in range(1, 49)]


@every_case
def test_the_recorded_text_comes_out_for_haproxy_2_0(case, kernel_twin):
    assert rendered_case(case, "2.0")[1:] == recorded(case)[1:]


@every_case
def test_haproxy_2_6_gets_the_same_text_but_for_removed_directives(case):
    same = rendered_case(case, "2.6")[1:] == recorded(case)[1:]
    assert same == (case.name != REMOVED_IN_2_1)


def test_removed_directives_have_their_replacements_and_nothing_else_changes():
    case = CASES[NAMES.index(REMOVED_IN_2_1)]
    old, new = recorded(case), rendered_case(case, "2.6")
    assert new[2:] == old[2:]
    lines = list(ndiff(old.body.splitlines(), new.body.splitlines()))
    gone = [line[2:] for line in lines if line.startswith("-")]
    came = [line[2:] for line in lines if line.startswith("+")]
    assert came == [replacement(line) for line in gone]
    assert {line.split()[0] for line in gone} == {"rspadd", "reqirep", "rspirep"}


def replacement(line: str) -> str:
    """Say what COMPAT.md 11 puts in the place of a removed line."""
    if line.startswith("  rspadd"):
        return "  http-response add-header Strict-Transport-Security max-age=15768000"
    if match := re.fullmatch(r'  reqirep  "\^\(\[\^ :\]\*\)\\ (.*)/\?\(\.\*\)" "\\1\\ /\\2"', line):
        return rf"  http-request replace-path ^{match[1]}/?(.*) /\1"
    match = re.fullmatch(r'  rspirep "\^Location: (\(.*\)\?)(\(/\.\*\))" "Location:   (.*)" if hdr_location', line)
    assert match, line
    return f'  http-response replace-header Location "^{match[1]}{match[2]}" "{match[3]}" if hdr_location'


@every_case
@pytest.mark.parametrize("version", ["3.3", "3.4"])
def test_from_3_3_on_service_frontends_are_renamed_and_nothing_else_changes(case, version):
    before, after = rendered_case(case, "3.2"), rendered_case(case, version)
    assert after[2:] == before[2:]
    old, new = before.body.splitlines(), after.body.splitlines()
    assert len(old) == len(new)
    changed = [(was, is_now) for was, is_now in zip(old, new, strict=True) if was != is_now]
    assert all(was.startswith("frontend ") and is_now == f"{was}_in" for was, is_now in changed)
    assert proxies("frontend", new).isdisjoint(proxies("backend", new))


def proxies(kind: str, lines: list[str]) -> set[str]:
    return {words[1] for line in lines if (words := line.split())[:1] == [kind]}


@pytest.mark.parametrize("name", ["003-bridge-vhost", "027-vhost-grouped-map", "037-http-backend-extras"])
def test_the_render_command_writes_the_recorded_files(name, tmp_path):
    case = CASES[NAMES.index(name)]
    flags = ["--apps-file", case / "apps.json", "--haproxy-version", "2.0", "--output-dir", tmp_path]
    command = [Path(sys.executable).with_name("fastlb"), "render", *flags, *argv_of(case)]
    subprocess.run(command, check=True, timeout=60, cwd=tmp_path)
    old = recorded(case)
    assert (tmp_path / "haproxy.cfg").read_text(encoding="utf-8").endswith(f"\n{old.body}")
    assert (tmp_path / "domain2backend.map").read_text(encoding="utf-8") == old.domain_map
    assert (tmp_path / "app2backend.map").read_text(encoding="utf-8") == old.app_map


def test_the_render_command_prints_the_same_from_standard_input(tmp_path):
    case = CASES[NAMES.index("011-groups-star")]
    command = [Path(sys.executable).with_name("fastlb"), "render", "--apps-file", "-", "--haproxy-version", "2.0"]
    command += ["--maxconn", "100"]  # fits everywhere, so that nothing is to be said about it
    apps = (case / "apps.json").read_bytes()
    done = subprocess.run([*command, *argv_of(case)], input=apps, capture_output=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().endswith(f"\n{recorded(case).body}")
