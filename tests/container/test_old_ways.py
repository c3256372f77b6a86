"""What app definitions of marathon-lb bring along, and what becomes of it when it is wrong."""

from __future__ import annotations

import base64
import hashlib
import socket
import ssl

import pytest
import trustme

from fastlb.simulator.server import SimulatedMarathon
from fastlb.simulator.settings import SimulatorSettings
from tests.container.stage import NOBODY, words_of
from tests.fakes.front_door import HTTPS_PORT, STATS_PORT, app, until
from tests.fakes.marathon_http import FakeMarathon, json_answer
from tests.integration.test_admin import ask
from tests.integration.test_old_head import PATHS, old_head

pytestmark = pytest.mark.container

LOW_PORT = 880


def pem(*names):
    """A certificate for these names with its key, as text, and the hash by which a client knows it."""
    issued = trustme.CA().issue_cert(*names)
    certificate = issued.cert_chain_pems[0].bytes().decode()
    known_by = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).hexdigest()
    return issued.private_key_pem.bytes().decode() + certificate, known_by


def served_to(address, name):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((address, HTTPS_PORT), 5) as plain,
        context.wrap_socket(plain, server_hostname=name) as wrapped,
    ):
        return hashlib.sha256(wrapped.getpeercert(binary_form=True)).hexdigest()


def test_certificates_of_the_environment_are_served_by_name_and_a_bad_one_costs_only_itself(container, cluster):
    without_key = "-----BEGIN CERTIFICATE" + pem("bare.test")[0].partition("-----BEGIN CERTIFICATE")[2]
    (main, main_id), (one, one_id), (last, last_id) = pem("main.test"), pem("one.test"), pem("last.test")
    container.start(
        container.words(cluster.url),
        HAPROXY_SSL_CERT=main,
        HAPROXY_SSL_CERT1=one.replace("\n", "\\n"),
        HAPROXY_SSL_CERT7="no certificate",
        HAPROXY_SSL_CERT8=without_key,
        HAPROXY_SSL_CERT100=last,
    ).serving("web.test")
    served = [served_to(container.address, name) for name in ("main.test", "one.test", "last.test", "other.test")]
    assert served == [main_id, one_id, last_id, main_id]
    log = container.log()
    assert "certificate /etc/ssl/cert7.pem cannot be used: there is no PEM certificate in it" in log
    assert "certificate /etc/ssl/cert8.pem cannot be used: its private key is neither" in log
    inside = container.execute("/bin/sh", "-c", "stat -c %a /etc/ssl/cert*.pem")
    assert set(inside.stdout.split()) == {"600"}


def test_an_old_head_with_its_lua_files_works_and_its_paths_answer(container, cluster):
    head = old_head("/marathon-lb", container.address).replace("/marathon-lb/run/socket", "/var/run/haproxy/socket")
    container.start(container.words(cluster.url), HAPROXY_HEAD=head).serving("web.test")
    for path in ["/_haproxy_health_check", *PATHS.values()]:
        assert ask(container.door, path)[0] == 200, container.log()
    assert ask(container.door, "/_haproxy_getappmap")[2] == "/web web_24000\n"


def test_an_old_head_that_logs_to_a_syslogd_is_heard(container, cluster):
    head = old_head("/marathon-lb", container.address).replace("/marathon-lb/run/socket", "/var/run/haproxy/socket")
    head = head.replace("global\n", "global\n  log /dev/log local0\n").replace("defaults\n", "defaults\n  log global\n")
    container.start(container.words(cluster.url), HAPROXY_HEAD=head, HAPROXY_SYSLOGD="yes").serving("web.test")
    container.wait_for("Connect from")


def test_templates_of_the_sandbox_are_used(container, cluster):
    (container.folder / "templates").mkdir()
    (container.folder / "templates" / "HAPROXY_BACKEND_HEAD").write_text(
        "\nbackend {backend}\n  balance {balance}\n  mode {mode}\n  http-response set-header x-sandbox yes\n"
    )
    volume = f"--volume={container.folder}:/mnt/mesos/sandbox:ro"
    container.start(container.words(cluster.url), volume, MESOS_SANDBOX="/mnt/mesos/sandbox").serving("web.test")
    assert "x-sandbox" in ask(container.door, "/_haproxy_getconfig")[2]


def test_a_reload_command_of_ones_own_is_run_at_each_reload(container):
    script = container.folder / "mine.sh"
    script.write_text('#!/bin/sh\necho "$1" >> /tmp/reloads\nexec /marathon-lb/reload_haproxy.sh\n')
    script.chmod(0o755)
    volume = f"--volume={container.folder}:/mnt/mesos/sandbox:ro"
    with SimulatedMarathon() as marathon:
        marathon.load([app("web", 24000)])
        words = [*container.words(marathon.url), "--command", "/mnt/mesos/sandbox/mine.sh done"]
        container.start(words, volume).serving("web.test")
        marathon.create_app(app("late", 24001))
        container.serving("late.test")
        assert container.execute("cat", "/tmp/reloads").stdout == "done\n"
        assert container.execute("/marathon-lb/reload_haproxy.sh").returncode == 0
        until(lambda: container.execute("cat", "/tmp/reloads").stdout == "done\ndone\n", 60, said=container.log)
    assert "this command reloads it" in container.log()


