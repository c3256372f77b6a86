"""The names of marathon-lb's image: what is written and set, and what this process becomes."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys

import pytest

from fastlb import entry
from fastlb.container import Folders, Start
from fastlb.errors import FastlbError


def start(**more):
    return Start(words=("sse",), environment={}, **more)


def test_places_that_cannot_be_written_to_are_replaced_by_one_that_can(tmp_path):
    (tmp_path / "home").mkdir()
    found = entry.folders(tmp_path / "home", tmp_path / "missing", tmp_path / "run")
    assert found == Folders(f"{tmp_path}/home/haproxy.cfg", f"{tmp_path}/run")


def test_a_folder_for_sockets_that_cannot_be_made_is_named_with_what_to_do(tmp_path):
    entry.demand_writable(tmp_path / "a" / "run")
    (tmp_path / "file").touch()
    with pytest.raises(FastlbError, match=f"{tmp_path}/file/run.*--tmpfs"):
        entry.demand_writable(tmp_path / "file" / "run")


def test_certificates_are_written_for_nobody_else_to_read_even_over_an_open_file(tmp_path):
    path = tmp_path / "ssl" / "cert.pem"
    path.parent.mkdir()
    path.touch(mode=0o644)
    entry.prepare(start(certificates={str(path): "secret\n"}), tmp_path)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("secret\n", 0o600)


def test_a_certificate_is_made_where_none_is_and_only_there(tmp_path):
    path = tmp_path / "cert.pem"
    entry.prepare(start(self_signed=str(path)), tmp_path)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    before = path.read_bytes()
    entry.prepare(start(self_signed=str(path)), tmp_path)
    assert path.read_bytes() == before


def test_kernel_parameters_are_set(tmp_path):
    (tmp_path / "net" / "core").mkdir(parents=True)
    (tmp_path / "net" / "core" / "somaxconn").touch()
    entry.prepare(start(sysctl=(("net.core.somaxconn", "7"),)), tmp_path)
    assert (tmp_path / "net" / "core" / "somaxconn").read_text() == "7"


def test_one_that_cannot_be_set_ends_the_start_unless_that_was_allowed(tmp_path, caplog):
    refused = start(sysctl=(("net.unknown", "7"),))
    with pytest.raises(FastlbError, match="HAPROXY_SYSCTL_NONSTRICT"):
        entry.prepare(refused, tmp_path)
    entry.prepare(refused._replace(strict=False), tmp_path)
    assert "it stays as it is" in caplog.text


def run_entry(*words, **environ):
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("FASTLB_", "HAPROXY_", "PORTS"))}
    return subprocess.run(
        [sys.executable, "-m", "fastlb.entry", *words],
        env={**mine, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run"], 1, "run: the first word has to be a mode"),
        (["run", "sse"], 1, "run: the variable PORTS is not set"),
        (["marathon_lb.py", "--auth-credentials"], 2, "expected one argument"),
        (["other"], 2, "is none of run"),
    ],
)
def test_mistakes_are_said_and_end_it_with_the_code_of_old(words, code, said):
    done = run_entry(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_old_program_is_one_pass_of_the_new_one(tmp_path):
    done = run_entry("marathon_lb.py", "--dry", "--marathon", "http://127.0.0.1:9", FASTLB_RUN_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "fastlb poll: error: argument --group is required" in done.stderr


def test_it_becomes_fastlb_and_leaves_no_process_behind(tmp_path, monkeypatch):
    became = {}

    def execve(program, words, environment):
        became.update(words=words, environment=environment)
        raise SystemExit(0)

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(sys, "argv", ["entry", "run", "sse", "--group", "external", "--auth-credentials", "me:secret"])
    monkeypatch.setattr(entry, "HOME", tmp_path)
    monkeypatch.setattr(entry, "CERTIFICATES", tmp_path)
    monkeypatch.setenv("PORTS", "80,443")
    monkeypatch.setenv("FASTLB_RUN_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        entry.main()
    assert became["words"][:4] == [sys.executable, "-m", "fastlb", "sse"]
    assert "secret" not in json.dumps(became["words"])
    assert became["environment"]["FASTLB_RUN_DIR"] == str(tmp_path)


@pytest.mark.parametrize("words", [["reload_haproxy.sh"], ["health"]])
def test_without_a_running_one_there_is_nothing_to_ask(words, tmp_path):
    done = run_entry(*words, FASTLB_RUN_DIR=str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
