"""What Mesos tells a task in its environment, and what of it is heeded."""

from __future__ import annotations

import pytest

from fastlb.cli import build_parser
from fastlb.desired import desired_state
from fastlb.flag_words import MOST_THREADS
from fastlb.mesos import is_unasked_self, reached_at, sandbox_templates
from fastlb.reading import read_app
from fastlb.settings import read_catalogue, read_paths, read_reached_at, read_rules
from fastlb.template_sources import template_sources
from tests.fakes.apps import app, rules_of

NOT_HERE = "203.0.113.7"


def args(monkeypatch, *words, **environ):
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return build_parser().parse_args(["sse", "--group", "external", *words])


def head(found, environ=None):
    return read_catalogue(found, environ or {}, None, read_paths(found)).head({"maxconn": 100, "strict_limits": True})


class TestAddressOfTheStatisticsPage:
    def test_it_is_that_of_libprocess_for_this_page_alone(self, monkeypatch):
        found = args(monkeypatch, LIBPROCESS_IP="127.0.0.1", LIBPROCESS_PORT="5050")
        assert "bind 127.0.0.1:5050\n" in head(found)
        assert read_rules(found, {}).own_ports == (("*", 9091), ("127.0.0.1", 5050), ("*", 80), ("*", 443))

    def test_flags_beat_it(self, monkeypatch):
        words = ("--stats-address", "127.0.0.2", "--stats-port", "9999")
        assert "bind 127.0.0.2:9999\n" in head(
            args(monkeypatch, *words, LIBPROCESS_IP="127.0.0.1", LIBPROCESS_PORT="1")
        )

    def test_without_either_it_is_that_of_all_frontends(self, monkeypatch):
        assert "bind 127.0.0.3:9090\n" in head(args(monkeypatch, "--bind-address", "127.0.0.3"))

    def test_one_that_this_machine_does_not_have_is_not_bound(self, monkeypatch, caplog):
        found = args(monkeypatch, LIBPROCESS_IP=NOT_HERE)
        assert "bind *:9090\n" in head(found)
        assert f"--stats-address {NOT_HERE}" in caplog.text

    def test_port_0_says_nothing(self, monkeypatch):
        assert args(monkeypatch, LIBPROCESS_PORT="0").stats_port == 9090


class TestThreads:
    @pytest.mark.parametrize(("text", "line"), [("3", "  nbthread 3\n"), ("1024", "  nbthread 64\n")])
    def test_those_of_libprocess_are_the_default_as_far_as_haproxy_goes(self, monkeypatch, text, line):
        assert line in head(args(monkeypatch, LIBPROCESS_NUM_WORKER_THREADS=text))

    @pytest.mark.parametrize("text", ["-1", "many", str(MOST_THREADS + 1), "2.5"])
    def test_what_is_out_of_range_is_refused_by_its_name(self, monkeypatch, text, capsys):
        with pytest.raises(SystemExit):
            args(monkeypatch, LIBPROCESS_NUM_WORKER_THREADS=text)
        assert "LIBPROCESS_NUM_WORKER_THREADS" in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["LIBPROCESS_IP", "LIBPROCESS_PORT", "LIBPROCESS_ADVERTISE_PORT"])
def test_a_variable_that_cannot_be_read_is_named(monkeypatch, variable, capsys):
    with pytest.raises(SystemExit):
        args(monkeypatch, **{variable: "nowhere"})
    assert variable in capsys.readouterr().err


class TestWhereItIsReached:
    @pytest.mark.parametrize(
        ("address", "advertised", "environ", "expected"),
        [
            ("*", (None, None), {}, "localhost:9090"),
            ("*", (None, None), {"HOST": "agent7"}, "agent7:9090"),
            ("*", (None, None), {"HOST": "agent7", "PORT_9090": "31005"}, "agent7:31005"),
            ("127.0.0.1", (None, None), {"HOST": "agent7"}, "127.0.0.1:9090"),
            ("127.0.0.1", ("lb.example", 80), {"HOST": "agent7", "PORT_9090": "31005"}, "lb.example:80"),
            ("*", ("2001:db8::1", None), {}, "[2001:db8::1]:9090"),
        ],
    )
    def test_what_is_advertised_beats_what_is_bound_beats_the_agent(self, address, advertised, environ, expected):
        assert reached_at(address, 9090, advertised, environ) == expected

    def test_libprocess_says_it(self, monkeypatch):
        found = args(monkeypatch, LIBPROCESS_ADVERTISE_IP="198.51.100.1", LIBPROCESS_ADVERTISE_PORT="80")
        assert read_reached_at(found, {}) == "198.51.100.1:80"


class TestTheSandbox:
    NAME = "HAPROXY_FRONTEND_BACKEND_GLUE"

    def test_its_templates_come_before_those_of_the_image(self, tmp_path):
        for folder in ("sandbox/templates", "home"):
            (tmp_path / folder).mkdir(parents=True)
            (tmp_path / folder / self.NAME).write_text(folder)
        (tmp_path / "home" / "HAPROXY_BACKEND_HEAD").write_text("of the image")
        found = template_sources({"MESOS_SANDBOX": str(tmp_path / "sandbox")}, tmp_path / "home")
        assert found["FRONTEND_BACKEND_GLUE"].text == "sandbox/templates"
        assert found["BACKEND_HEAD"].text == "of the image"

    def test_there_may_be_none(self):
        assert sandbox_templates({}) == sandbox_templates({"MESOS_SANDBOX": ""}) == ()


class TestItself:
    @pytest.mark.parametrize(
        ("app_id", "labels", "is_left_out"),
        [
            ("/lb", [], True),
            ("/lb", ["HAPROXY_0_VHOST", "HAPROXY_DEPLOYMENT_GROUP"], True),
            ("/lb", ["HAPROXY_GROUP"], False),
            ("/lb", ["HAPROXY_0_GROUP"], False),
            ("/other", [], False),
        ],
    )
    def test_it_is_left_out_unless_a_label_puts_it_in_a_group(self, app_id, labels, is_left_out):
        assert is_unasked_self(app_id, labels, "/lb") is is_left_out
        assert not is_unasked_self(app_id, labels, None)

    def test_no_group_of_apps_takes_it_along(self):
        every = [read_app(app("/lb", labels={"HAPROXY_GROUP": None})), read_app(app("/web"))]
        unlabelled = [one._replace(labels={}) for one in every]
        state = desired_state(unlabelled, rules_of("--group", "*", MARATHON_APP_ID="/lb"))
        assert [service.app_id for service in state.services] == ["/web"]
        state = desired_state(every[1:], rules_of("--group", "external", MARATHON_APP_ID="/web"))
        assert [service.app_id for service in state.services] == ["/web"]
