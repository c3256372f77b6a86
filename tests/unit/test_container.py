"""What marathon-lb's image was told is what fastlb is started with (COMPAT.md 2.5)."""

from __future__ import annotations

import pytest

from fastlb.container import Folders, marathon_lb, run
from fastlb.errors import FastlbError, UsageError

FOLDERS = Folders(config="/home/haproxy.cfg", certificates="/ssl")
FIXED = ("--haproxy-config", "/home/haproxy.cfg", "--ssl-certs")


def started(*words, **environ):
    return run(words, {"PORTS": "9090", **environ}, FOLDERS)


@pytest.mark.parametrize(("mode", "is_today"), [("sse", "sse"), ("poll", "poll"), ("event", "sse")])
def test_the_first_word_is_the_mode_and_all_others_are_passed_on_in_their_order(mode, is_today):
    words = ("--health-check", "--group", "external", "-m", "http://a:8080", "http://b:8080", "--haproxy-map")
    assert started(mode, *words).words == (is_today, *FIXED, "/ssl/cert.pem", *words)


@pytest.mark.parametrize("words", [(), ("--sse",), ("SSE",), ("zdd",)])
def test_another_first_word_ends_it_and_says_what_may_stand_there(words):
    with pytest.raises(FastlbError, match="sse or poll") as raised:
        started(*words)
    assert not isinstance(raised.value, UsageError)  # marathon-lb's container exits with 1


@pytest.mark.parametrize("environ", [{}, {"PORTS": ""}])
def test_without_ports_it_says_what_to_set(environ):
    with pytest.raises(FastlbError, match="PORTS=9090"):
        run(["sse"], environ, FOLDERS)


class TestCertificates:
    @staticmethod
    def listed(start):
        return start.words[start.words.index("--ssl-certs") + 1]

    def test_none_at_all_asks_for_one_to_be_made(self):
        start = started("sse")
        assert (self.listed(start), start.self_signed) == ("/ssl/cert.pem", "/ssl/cert.pem")

    def test_those_of_the_flag_stand_alone(self):
        start = started("sse", "--ssl-certs", "/a.pem,/b.pem")
        assert (self.listed(start), start.self_signed, start.certificates) == ("/a.pem,/b.pem", None, {})

    def test_the_flag_may_be_one_word(self):
        assert self.listed(started("sse", "--ssl-certs=/a.pem", "--dry")) == "/a.pem"

    def test_those_of_the_environment_follow_those_of_the_flag(self):
        pems = {"HAPROXY_SSL_CERT": "main", "HAPROXY_SSL_CERT0": "zero", "HAPROXY_SSL_CERT100": "last"}
        start = started("sse", "--ssl-certs", "/a.pem", **pems)
        assert self.listed(start) == "/a.pem,/ssl/cert.pem,/ssl/cert0.pem,/ssl/cert100.pem"
        assert start.certificates == {
            "/ssl/cert.pem": "main\n",
            "/ssl/cert0.pem": "zero\n",
            "/ssl/cert100.pem": "last\n",
        }
        assert start.self_signed is None

    def test_backslash_escapes_become_what_they_stand_for(self):
        start = started("sse", HAPROXY_SSL_CERT=r"-----BEGIN\nabc\r\n\\n-----END\n")
        assert start.certificates["/ssl/cert.pem"] == "-----BEGIN\nabc\r\n\\n-----END\n"

    def test_numbered_ones_alone_are_not_used_and_that_is_said(self):
        start = started("sse", HAPROXY_SSL_CERT3="three")
        assert (start.certificates, start.self_signed) == ({}, "/ssl/cert.pem")
        assert "HAPROXY_SSL_CERT itself is not set" in start.said[-1]

    def test_private_keys_are_not_in_the_environment_of_what_runs(self):
        start = started("sse", HAPROXY_SSL_CERT="main", HAPROXY_SSL_CERT1="one")
        assert not [name for name in start.environment if name.startswith("HAPROXY_SSL_CERT")]

    def test_a_flag_without_its_word_is_refused(self):
        with pytest.raises(UsageError, match="--ssl-certs"):
            started("sse", "--ssl-certs")


