"""Flags and environment to frozen values, and every mistake in them to a usage error."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import psutil
import pytest

from fastlb import settings
from fastlb.cli import build_parser
from fastlb.errors import UsageError
from fastlb.generations import WorkerLimits
from fastlb.haproxy import HAProxy
from fastlb.settings import (
    map_folder,
    read_catalogue,
    read_dialect,
    read_limits,
    read_paths,
    read_rules,
    read_settings,
)

REQUIRED = ("--group", "external")


def args(*argv, command="sse"):
    return build_parser().parse_args([command, *argv])


def test_the_defaults_are_those_of_marathon_lb():
    rules = read_rules(args(*REQUIRED), {})
    assert rules.groups == ("external",)
    assert rules.ssl_certs == ("/etc/ssl/cert.pem",)
    assert rules.haproxy_dir == "/etc/haproxy"
    assert (rules.min_assigned_port, rules.max_assigned_port, rules.assigns_ports) == (10050, 10100, True)
    assert rules.own_ports == (("*", 9091), ("*", 9090), ("*", 80), ("*", 443))
    switches = (rules.strict_mode, rules.health_check, rules.haproxy_map, rules.dont_bind_http_https)
    assert not any(switches)


def test_flags_that_turn_something_on_turn_it_on():
    argv = ["--strict-mode", "-H", "--haproxy-map", "--dont-bind-http-https", "--group-https-by-vhost"]
    rules = read_rules(args(*REQUIRED, *argv), {"FRAMEWORK_NAME": "lb"})
    assert rules.strict_mode
    assert rules.health_check
    assert rules.haproxy_map
    assert rules.dont_bind_http_https
    assert rules.group_https_by_vhost
    assert rules.framework_name == "lb"
    assert rules.own_ports == (("*", 9091), ("*", 9090))


@pytest.mark.parametrize(
    ("text", "certificates"), [("/a.pem,/b.pem", ("/a.pem", "/b.pem")), ("", ("/etc/ssl/cert.pem",))]
)
def test_certificates_are_a_list_and_empty_means_the_default(text, certificates):
    assert read_rules(args(*REQUIRED, "--ssl-certs", text), {}).ssl_certs == certificates


LOW, HIGH = "--min-serv-port-ip-per-task", "--max-serv-port-ip-per-task"


def test_both_limits_zero_turn_the_assigner_off():
    assert not read_rules(args(*REQUIRED, LOW, "0", HIGH, "0"), {}).assigns_ports


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "argument --group is required: pleasespecify at least one group name"),
        ([*REQUIRED, LOW, "0"], "either both or none may be zero"),
        ([*REQUIRED, HIGH, "0"], "either both or none may be zero"),
        ([*REQUIRED, LOW, "10101"], "less than --min-serv-port-ip-per-task"),
        ([*REQUIRED, "--http-port", "9090"], "must differ"),
        ([*REQUIRED, "--haproxy-config", "/a b/haproxy.cfg"], "cannot name a map in a folder of that name"),
        ([*REQUIRED, "--haproxy-config", "/a(b/haproxy.cfg"], "cannot name a map"),
    ],
)
def test_a_mistake_in_the_rules_is_a_usage_error(argv, words):
    with pytest.raises(UsageError, match=words):
        read_rules(args(*argv), {})


@pytest.mark.parametrize(
    ("config", "folder"),
    [("/etc/haproxy/haproxy.cfg", "/etc/haproxy"), ("x.cfg", "."), ("./x.cfg", "."), ("/x.cfg", ""), ("a//x.cfg", "a")],
)
def test_the_folder_of_the_maps_is_that_of_the_configuration_as_given(config, folder):
    assert map_folder(config) == folder


def test_everything_of_a_run_lies_in_one_folder(tmp_path):
    paths = read_paths(args(*REQUIRED, "--haproxy-config", str(tmp_path / "h.cfg"), "--run-dir", "/run/x"))
    assert (paths.domain_map, paths.app_map) == (tmp_path / "domain2backend.map", tmp_path / "app2backend.map")
    names = [paths.master_socket, paths.runtime_socket, paths.server_state, paths.fallback_certificate]
    assert {path.parent for path in names} == {Path("/run/x")}


@pytest.mark.parametrize(("user", "folder"), [(0, Path("/var/run/haproxy")), (1000, Path("/cfg/run"))])
def test_without_run_dir_it_is_the_systems_for_root_else_beside_the_configuration(monkeypatch, user, folder):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert read_paths(args(*REQUIRED, "--haproxy-config", "/cfg/haproxy.cfg")).run_dir == folder


def test_a_run_dir_too_long_for_a_socket_is_refused():
    with pytest.raises(UsageError, match="too long for a socket; choose a shorter folder"):
        read_paths(args(*REQUIRED, "--run-dir", f"/{'x' * 90}"))


@pytest.mark.parametrize(
    ("command", "argv", "follows"),
    [
        ("sse", [], True),
        ("poll", [], False),
        ("poll", ["--sse"], True),
        ("sse", ["--dry"], False),
        ("sse", ["--once"], False),
    ],
)
def test_the_subcommand_or_the_flag_follows_events(command, argv, follows):
    assert read_settings(args(*REQUIRED, *argv, command=command)).follow_events is follows


def test_skip_config_cleanup_turns_the_search_for_culprits_off():
    assert read_settings(args(*REQUIRED)).find_culprits
    assert not read_settings(args(*REQUIRED, "--skip-config-cleanup")).find_culprits


@pytest.mark.parametrize(
    ("command", "words"), [("", "is empty"), ("  ", "is empty"), ("echo 'x", "No closing quotation")]
)
def test_a_reload_command_that_cannot_be_split_is_refused(command, words):
    with pytest.raises(UsageError, match=words):
        read_settings(args(*REQUIRED, "--command", command))


def test_a_haproxy_is_ours_or_somebody_elses():
    assert read_settings(args("--reload-through", "/mine.sh")).command is None
    with pytest.raises(UsageError, match="give one of them"):
        read_settings(args("--reload-through", "/mine.sh", "--command", "/theirs.sh"))
    with pytest.raises(UsageError, match="--reload-through is empty"):
        read_settings(args("--reload-through", " "))


def test_a_controller_has_time_to_show_that_it_lives():
    with pytest.raises(UsageError, match="--controller-timeout 2: it has to be 0 or at least 5"):
        read_settings(args(*REQUIRED, "--controller-timeout", "2"))
    timeouts = [
        read_settings(args(*REQUIRED, "--controller-timeout", text)).controller_timeout_s for text in ("0", "5")
    ]
    assert timeouts == [0, 5]


def test_the_limits_of_old_workers_are_read_in_their_units():
    flags = "--max-old-workers 3 --max-old-worker-age 60 --max-old-workers-memory 7 --reload-patience 2".split()
    limits = read_settings(args(*REQUIRED, *flags)).old_workers
    assert limits == WorkerLimits(most=3, age_s=60, resident_bytes=7 << 20, patience_s=2)


def test_without_a_limit_of_memory_it_is_a_quarter_of_what_the_machine_or_its_container_has(monkeypatch, tmp_path):
    (tmp_path / "max").write_text("max\n")
    monkeypatch.setattr(settings, "MEMORY_LIMITS", (tmp_path / "max", tmp_path / "none"))
    assert read_settings(args(*REQUIRED)).old_workers.resident_bytes == psutil.virtual_memory().total // 4
    (tmp_path / "none").write_text("4000\n")
    assert read_settings(args(*REQUIRED)).old_workers.resident_bytes == 1000


def haproxy(**abilities):
    given = {"has_promex": True, "has_openssl": True, "has_lua": True, **abilities}
    return HAProxy(path=Path("/x"), version=(2, 8, 1), version_text="2.8.1", **given)


@pytest.mark.parametrize(
    ("argv", "found", "version"),
    [([], None, (2, 6)), ([], haproxy(), (2, 8)), (["--haproxy-version", "2.0"], haproxy(), (2, 0))],
)
def test_the_dialect_is_the_one_asked_for_else_that_of_the_program(argv, found, version):
    assert read_dialect(args(*REQUIRED, *argv), found).version == version


@pytest.mark.parametrize(("hard", "descriptors"), [(4096, 4096), (resource.RLIM_INFINITY, None)])
def test_the_hard_limit_of_open_files_counts(monkeypatch, hard, descriptors):
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, hard))
    limits = read_limits(args(*REQUIRED, "--maxconn", "7"))
    assert (limits.maxconn, limits.descriptors) == (7, descriptors)


def head(*argv, found=None, **environ):
    given = args(*REQUIRED, *argv)
    values = {"maxconn": 5, "strict_limits": True}
    return read_catalogue(given, environ, found, read_paths(given)).head(values)


def test_the_default_head_follows_the_flags():
    found = head("--threads", "3", "--hard-stop-after", "60", "--stats-port", "9999", "--run-dir", "/r")
    for words in ("nbthread 3", "hard-stop-after 60s", "bind *:9999", "stats socket /r/socket", "maxconn 5"):
        assert f"  {words}" in found


@pytest.mark.parametrize(
    ("flags", "most"),
    [([], 50), (["--command", "x"], 10), (["--mworker-max-reloads", "7", "--command", "x"], 7)],
)
def test_where_fastlb_ends_nobody_haproxys_own_limit_is_the_one_on_old_workers(flags, most):
    assert f"  mworker-max-reloads {most}\n" in head(*flags)


def test_without_a_hard_stop_there_is_no_line_for_it():
    assert "hard-stop-after" not in head("--hard-stop-after", "0")


def test_the_default_head_leaves_out_what_the_program_was_built_without():
    assert "prometheus-exporter" in head(found=haproxy())
    assert "ssl-default" in head(found=haproxy())
    assert "prometheus-exporter" not in head(found=haproxy(has_promex=False))
    assert "ssl-default" not in head(found=haproxy(has_openssl=False))


def test_default_options_come_from_the_environment():
    assert "  option            splice-auto\n" in head(HAPROXY_GLOBAL_DEFAULT_OPTIONS="splice-auto")
    assert "redispatch" not in head(HAPROXY_GLOBAL_DEFAULT_OPTIONS="splice-auto")


def test_a_head_that_cannot_be_reloaded_is_refused_at_start():
    with pytest.raises(UsageError, match='remove "daemon"'):
        head(HAPROXY_HEAD="global\\n  daemon\\n")
