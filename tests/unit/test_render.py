"""All services to one document: the order of its parts, ranks, grouped hosts, maps, and whose line is whose."""

from __future__ import annotations

import pytest

from tests.fakes.apps import CHECK, app, body_of, desired, rendered, renderer_of, task


def vhost(app_id, port, host, **labels):
    return app(
        app_id, [port], {"HAPROXY_0_VHOST": host, **{f"HAPROXY_0_{name}": text for name, text in labels.items()}}
    )


def sections(rendering):
    return [line for line in body_of(rendering).splitlines() if line and not line.startswith(" ")]


def lines(rendering, *words):
    return [line.strip() for line in body_of(rendering).splitlines() if all(word in line for word in words)]


SHARED = ["frontend marathon_http_in", "frontend marathon_http_appid_in", "frontend marathon_https_in"]


def test_without_services_the_shared_frontends_are_there():
    assert sections(rendered([])) == SHARED


def test_userlists_shared_frontends_frontends_and_backends_follow_each_other():
    documents = [vhost("/b", 10001, "b", AUTH="r:u:p"), vhost("/a", 10000, "a")]
    assert sections(rendered(documents)) == [
        "userlist user_b_10001",
        *SHARED,
        "frontend a_10000",
        "frontend b_10001",
        "backend a_10000",
        "backend b_10001",
    ]


def test_without_http_and_https_the_app_ids_stay():
    found = rendered([vhost("/a", 10000, "a")], "--dont-bind-http-https")
    assert sections(found) == [SHARED[1], "frontend a_10000", "backend a_10000"]


def test_rules_are_ordered_by_rank_and_then_as_services_are():
    documents = [
        vhost("/a", 10000, "a"),
        vhost("/b", 10001, "b", BACKEND_WEIGHT="-1"),
        vhost("/c", 10002, "c", BACKEND_WEIGHT="5"),
        vhost("/d", 10003, "d", PATH="/p"),
        vhost("/e", 10004, "e"),
    ]
    for shared in ("if host_", "ssl_fc_sni"):
        rules = lines(rendered(documents), "use_backend", shared)
        assert [rule.split()[1][0] for rule in rules] == ["c", "d", "a", "e", "b"]


def test_one_map_rule_serves_all_hosts_and_comes_last():
    documents = [
        vhost("/a", 10000, "a.example"),
        vhost("/b", 10001, "b.example,a.example"),
        vhost("/c", 1, "c", PATH="/"),
    ]
    found = rendered(documents, "--haproxy-map")
    assert found.domain_map == "a.example a_10000\nb.example b_10001\na.example b_10001\n"
    assert found.app_map == "/a a_10000\n/b b_10001\n/c c_1\n"
    assert (
        len(lines(found, "req.hdr(host)")) == len(lines(found, "%[ssl_fc_sni")) == len(lines(found, "app2backend")) == 1
    )
    http = body_of(found).partition(SHARED[1])[0].rstrip().splitlines()
    assert "domain2backend.map" in http[-1]


def test_without_the_flag_the_maps_are_empty():
    found = rendered([vhost("/a", 10000, "a")])
    assert (found.domain_map, found.app_map) == ("", "")


@pytest.mark.parametrize(
    ("config", "folder"),
    [("/etc/haproxy/haproxy.cfg", "/etc/haproxy"), ("/x//haproxy.cfg", "/x"), ("haproxy.cfg", "."), ("a/b.cfg", "a")],
)
def test_maps_are_named_in_the_folder_of_the_configuration(config, folder):
    found = rendered([vhost("/a", 10000, "a")], "--haproxy-map", "--haproxy-config", config)
    assert lines(found, f"map({folder}/domain2backend.map)")


def test_only_the_first_http_service_of_an_app_has_an_app_id_rule():
    document = app(ports=[10000, 10001, 10002], labels={"HAPROXY_1_MODE": "http", "HAPROXY_2_MODE": "http"})
    assert lines(rendered([document]), "x-marathon-app-id") == ["acl app__app hdr(x-marathon-app-id) -i /app"]
    assert lines(rendered([document]), "if app__app") == ["use_backend app_10001 if app__app"]


def test_several_certificates_are_named_in_the_order_given():
    assert lines(rendered([], "--ssl-certs", "/b.pem,/a.pem"), ":443") == ["bind *:443 ssl crt /b.pem crt /a.pem"]