def test_a_reload_command_that_reloads_nothing_is_said(container):
    with SimulatedMarathon() as marathon:
        marathon.load([app("web", 24000)])
        words = [*container.words(marathon.url), "--max-reload-retries", "1", "--reload-interval", "0.5"]
        container.start([*words, "-c", "sv reload haproxy"]).serving("web.test")
        marathon.create_app(app("late", 24001))
        container.wait_for("'sv reload haproxy' did not reload it: it cannot be started: No such file or directory")
        assert container.door.status("web.test") == 200


def test_polling_finds_a_new_app(container):
    with SimulatedMarathon() as marathon:
        marathon.load([app("web", 24000)])
        words = ["poll", *container.words(marathon.url)[1:]]
        container.start(words, POLL_INTERVAL="0.5", MARATHON_USER="me", MARATHON_PASSWORD="hunter2").serving("web.test")
        marathon.load([app("late", 24001)])
        container.serving("late.test")
        assert "hunter2" not in str([words_of(one) for one in container.tree()])


def test_credentials_of_vault_are_used_and_seen_by_nobody(container):
    secret = {"data": {"user": "me", "pass": "hunter2"}}
    basic = "Basic " + base64.b64encode(b"me:hunter2").decode()
    with FakeMarathon() as vault, SimulatedMarathon(SimulatorSettings(authorization=basic)) as marathon:
        vault.answers["/v1/secret/lb"] = json_answer(secret)
        marathon.load([app("web", 24000)])
        names = {"VAULT_TOKEN": "t0ken", "VAULT_HOST": "vault", "VAULT_PORT": "8200", "VAULT_PATH": "secret/lb"}
        url = f"{vault.url}/v1/secret/lb"
        container.start(container.words(marathon.url), VAULT_URL=url, **names).serving("web.test")
    assert "hunter2" not in str([words_of(one) for one in container.tree()]) + container.log()


def test_as_a_mesos_task_it_binds_and_shows_what_libprocess_says(container, cluster):
    other = container.address.removesuffix(".1") + ".2"
    container.start(
        container.words(cluster.url),
        LIBPROCESS_IP=other,
        LIBPROCESS_PORT="0",
        LIBPROCESS_ADVERTISE_IP="lb.example",
        LIBPROCESS_ADVERTISE_PORT="80",
        LIBPROCESS_NUM_WORKER_THREADS="2",
    ).serving("web.test")
    assert ask(container.door, "/_haproxy_health_check")[0] == 0
    container.door.address = other
    assert ask(container.door, "/_haproxy_health_check")[0] == 200
    assert "http://lb.example:80/_fastlb/" in container.log()
    assert "nbthread 2\n" in ask(container.door, "/_haproxy_getconfig")[2]


@pytest.mark.parametrize(
    ("words", "environ", "code", "said"),
    [
        (["sse"], {"PORTS": ""}, 1, "PORTS=9090"),
        (["tail"], {}, 1, "has to be a mode, sse or poll, and it is 'tail'"),
        ([], {"HAPROXY_SYSCTL_PARAMS": "net.core.nothing=1"}, 1, "HAPROXY_SYSCTL_NONSTRICT"),
        ([], {"HAPROXY_BACKEND_HEAD": "backend {nothing}"}, 2, "nothing"),
        ([], {"LIBPROCESS_NUM_WORKER_THREADS": "0x2"}, 2, "LIBPROCESS_NUM_WORKER_THREADS"),
        (["sse", "--group"], {}, 2, "--group"),
    ],
)
def test_a_mistake_ends_it_with_what_to_do_about_it(container, words, environ, code, said):
    container.start(words, **environ)
    until(lambda: container.state("Running") == "false", 60, said=container.log)
    assert (int(container.state("ExitCode")), said in container.log()) == (code, True), container.log()
    assert "Traceback" not in container.log()


def test_a_broken_template_of_the_sandbox_is_named(container, cluster):
    (container.folder / "templates").mkdir()
    (container.folder / "templates" / "HAPROXY_BACKEND_HEAD").write_text("backend {nowhere}\n")
    volume = f"--volume={container.folder}:/mnt/mesos/sandbox:ro"
    container.start(container.words(cluster.url), volume, MESOS_SANDBOX="/mnt/mesos/sandbox")
    until(lambda: container.state("Running") == "false", 60, said=container.log)
    assert "/mnt/mesos/sandbox/templates/HAPROXY_BACKEND_HEAD" in container.log()
    assert "nowhere" in container.log()


def test_a_port_that_is_taken_is_named_and_served_when_it_is_free(container, cluster):
    with socket.create_server((container.address, STATS_PORT)):
        container.start(container.words(cluster.url))
        container.wait_for(f"{container.address}:{STATS_PORT} cannot be listened on")
    container.serving("web.test")


def test_without_the_capability_the_port_is_named(container, cluster):
    container.start(container.words(cluster.url, http_port=LOW_PORT), *NOBODY)
    log = container.wait_for(f"{container.address}:{LOW_PORT}")
    assert "ermission denied" in log


def test_few_descriptors_are_made_do_with(container, cluster):
    container.start(container.words(cluster.url), "--ulimit", "nofile=400:400").serving("web.test")
    container.wait_for("does not fit the limit of 400 open files")


def test_a_root_file_system_without_a_place_to_write_is_said(container, cluster):
    container.start(container.words(cluster.url), "--read-only")
    until(lambda: container.state("Running") == "false", 60, said=container.log)
    assert "--tmpfs /run/haproxy:mode=1777" in container.log()
