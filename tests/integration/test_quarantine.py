"""Apps that HAProxy refuses: found exactly and quickly, left out alone, back when mended, kept when they were good."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING

import pytest

from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from tests.fakes.front_door import app, front_door, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.fakes.front_door import FrontDoor, Json

pytestmark = pytest.mark.haproxy

APPS = 500
MOST_TRIALS = 6
REAL_SERVERS = 40
ACL = "  acl bad_{cleanedUpHostname} hdr_nonsense(host) -i {hostname}\n  use_backend {backend} if TRUE\n"
BAD = {
    "bad-balance": {"HAPROXY_0_BALANCE": "nonsense"},
    "bad-directive": {"HAPROXY_0_BACKEND_HTTP_OPTIONS": "  option forwardfor\n  frobnicate now\n"},
    "bad-rule": {"HAPROXY_0_HTTP_FRONTEND_ACL": ACL},
}
SAID = {"bad-balance": "balance only supports", "bad-directive": "frobnicate", "bad-rule": "hdr_nonsense"}
ports = count(26000)


def labels(name: str, **more: str) -> Json:
    return {"labels": {"HAPROXY_GROUP": "external", "HAPROXY_0_VHOST": f"{name}.test", **more}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedMarathon]:
    """Many apps, a few of them bad; only those loaded first have task servers of their own."""
    with SimulatedMarathon(SimulatorSettings(real_servers=REAL_SERVERS)) as marathon:
        marathon.load([app(name, next(ports), labels=more) for name, more in BAD.items()])
        marathon.load([app(f"app{number:03}", next(ports)) for number in range(APPS - len(BAD))])
        yield marathon


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, cluster: SimulatedMarathon) -> Iterator[FrontDoor]:
    with front_door(tmp_path_factory.mktemp("door")) as door:
        yield door.up(cluster.url)


def rendered(door: FrontDoor, marathon: SimulatedMarathon) -> str:
    """What a fresh process makes of the same cluster, without asking any HAProxy whether it likes it."""
    certificate = door.folder / "run" / "self-signed.pem"
    command = [sys.executable, "-m", "fastlb", "render", *door.flags(marathon.url), "--ssl-certs", str(certificate)]
    done = subprocess.run(command, env=door.environment(), cwd=door.folder, capture_output=True, timeout=30, check=True)
    return done.stdout.decode()


def test_of_many_apps_exactly_the_bad_ones_are_found_in_a_few_trials(shared):
    tried = shared.journal("tried")[0]
    assert sorted(tried["refused"]) == sorted(f"/{name}" for name in BAD)
    assert tried["trials"] <= MOST_TRIALS
    assert len(shared.routed()) == APPS - len(BAD)


@pytest.mark.parametrize("name", BAD)
def test_each_bad_app_is_named_once_in_haproxys_own_words(shared, name):
    (line,) = shared.lines(f"app /{name}: HAProxy refuses it: ")
    assert SAID[name] in line
    assert "it is left out until it changes" in line


def test_without_the_bad_apps_everybody_elses_text_is_the_same_byte_for_byte(cluster, shared):
    with_bad, start = shared.config(), shared.now()
    for name in BAD:
        cluster.delete_app(f"/{name}")
    cluster.wait_idle()
    until(lambda: any(one["apps"] == APPS - len(BAD) for one in shared.journal("fetched", start)), said=shared.log)
    assert rendered(shared, cluster) == with_bad
    assert (shared.config(), shared.journal("reload", start)) == (with_bad, [])


def test_a_bad_app_is_routed_as_soon_as_it_is_mended(own_cluster, door):
    own_cluster.load([app("web", next(ports)), app("bad", next(ports), labels=BAD["bad-balance"])])
    door.up(own_cluster.url)
    assert (door.status("web.test"), door.status("bad.test")) == (200, 503)
    own_cluster.update_app("/bad", labels("bad"))
    own_cluster.wait_idle()
    door.wait_for_tasks(own_cluster, "bad")
    door.wait_for_line("app /bad: nothing of it is left out any more")
    assert door.journal("released")[-1]["app"] == "/bad"


@pytest.mark.parametrize(
    "wrong", [*BAD.values(), {"HAPROXY_0_BACKEND_WEIGHT": "heavy"}, {"HAPROXY_0_BACKEND_HEAD": "backend {nonsense}"}]
)
def test_an_app_that_becomes_bad_keeps_its_last_good_form_with_its_present_tasks(own_cluster, door, wrong):
    own_cluster.load([app("web", next(ports)), app("other", next(ports))])
    good = door.up(own_cluster.url).config()
    own_cluster.update_app("/web", labels("web", **wrong))
    own_cluster.wait_idle()
    assert "its last good form stays until it changes" in door.wait_for_line("reporter: app /web: ")
    door.wait_for_tasks(own_cluster, "web")
    own_cluster.scale("/web", 4)
    own_cluster.wait_idle()
    door.wait_for_tasks(own_cluster, "web")
    own_cluster.update_app("/other", labels("new"))
    own_cluster.wait_idle()
    door.wait_for_tasks(own_cluster, "other", "new.test")
    assert len(door.lines("reporter: app /web: ")) == 1
    until(lambda: door.config().count("  server ") == good.count("  server ") + 2, said=door.log)
    own_cluster.update_app("/web", labels("web"))
    door.wait_for_line("app /web: nothing of it is left out any more")


def test_a_complaint_that_names_no_line_is_traced_by_the_proxy_it_names(own_cluster, door):
    missing = {"HAPROXY_0_BACKEND_HTTP_OPTIONS": "  http-request auth unless { http_auth(nowhere) }\n"}
    own_cluster.load([app(f"web{number}", next(ports)) for number in range(8)])
    own_cluster.load([app("bad", next(ports), labels=missing)])
    door.up(own_cluster.url)
    (tried,) = door.journal("tried")
    assert (tried["refused"], tried["trials"]) == (["/bad"], 2)
    assert len(door.routed()) == 8


def test_a_certificate_of_a_label_that_is_not_there_costs_its_app_alone(own_cluster, door):
    own_cluster.load([app("web", next(ports))])
    own_cluster.load([app("bad", next(ports), labels={"HAPROXY_0_SSL_CERT": "/nowhere/cert.pem"})])
    door.up(own_cluster.url)
    assert "/nowhere/cert.pem" in door.wait_for_line("app /bad: HAProxy refuses it: ")
    assert (door.status("web.test"), door.status("bad.test")) == (200, 503)


def test_without_the_search_the_whole_document_is_refused_and_kept_for_a_look(own_cluster, door):
    own_cluster.load([app("web", next(ports))])
    config = door.up(own_cluster.url, "--skip-config-cleanup").config()
    own_cluster.create_app(app("bad", next(ports), labels=BAD["bad-balance"]))
    line = door.wait_for_line("HAProxy refuses the configuration")
    assert "stay as they are" in line
    refused = door.config_path.with_name("haproxy_tmp_conf_fail")
    until(refused.exists)
    assert "nonsense" in refused.read_text()
    assert door.config() == config
    own_cluster.update_app("/bad", labels("bad"))
    own_cluster.wait_idle()
    door.wait_for_tasks(own_cluster, "bad")


def test_nothing_is_tried_where_validation_is_off(own_cluster, door):
    own_cluster.load([app("web", next(ports))])
    door.up(own_cluster.url, "--skip-validation")
    assert door.journal("tried")[0]["trials"] == 0
    door.wait_for_tasks(own_cluster, "web")


def test_a_bad_document_that_nobody_validated_leaves_the_old_one_serving_and_on_disk(own_cluster, door):
    own_cluster.load([app("web", next(ports))])
    config = door.up(own_cluster.url, "--skip-validation").config()
    own_cluster.create_app(app("bad", next(ports), labels=BAD["bad-balance"]))
    own_cluster.wait_idle()
    door.wait_for_line("HAProxy could not load the new files")
    until(lambda: door.config() == config, said=door.log)
    door.wait_for_tasks(own_cluster, "web")