def test_each_grouped_host_has_a_frontend_with_all_that_services_say_about_it():
    documents = [
        vhost("/a", 10000, "x.example,y.example", SSL_CERT="/2.pem", BIND_OPTIONS="alpn h2"),
        vhost("/b", 10001, "y.example", SSL_CERT="/1.pem", BIND_OPTIONS="a", BACKEND_WEIGHT="9"),
        vhost("/c", 10002, "A.example"),
    ]
    found = rendered(documents, "--group-https-by-vhost", "--ssl-certs", "/z.pem,/y.pem")
    assert lines(found, "req_ssl_sni") == [
        f"use_backend {host.replace('.', '_')} if {{ req_ssl_sni -i {host} }}"
        for host in ("a.example", "x.example", "y.example")
    ]
    assert lines(found, "accept-proxy ssl") == [
        "bind abns@a_example accept-proxy ssl crt /y.pem crt /z.pem",
        "bind abns@x_example accept-proxy ssl crt /2.pem alpn h2",
        "bind abns@y_example accept-proxy ssl crt /1.pem crt /2.pem a  alpn h2",
    ]
    assert [rule.split()[1] for rule in lines(found, "ssl_fc_sni y.example")] == ["b_10001", "a_10000"]


def test_every_line_belongs_to_the_app_that_wrote_it():
    documents = [vhost("/a", 10000, "a", AUTH="r:u:p"), app("/b", [10001])]
    found = rendered(documents)
    for number, line in enumerate(found.config.splitlines(), 1):
        owner = {"/a"} if "a_1000" in line else {"/b"} if "b_1000" in line else None
        assert owner is None or found.apps_of_lines([number]) == owner
    first = found.config.splitlines().index("frontend marathon_http_in") + 1
    assert found.apps_of_lines([first]) == set()
    assert found.apps_of_lines([0, 10**6]) == set()


@pytest.mark.parametrize(
    ("label", "text", "words"),
    [
        ("FRONTEND_HEAD", "{nope}", "template FRONTEND_HEAD: placeholder {nope} is not offered there"),
        ("BACKEND_HEAD", "{}", "template BACKEND_HEAD: a placeholder without a name"),
        ("BACKEND_SERVER_OPTIONS", "{", "template BACKEND_SERVER_OPTIONS: Single '{'"),
        ("HTTP_FRONTEND_ACL", "{realm}", "template HTTP_FRONTEND_ACL: placeholder {realm} is not offered there"),
        ("BACKEND_HTTP_HEALTHCHECK_OPTIONS", "}", "template BACKEND_HTTP_HEALTHCHECK_OPTIONS: Single '}'"),
    ],
)
def test_a_template_that_cannot_be_filled_in_leaves_out_its_service_alone(label, text, words):
    good = [vhost("/a", 10000, "a"), vhost("/z", 10002, "z")]
    bad = vhost("/bad", 10001, "bad", **{label: text}) | {"healthChecks": [CHECK]}
    found = rendered([good[0], bad, good[1]])
    assert found.config == rendered(good).config
    assert [service.app_id for service in found.services] == ["/a", "/z"]
    (note,) = found.notes
    assert str(note).startswith(f"app /bad (service port 10001): {words}")
    assert str(note).endswith("; this service is left out")


def test_a_check_without_its_numbers_leaves_out_its_service_alone():
    found = rendered([app("/a"), app("/bad", [10001], healthChecks=[{**CHECK, "intervalSeconds": None}])])
    assert [service.app_id for service in found.services] == ["/a"]
    assert "app /bad (service port 10001): its health check has no intervalSeconds" in str(found.notes[0])


@pytest.mark.parametrize("flag", ["--haproxy-map", "--group-https-by-vhost"])
def test_the_one_map_rule_is_written_by_the_next_service_if_the_first_cannot_be(flag):
    documents = [vhost("/bad", 10001, "bad", FRONTEND_HEAD="{nope}"), vhost("/c", 10002, "c")]
    assert body_of(rendered(documents, flag)) == body_of(rendered(documents[1:], flag))


def test_servers_that_come_and_go_are_all_that_changes():
    renderer = renderer_of()
    one = renderer.render(desired([app(), app("/b", [10001])]))
    two = renderer.render(desired([app(tasks=[task(1), task(2, "127.0.0.3")]), app("/b", [10001])]))
    new = set(two.config.splitlines()) - set(one.config.splitlines())
    assert [line.split()[:3] for line in new] == [["server", "127_0_0_3_31000", "127.0.0.3:31000"]]
