"""The table of flags: defaults, variables of the environment, and what is said about a value that is wrong."""

from __future__ import annotations

import argparse

import pytest

from fastlb import flags
from fastlb.flag_words import (
    address,
    count,
    log_place,
    port,
    positive,
    seconds,
    share,
    threads,
    way_with_conflicts,
    word,
)
from fastlb.flags import Flag, add_flags

TABLES = ("MARATHON", "STREAM", "GENERATION", "APPLY", "LOOP", "POLL", "LOGGING", "RENDER")
EVERY = [flag for name in TABLES for flag in getattr(flags, name)]


def parsed(*argv, **environ):
    parser = argparse.ArgumentParser()
    for name in TABLES:
        add_flags(parser, name, getattr(flags, name), environ)
    return parser.parse_args(argv)


# COMPAT.md 2.1
MARATHON_LB = {
    "marathon": ["http://master.mesos:8080"],
    "haproxy_config": "/etc/haproxy/haproxy.cfg",
    "group": [],
    "command": None,
    "max_reload_retries": 10,
    "reload_interval": 10,
    "strict_mode": False,
    "sse": False,
    "archive_versions": 5,
    "health_check": False,
    "lru_cache_capacity": 1000,
    "haproxy_map": False,
    "dont_bind_http_https": False,
    "group_https_by_vhost": False,
    "ssl_certs": "/etc/ssl/cert.pem",
    "skip_validation": False,
    "skip_config_cleanup": False,
    "dry": False,
    "min_serv_port_ip_per_task": 10050,
    "max_serv_port_ip_per_task": 10100,
    "max_backoff": 300,
    "syslog_socket": "/dev/log",
    "log_format": "%(asctime)-15s %(name)s: %(message)s",
    "log_level": "DEBUG",
    "marathon_auth_credential_file": None,
    "auth_credentials": None,
    "dcos_auth_credentials": None,
    "marathon_ca_cert": None,
}


@pytest.mark.parametrize("name", MARATHON_LB)
def test_the_flags_of_marathon_lb_keep_their_defaults(name):
    assert getattr(parsed(), name) == MARATHON_LB[name]


@pytest.mark.parametrize(
    ("argv", "name", "value"),
    [
        ("-m http://a http://b", "marathon", ["http://a", "http://b"]),
        ("--group a --group b", "group", ["a", "b"]),
        ("-c x -d -H -s", "dry", True),
        ("--haproxy-m", "haproxy_map", True),
        ("--log-level=info", "log_level", "info"),
        ("--max-reload-retries -1", "max_reload_retries", -1),
    ],
)
def test_flags_are_written_as_for_marathon_lb(argv, name, value):
    assert getattr(parsed(*argv.split()), name) == value


@pytest.mark.parametrize("flag", EVERY, ids=lambda flag: flag.destination)
def test_every_flag_has_a_variable_of_the_environment(flag):
    texts = {
        bool: "true",
        count: "7",
        port: "7",
        positive: "7",
        seconds: "7",
        int: "7",
        share: "0.7",
        way_with_conflicts: "first",
    }
    texts |= {log_place: "stdout", address: "127.0.0.1", threads: "7"}
    text = texts.get(flag.kind, "text")
    value = getattr(parsed(**{f"FASTLB_{flag.destination.upper()}": text}), flag.destination)
    expected = True if flag.kind is bool else flag.kind(text)
    assert value == ([expected] if flag.many else expected)


@pytest.mark.parametrize(
    ("environ", "name", "value"),
    [
        ({"FASTLB_GROUP": "a,b c"}, "group", ["a", "b", "c"]),
        ({"FASTLB_SSE": "no"}, "sse", False),
        ({"FASTLB_DRY": "1"}, "dry", True),
        ({"FASTLB_LOG_LEVEL": ""}, "log_level", "DEBUG"),
        ({"SYSLOG_SOCKET": "/dev/null"}, "syslog_socket", "/dev/null"),
        ({"SYSLOG_SOCKET": "/old", "FASTLB_SYSLOG_SOCKET": "/new"}, "syslog_socket", "/new"),
        ({"POLL_INTERVAL": "5"}, "poll_interval", 5.0),
    ],
)
def test_variables_are_read_by_the_kind_of_their_flag(environ, name, value):
    assert getattr(parsed(**environ), name) == value


def test_a_flag_beats_its_variable():
    assert parsed("--group", "b", FASTLB_GROUP="a").group == ["b"]


def test_a_variable_that_cannot_be_read_is_named(capsys):
    with pytest.raises(SystemExit) as caught:
        parsed(FASTLB_HTTP_PORT="http")
    assert caught.value.code == 2
    assert "environment variable FASTLB_HTTP_PORT: 'http' is no port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (seconds, {"0": 0.0, "2.5": 2.5}, ["", "-1", "x", "nan", "inf"]),
        (way_with_conflicts, {"first": "first", "compatible": "compatible"}, ["", "last"]),
        (share, {"0": 0.0, "0.25": 0.25, "1": 1.0}, ["", "-0.1", "1.5", "x", "nan"]),
        (port, {"1": 1, "65535": 65535}, ["0", "65536", "-1", "", "http"]),
        (count, {"0": 0, "12": 12}, ["-1", "1.5", ""]),
        (positive, {"1": 1, "12": 12}, ["0", "-1", "1.5", ""]),
        (word, {"*": "*", "a.b": "a.b"}, ["", "a b", " ", "a\x07"]),
    ],
)
def test_kinds_accept_what_they_mean_and_refuse_the_rest(kind, good, bad):
    assert {text: kind(text) for text in good} == good
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError):
            kind(text)


def test_help_tells_default_variables_and_who_set_it(capsys):
    parser = argparse.ArgumentParser(prog="x")
    flag = Flag("--wait -w", seconds, 5.0, "100% patience", "S", "OLD_WAIT")
    add_flags(parser, "table", (flag,), {"OLD_WAIT": "7"})
    with pytest.raises(SystemExit):
        parser.parse_args(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "100% patience; default: 5.0 [FASTLB_WAIT, OLD_WAIT]; now set by OLD_WAIT" in said


def test_no_two_flags_share_a_name():
    names = [name for flag in EVERY for name in flag.names.split()]
    assert len(names) == len(set(names))
