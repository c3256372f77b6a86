"""The label table: what each label becomes, and what is said about one that cannot be read."""

from __future__ import annotations

import pytest

from fastlb.errors import ServiceError
from fastlb.labels import TEMPLATE_LABELS, by_index, parse
from fastlb.model import ServiceOptions

DEFAULTS = ServiceOptions()


def parsed(**labels):
    return parse(0, labels, DEFAULTS)


def changed(**labels):
    """Return the options that differ from the defaults."""
    options = parsed(**labels)
    names = [name for name in ServiceOptions._fields if getattr(options, name) != getattr(DEFAULTS, name)]
    return {name: getattr(options, name) for name in names}


@pytest.mark.parametrize(
    ("label", "text", "expected"),
    [
        ("AUTH", "realm:user:$6$hash", {"realm": "realm", "user": "user", "password": "$6$hash"}),
        ("BACKEND_HEALTHCHECK_PORT_INDEX", "-1", {"health_port_index": -1}),
        ("BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8 127.0.0.1", {"networks_allowed": "10.0.0.0/8 127.0.0.1"}),
        ("BACKEND_WEIGHT", "5", {"rank": 5}),
        ("BALANCE", "leastconn", {"balance": "leastconn"}),
        ("BIND_ADDR", "127.0.0.1", {"bind_address": "127.0.0.1"}),
        ("BIND_OPTIONS", "accept-proxy", {"bind_options": "accept-proxy"}),
        ("ENABLED", "false", {"enabled": False}),
        ("GROUP", "a, b,", {"groups": ("a", " b", "")}),
        ("HTTP_BACKEND_PROXYPASS_PATH", "/p", {"proxypass_path": "/p"}),
        ("HTTP_BACKEND_REDIR", "/r", {"redirect_path": "/r"}),
        ("HTTP_BACKEND_REVPROXY_PATH", "/v", {"revproxy_path": "/v"}),
        ("KEEP_CONNECTIONS", "true", {"keep_connections": True}),
        ("MODE", "HTTP", {"mode": "http"}),
        ("PATH", "-i /x /y", {"path": "-i /x /y", "rank": 1}),
        ("PORT", "8080", {"port": 8080}),
        ("PORT", "0", {"port": 0}),
        ("REDIRECT_TO_HTTPS", "true", {"redirect_to_https": True}),
        ("SSL_CERT", "/c.pem", {"ssl_cert": "/c.pem"}),
        ("STICKY", "true", {"sticky": True}),
        ("USE_HSTS", "true", {"use_hsts": True}),
        ("VHOST", "A.example, B.example", {"vhost": "a.example, b.example"}),
        ("UNKNOWN", "x", {}),
        ("MAP_HTTP_FRONTEND_ACL", "{", {}),
    ],
)
def test_each_label_sets_its_option_and_nothing_else(label, text, expected):
    assert changed(**{label: text}) == expected


@pytest.mark.parametrize("name", sorted(TEMPLATE_LABELS))
def test_a_template_label_replaces_the_template_of_its_name(name):
    assert changed(**{name: "a\r\nb\\n\r"}) == {"templates": {name: "a\nb\\n\r"}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("T", True),
        ("Yes", True),
        ("y", True),
        ("1", False),
        ("on", False),
        ("true ", False),
        ("", False),
    ],
)
def test_only_four_words_are_true(text, value):
    assert parsed(STICKY=text).sticky is value


@pytest.mark.parametrize(("text", "value"), [(" 7 ", 7), ("+2", 2), ("-3", -3), ("1_0", 10), (12, 12)])
def test_integers_are_read_as_python_reads_them(text, value):
    assert parsed(BACKEND_WEIGHT=text).rank == value


@pytest.mark.parametrize(
    ("labels", "rank"),
    [
        ({"PATH": "/x"}, 1),
        ({"PATH": ""}, 1),
        ({"PATH": "/x", "BACKEND_WEIGHT": "0"}, 1),
        ({"PATH": "/x", "BACKEND_WEIGHT": "-1"}, -1),
        ({"BACKEND_WEIGHT": "0"}, 0),
    ],
)
def test_a_path_turns_a_rank_of_zero_into_one(labels, rank):
    assert parsed(**labels).rank == rank


@pytest.mark.parametrize(
    ("label", "value", "words"),
    [
        ("BACKEND_WEIGHT", "heavy", "an integer is needed"),
        ("BACKEND_WEIGHT", "", "an integer is needed"),
        ("BACKEND_WEIGHT", "9" * 21, "an integer is needed"),
        ("BACKEND_WEIGHT", True, "a text is needed"),
        ("PORT", "65536", "a port from 0 to 65535"),
        ("AUTH", "realm:user:$6$hash\n", "not shown"),
        ("AUTH", "realm:user", "1 colons"),
        ("AUTH", "a:b:c:d", "3 colons"),
        ("AUTH", "realm:us er:x", "must not contain a blank"),
        ("AUTH", 'r"m:user:x', "quotation mark"),
        ("BALANCE", 5, "a text is needed"),
        ("BALANCE", "source\n  evil", "line break or control character"),
        ("BIND_ADDR", "*\x00", "line break or control character"),
        ("MODE", "http\r", "line break or control character"),
        ("ENABLED", "tr\nue", "line break or control character"),
        ("VHOST", "a.example b.example", "contains a blank"),
        ("BACKEND_HEAD", 5, "a text is needed"),
    ],
)
def test_a_label_that_cannot_be_read_is_named_with_its_reason(label, value, words):
    with pytest.raises(ServiceError, match=f"HAPROXY_0_{label}.*{words}"):
        parsed(**{label: value})


def test_labels_are_sorted_by_the_index_of_their_port():
    labels = {
        "HAPROXY_0_PORT": "1",
        "HAPROXY_12_VHOST": "a",
        "HAPROXY_0_MODE": "tcp",
        "HAPROXY_01_PORT": "2",
        "HAPROXY_x_PORT": "3",
        "HAPROXY_-1_PORT": "4",
        "HAPROXY_GROUP": "external",
        "HAPROXY_3_PATH": None,
        "other": "5",
    }
    assert by_index(labels) == {0: {"PORT": "1", "MODE": "tcp"}, 12: {"VHOST": "a"}}


def test_without_labels_the_defaults_stay_as_they_are():
    assert parse(0, {}, DEFAULTS) is DEFAULTS
