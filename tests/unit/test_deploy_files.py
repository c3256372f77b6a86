"""What `deploy/` starts is what there is: flags, variables, ports, paths and signals are those of the code."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
import subprocess
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import yaml

import fastlb
from fastlb import supervisor
from fastlb.cli import DAEMON_FLAGS, build_parser
from fastlb.errors import ExitCode
from fastlb.limits import Limits
from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
APPS = {path.stem: json.loads(path.read_text()) for path in (DEPLOY / "marathon").glob("*.json")}
SERVICES = yaml.safe_load((DEPLOY / "compose" / "docker-compose.yml").read_text())["services"]
OPTIONS = json.loads((DEPLOY / "dcos" / "options.json").read_text())["marathon-lb"]
UNIT = [
    line.partition("=")[::2]
    for line in (DEPLOY / "systemd" / "fastlb.service").read_text().splitlines()
    if re.match(r"[A-Z]\w+=", line)
]
FLAGS = {flag.names.split()[0]: flag for _, group in DAEMON_FLAGS for flag in group}
VARIABLES = {name for flag in FLAGS.values() for name in flag.variables}
OF_THE_ENTRY = {
    "PORTS",
    "HAPROXY_SYSCTL_PARAMS",
    "HAPROXY_SYSLOGD",
    "HAPROXY_SSL_CERT",
    "HAPROXY_GLOBAL_DEFAULT_OPTIONS",
}
"""Variables that are no flag (COMPAT.md 2.5, 2.6)."""
OPTION_MEANS = {
    "marathon-uri": "--marathon",
    "secret_name": "--dcos-auth-credentials",
    "haproxy-group": "--group",
    "bind-http-https": "--dont-bind-http-https",
    "haproxy-map": "--haproxy-map",
    "strict-mode": "--strict-mode",
    "auto-assign-service-ports": "--max-serv-port-ip-per-task",
    "haproxy_global_default_options": "HAPROXY_GLOBAL_DEFAULT_OPTIONS",
    "sysctl-params": "HAPROXY_SYSCTL_PARAMS",
    "container-syslogd": "HAPROXY_SYSLOGD",
}
OF_THE_APP = {
    "name",
    "instances",
    "cpus",
    "mem",
    "role",
    "template-url",
    "minimumHealthCapacity",
    "maximumOverCapacity",
}
"""Options that end in the app's definition."""
BESIDE_THE_GRACE_S = supervisor.CONTROLLER_GRACE_S + supervisor.INSIST_S + supervisor.STRAGGLERS_WITHIN_S


def unit(name: str) -> str:
    """The one value that the unit gives to a setting."""
    (value,) = [value for key, value in UNIT if key == name]
    return value


def routes() -> set[str]:
    """The administrative paths, as the code that answers them names them."""
    rooms = (DEPLOY.parent / "fastlb" / "admin").glob("*.py")
    return {path for room in rooms for path in re.findall(r'web\.get\("(/[^"]+)"', room.read_text())}


@pytest.mark.parametrize("name", ["external", "internal"])
def test_marathon_takes_the_app(name):
    with SimulatedMarathon(SimulatorSettings(version_shape="1.5")) as marathon:
        marathon.create_app(APPS[name])
        with urlopen(f"{marathon.url}/v2/apps{APPS[name]['id']}", timeout=10) as answer:
            kept = json.load(answer)["app"]
    assert {key: kept[key] for key in ("networks", "args", "constraints")} == {
        key: APPS[name][key] for key in ("networks", "args", "constraints")
    }


@pytest.mark.parametrize("name", ["external", "internal"])
def test_an_app_runs_the_image_of_this_version(name):
    assert APPS[name]["container"]["docker"]["image"] == f"fastlb:{fastlb.__version__}"


@pytest.mark.parametrize("name", ["external", "internal"])
def test_an_app_is_one_of_its_kind_on_its_machine_and_holds_the_ports_that_it_listens_on(name):
    app = APPS[name]
    args = build_parser().parse_args(app["args"])
    web = set() if args.dont_bind_http_https else {args.http_port, args.https_port}
    assert args.group == [name]
    assert app["networks"] == [{"mode": "host"}]
    assert app["constraints"] == [["hostname", "UNIQUE"]]
    assert app["requirePorts"] is True
    assert {port["port"] for port in app["portDefinitions"]} == web | {args.stats_port, args.appid_port}
    assert app["acceptedResourceRoles"] == ["slave_public" if name == "external" else "*"]


def test_all_of_them_log_what_is_for_production():
    of_the_unit = dict(word.split("=", 1) for key, value in UNIT if key == "Environment" for word in value.split())
    for environment in (*(app["env"] for app in APPS.values()), SERVICES["fastlb"]["environment"], of_the_unit):
        assert environment.keys() <= VARIABLES | OF_THE_ENTRY
        assert environment["FASTLB_LOG_LEVEL"] == "INFO"


