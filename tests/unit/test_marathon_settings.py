"""Flags and environment to where Marathon is and how to log in: which login wins."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fastlb.cli import build_parser
from fastlb.errors import CredentialsError
from fastlb.marathon import BasicLogin, DcosLogin, NoLogin, Selector, login_from_user_pass
from fastlb.marathon_settings import read_marathon


def read(*argv, **environ):
    return read_marathon(build_parser().parse_args(["sse", "--group", "x", *argv]), environ)


PAIR = ("--auth-credentials", "flag:secret")
ENVIRONMENT = {"MARATHON_USER": "env", "MARATHON_PASSWORD": "secret"}


def test_the_flags_become_the_configuration(tmp_path):
    found = read(
        *("--marathon", "http://a:1", "http://b:2", "--marathon-ca-cert", str(tmp_path / "ca")),
        *("--max-backoff", "7", "--heartbeat-timeout", "3"),
    )
    assert found.urls == ("http://a:1", "http://b:2")
    assert (found.ca_cert, found.max_backoff_s, found.heartbeat_timeout_s) == (tmp_path / "ca", 7.0, 3.0)
    assert found.verify_tls


def test_not_verifying_is_said_loudly(caplog):
    assert not read("--insecure").verify_tls
    assert "anybody in between can change the routes" in caplog.text


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "credentials"
    path.write_text("file:secret\n")
    return ("--marathon-auth-credential-file", str(path))


def test_a_file_beats_the_flag_and_the_flag_beats_the_environment(file):
    assert read(*file, *PAIR, **ENVIRONMENT).login == login_from_user_pass("file:secret")
    assert read(*PAIR, **ENVIRONMENT).login == login_from_user_pass("flag:secret")
    assert read(**ENVIRONMENT).login == login_from_user_pass("env:secret")
    assert read().login == NoLogin()


def test_a_dcos_account_is_a_login_of_its_own():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = json.dumps({"uid": "lb", "private_key": key.decode(), "login_endpoint": "http://127.0.0.1:1/login"})
    assert isinstance(read("--dcos-auth-credentials", account).login, DcosLogin)
    assert isinstance(read(*PAIR, "--dcos-auth-credentials", account).login, BasicLogin)


def test_credentials_that_are_no_pair_are_refused():
    with pytest.raises(CredentialsError):
        read("--auth-credentials", "nobody")


def test_half_a_pair_in_the_environment_is_none():
    assert not isinstance(read(MARATHON_USER="env").login, BasicLogin)


def test_selecting_by_group_is_off_and_says_what_it_leaves_out_when_it_is_on(caplog):
    assert read().selector is None
    assert caplog.text == ""
    assert read("--select-by-group", "--group", "y").selector == Selector(("x", "y"))
    assert "HAPROXY_GROUP in (x,y)" in caplog.text
    assert "HAPROXY_{n}_GROUP" in caplog.text


def test_a_group_that_cannot_be_selected_by_has_all_apps_read(caplog):
    assert read("--select-by-group", "--group", "*").selector is None
    assert "all apps are read" in caplog.text