@pytest.mark.parametrize(
    ("flag", "variable"),
    [
        ("--auth-credentials", "FASTLB_AUTH_CREDENTIALS"),
        ("--dcos-auth-credentials", "FASTLB_DCOS_AUTH_CREDENTIALS"),
        ("--auth-cred", "FASTLB_AUTH_CREDENTIALS"),
    ],
)
def test_credentials_leave_the_words(flag, variable):
    for start in (
        started("poll", flag, "me:secret", "--dry"),
        marathon_lb([flag, "me:secret", "--dry"], {}, follows_events=False),
    ):
        assert not [word for word in start.words if "secret" in word or word == flag]
        assert start.environment[variable] == "me:secret"
        assert start.words[-1] == "--dry"


def test_syslog_is_off_unless_a_socket_is_named():
    assert started("sse").environment["SYSLOG_SOCKET"] == "/dev/null"
    assert started("sse", SYSLOG_SOCKET="/log").environment["SYSLOG_SOCKET"] == "/log"


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, "stdout"),
        ({"HAPROXY_SYSLOGD": "true"}, "stdout"),
        ({"HAPROXY_SYSLOGD": ""}, "none"),
        ({"HAPROXY_SYSLOGD": "true", "FASTLB_HAPROXY_LOG": "none"}, "none"),
    ],
)
def test_haproxy_logs_to_standard_output_unless_that_is_turned_off(environ, wanted):
    assert started("sse", **environ).environment["FASTLB_HAPROXY_LOG"] == wanted


class TestReloadCommand:
    @pytest.mark.parametrize(
        "command", ["/marathon-lb/reload_haproxy.sh", "sv reload /marathon-lb/service/haproxy", "reload_haproxy.sh", ""]
    )
    def test_one_that_only_reloads_is_what_fastlb_does_anyhow(self, command):
        start = started("sse", "--command", command, "--dry")
        assert start.words == ("sse", *FIXED, "/ssl/cert.pem", "--dry")
        assert len(start.said) == 1

    @pytest.mark.parametrize(
        ("words", "environ"),
        [(("-c", "/mine.sh -x"), {}), (("--comm=/mine.sh -x",), {}), ((), {"FASTLB_COMMAND": "/mine.sh -x"})],
    )
    def test_another_one_reloads_the_haproxy_that_fastlb_runs_and_that_is_said(self, words, environ):
        start = started("sse", *words, "--dry", **environ)
        assert start.words == ("sse", *FIXED, "/ssl/cert.pem", "--reload-through", "/mine.sh -x", "--dry")
        assert "FASTLB_COMMAND" not in start.environment
        assert "'/mine.sh -x'" in start.said[-1]
        assert "/marathon-lb/reload_haproxy.sh" in start.said[-1]


class TestKernelParameters:
    def test_each_word_is_one(self):
        start = started("sse", HAPROXY_SYSCTL_PARAMS="net.ipv4.tcp_tw_reuse=1 net/core/somaxconn=4096")
        assert start.sysctl == (("net.ipv4.tcp_tw_reuse", "1"), ("net/core/somaxconn", "4096"))
        assert start.strict
        assert not started("sse", HAPROXY_SYSCTL_NONSTRICT="yes").strict

    @pytest.mark.parametrize("word", ["net.core.somaxconn", "=1", "../../etc/passwd=1", "net..core=1"])
    def test_a_word_that_is_none_is_named(self, word):
        with pytest.raises(UsageError, match="HAPROXY_SYSCTL_PARAMS"):
            started("sse", HAPROXY_SYSCTL_PARAMS=word)


class TestTheOldProgram:
    def test_it_is_one_pass_or_follows_events_with_the_same_flags(self):
        words = ("--group", "external", "--ssl-certs", "/a.pem", "-c", "reload it", "--sse")
        assert marathon_lb(words, {}, follows_events=True).words == ("sse", *words)
        assert marathon_lb(words[:-1], {}, follows_events=False).words == ("poll", "--once", *words[:-1])

    def test_it_needs_nothing_of_a_container(self):
        start = marathon_lb([], {"A": "b"}, follows_events=False)
        assert (start.environment, start.certificates, start.self_signed, start.sysctl) == ({"A": "b"}, {}, None, ())