@pytest.mark.parametrize("name", ["external", "internal"])
def test_an_app_is_checked_where_it_says_whether_it_is_ready(name):
    app = APPS[name]
    (check,) = app["healthChecks"]  # Marathon takes one that Mesos does, and no other beside it
    assert check["path"] in routes()
    assert app["portDefinitions"][check["portIndex"]]["port"] == build_parser().parse_args(app["args"]).stats_port
    assert check["intervalSeconds"] * check["maxConsecutiveFailures"] >= 60  # controllers come back in less


@pytest.mark.parametrize("name", ["external", "internal"])
def test_an_app_is_replaced_in_part_since_a_second_one_does_not_fit_beside_the_first(name):
    app = APPS[name]
    strategy, grace_s = app["upgradeStrategy"], build_parser().parse_args(app["args"]).stop_grace
    stays = math.ceil(strategy["minimumHealthCapacity"] * app["instances"])
    assert 0 < stays < app["instances"]
    assert strategy["maximumOverCapacity"] == 0
    assert app["taskKillGracePeriodSeconds"] >= grace_s + BESIDE_THE_GRACE_S


def test_every_option_of_the_package_means_something_here():
    assert set(OPTIONS) == OPTION_MEANS.keys() | OF_THE_APP
    assert set(OPTION_MEANS.values()) <= FLAGS.keys() | OF_THE_ENTRY


def test_the_services_of_compose_meet_on_loopback():
    marathon = build_parser().parse_args(SERVICES["marathon"]["command"])
    door = build_parser().parse_args(SERVICES["fastlb"]["command"])
    assert SERVICES["marathon"]["entrypoint"][-1] == "fastlb"
    assert [urlsplit(url).netloc for url in door.marathon] == [f"{marathon.host}:{marathon.port}"]
    assert ip_address(marathon.host).is_loopback
    assert ip_address(door.bind_address).is_loopback
    assert door.group == [marathon.group]
    assert {service["network_mode"] for service in SERVICES.values()} == {"host"}


def test_the_services_of_compose_share_no_port():
    environment, door = SERVICES["fastlb"]["environment"], build_parser().parse_args(SERVICES["fastlb"]["command"])
    ports = [door.http_port, door.https_port, door.stats_port, door.appid_port]
    assert [int(port) for port in environment["PORTS"].split(",")] == ports
    assert len({*ports, build_parser().parse_args(SERVICES["marathon"]["command"]).port}) == len(ports) + 1
    assert environment.keys() <= VARIABLES | OF_THE_ENTRY


def test_the_unit_starts_what_there_is_with_variables_that_there_are():
    program, *words = unit("ExecStart").split()
    assert Path(program).name == "fastlb"
    build_parser().parse_args(words)
    example = (DEPLOY / "systemd" / "fastlb.env").read_text()
    named = {word.partition("=")[0] for key, value in UNIT if key == "Environment" for word in value.split()}
    named |= set(re.findall(r"^#?([A-Z]\w+)=", example, re.MULTILINE))
    assert len(named) >= 8
    assert named <= VARIABLES


def test_a_restart_of_the_unit_ends_the_supervisor_alone_and_a_stop_lets_it_end_the_others():
    restart = signal.Signals[unit("RestartKillSignal")]
    assert unit("KillMode") == "process"
    assert unit("SuccessExitStatus") == restart.name
    assert restart not in supervisor._WATCHED
    assert signal.getsignal(restart) == signal.SIG_DFL
    assert signal.Signals[unit("KillSignal")] in supervisor._WATCHED
    assert unit("RuntimeDirectoryPreserve") == "yes"
    assert unit("OOMPolicy") == "continue"


def test_the_unit_leaves_enough_time_and_files_and_stops_for_mistakes_in_the_settings():
    args = build_parser().parse_args(["sse"])
    assert int(unit("TimeoutStopSec")) >= args.stop_grace + BESIDE_THE_GRACE_S
    assert Limits(args.maxconn, int(unit("LimitNOFILE"))).warning(10_000, 100_000) is None
    assert int(unit("RestartPreventExitStatus")) == ExitCode.USAGE


def test_the_unit_may_do_nothing_but_bind_low_ports():
    assert unit("CapabilityBoundingSet") == unit("AmbientCapabilities") == "CAP_NET_BIND_SERVICE"
    assert unit("NoNewPrivileges") == "yes"
    assert unit("ProtectSystem") == "strict"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_knows_every_setting_of_the_unit(tmp_path):
    text = (DEPLOY / "systemd" / "fastlb.service").read_text().replace(unit("ExecStart").split()[0], "/bin/true")
    (tmp_path / "fastlb.service").write_text(text)
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / "fastlb.service"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (said.returncode, [line for line in said.stderr.splitlines() if "fastlb.service" in line]) == (0, [])
