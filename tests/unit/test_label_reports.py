"""Each label with its meaning, how it was read, and what is wrong with it."""

from __future__ import annotations

import pytest

from fastlb.label_reports import label_reports


def only(name, value, services=1):
    (report,) = label_reports({name: value}, services)
    return report


@pytest.mark.parametrize(
    ("name", "value", "read_as", "problem"),
    [
        ("HAPROXY_0_VHOST", "web.test", "", ""),
        ("HAPROXY_0_VHOST", "Web.Test", "web.test", ""),
        ("HAPROXY_0_STICKY", "true", "yes", ""),
        ("HAPROXY_0_STICKY", "no", "no", ""),
        ("HAPROXY_0_STICKY", "1", "no", "only true"),
        ("HAPROXY_0_PORT", " 80 ", "80", ""),
        ("HAPROXY_0_PORT", "http", "", "an integer is needed"),
        ("HAPROXY_0_PATH", "/a\x1b[2J", "", "control character"),
        ("HAPROXY_1_VHOST", "web.test", "", "there is no service 1"),
        ("HAPROXY_0_MAP_HTTP_FRONTEND_ACL", "x", "", "never read"),
        ("HAPROXY_0_BACKEND_HEAD", "backend {backend}\n", "", ""),
        ("HAPROXY_GROUP", "external", "", ""),
        ("HAPROXY_0_AUTH", "no colons", "", "cannot be read"),
    ],
)
def test_a_label_is_read_as_the_generator_reads_it(name, value, read_as, problem):
    report = only(name, value)
    assert report.meaning
    assert report.read_as == read_as
    assert problem in report.problem
    assert bool(problem) == bool(report.problem)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HAPROXY_0_VHOSTS", "HAPROXY_0_VHOST"),
        ("HAPROXY_VHOST", "HAPROXY_0_VHOST"),
        ("HAPROXY_12_VHSOT", "HAPROXY_12_VHOST"),
        ("haproxy_0_vhost", "HAPROXY_0_VHOST"),
        ("HAPROXY_01_VHOST", "HAPROXY_1_VHOST"),
        ("HAPROXY_GROUPS", "HAPROXY_GROUP"),
        ("HAPROXY_DEPLOYMENT_COLOR", "HAPROXY_DEPLOYMENT_COLOUR"),
        ("HAPROXY_0_BACKEND_HTTP_OPTION", "HAPROXY_0_BACKEND_HTTP_OPTIONS"),
    ],
)
def test_an_unknown_label_is_told_from_the_one_that_was_meant(name, meant):
    assert f"did you mean {meant}?" in only(name, "x").problem


@pytest.mark.parametrize("name", ["HAPROXY_WEATHER_REPORT_OF_TOMORROW", "HAPROXY_" + "9" * 5000])
def test_a_label_that_is_like_no_other_is_said_to_be_none(name):
    assert only(name, "x").problem == "no label has this name"


def test_labels_for_others_are_left_alone():
    assert label_reports({"traefik.enable": "true", "owner": "me"}, 1) == ()


@pytest.mark.parametrize("value", [5, None, True, ["a"], {"b": 1}])
def test_a_value_that_is_no_text_is_shown_as_it_is(value):
    assert only("HAPROXY_0_VHOST", value).value == repr(value)


def test_a_password_is_neither_shown_nor_quoted():
    for value in ("realm:user:hunter2", "hunter2", "r:u:hunter2\n", 'r":u:hunter2'):
        assert "hunter2" not in str(only("HAPROXY_0_AUTH", value))
