"""Who may use which administrative path."""

from __future__ import annotations

import pytest

from fastlb.access import read_access
from fastlb.errors import UsageError


def allowed(path, client="8.8.8.8", token="", rules=(), secret=""):
    return read_access(rules, secret).refusal(path, client, token) == ""


@pytest.mark.parametrize(
    ("path", "client", "may"),
    [
        ("/_haproxy_getconfig", "8.8.8.8", True),
        ("/_haproxy_getconfig", "2001:db8::1", True),
        ("/_mlb_signal/hup", "8.8.8.8", False),
        ("/_mlb_signal/hup", "2001:db8::1", False),
        ("/_mlb_signal/hup", "127.0.0.9", True),
        ("/_mlb_signal/usr1", "10.1.2.3", True),
        ("/_mlb_signal/usr1", "172.31.0.1", True),
        ("/_mlb_signal/usr1", "172.32.0.1", False),
        ("/_mlb_signal/hup", "::1", True),
        ("/_mlb_signal/hup", "fd00::1", True),
        ("/_mlb_signal/hup", "::ffff:192.168.1.1", True),
        ("/_mlb_signal/hup", "::ffff:8.8.8.8", False),
        ("/_mlb_signal/hup", "", False),
        ("/_mlb_signal/hup", "localhost", False),
    ],
)
def test_by_default_everybody_reads_and_private_networks_send_signals(path, client, may):
    assert allowed(path, client) is may


def test_the_rule_with_the_longest_path_decides():
    rules = ["/_fastlb/=10.0.0.0/8", "/_fastlb/live=any"]
    assert not allowed("/_fastlb/explain", rules=rules)
    assert allowed("/_fastlb/explain", "10.0.0.1", rules=rules)
    assert allowed("/_fastlb/live", rules=rules)
    assert allowed("/_haproxy_getpids", rules=rules)


def test_a_later_rule_replaces_an_earlier_one_of_the_same_path():
    assert allowed("/_mlb_signal/hup", rules=["/_mlb_signal/=off", "/_mlb_signal/=any"])


def test_a_path_that_is_turned_off_is_closed_to_everybody():
    assert not allowed("/_mlb_signal/hup", "127.0.0.1", rules=["/_mlb_signal/=off"])


@pytest.mark.parametrize(
    ("client", "token", "may"),
    [("8.8.8.8", "sesame", True), ("8.8.8.8", "sesam", False), ("8.8.8.8", "", False), ("10.0.0.1", "", True)],
)
def test_either_the_network_or_the_token_is_enough(client, token, may):
    assert allowed("/_mlb_signal/hup", client, token, ["/_mlb_signal/=private+token"], "sesame") is may


def test_a_token_opens_nothing_that_does_not_ask_for_one():
    assert not allowed("/_mlb_signal/hup", "8.8.8.8", "sesame", (), "sesame")


@pytest.mark.parametrize(
    "rule",
    ["", "any", "/x", "/x=", "x=any", "/x=10.0.0.1/8", "/x=everybody", "/x=any+", "/x=300.0.0.0/8"],
)
def test_a_rule_that_is_none_is_a_usage_error(rule):
    with pytest.raises(UsageError, match="--admin-access"):
        read_access([rule], "")


def test_a_rule_that_asks_for_a_token_needs_one():
    with pytest.raises(UsageError, match="--admin-token-file"):
        read_access(["/=token"], "")


@pytest.mark.parametrize("token", ["\u00e9", "x" * 10_000, "\ud800"])
def test_a_strange_token_is_a_wrong_one(token):
    assert not allowed("/", token=token, rules=["/=token"], secret="sesame")
