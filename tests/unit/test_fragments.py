"""One service to its text: the parts of frontend and backend, and the health checks of its servers."""

from __future__ import annotations

import pytest

from fastlb.errors import ServiceError, TemplateError
from fastlb.fragments import FragmentWriter
from fastlb.vhosts import FirstUse
from tests.fakes.apps import CHECK, app, catalogue_of, desired, rules_of, task

FIRST = FirstUse(http_map=True, https_map=True, appid_map=True, of_app=True)


def fragment(labels=None, *argv, first_use=FIRST, **members):
    texts = {f"HAPROXY_0_{name}": text for name, text in (labels or {}).items()}
    services = desired([app(labels=texts, **members)], *argv).services
    return FragmentWriter(catalogue_of(*argv), rules_of(*argv)).write(services[0], first_use)


def backend(labels=None, **members):
    """Return the lines of the backend without name, balance and servers."""
    return [line.strip() for line in fragment(labels, **members).backend.splitlines()[3:]]


def server(labels=None, **members):
    """Return what stands behind the id in each server line."""
    lines = fragment(labels, **members).servers.splitlines()
    return [line.partition(" id ")[2].partition(" ")[2] for line in lines]


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ({}, "bind *:10000"),
        ({"BIND_ADDR": "127.0.0.1"}, "bind 127.0.0.1:10000"),
        ({"SSL_CERT": "/c.pem"}, "bind *:10000 ssl crt /c.pem"),
        ({"BIND_OPTIONS": "accept-proxy"}, "bind *:10000 accept-proxy"),
        ({"SSL_CERT": "", "BIND_OPTIONS": ""}, "bind *:10000"),
        ({"PORT": "8080"}, "bind *:8080"),
    ],
)
def test_labels_shape_the_bind_line(labels, line):
    assert fragment(labels).frontend.splitlines()[2] == f"  {line}"


@pytest.mark.parametrize(
    ("auth", "written"), [("realm:user:hash", True), (":user:hash", True), ("realm::hash", False), (None, False)]
)
def test_a_user_writes_a_userlist(auth, written):
    labels = {} if auth is None else {"AUTH": auth}
    expected = "\nuserlist user_app_10000\n  user user password hash\n" if written else ""
    assert fragment(labels).userlist == expected


HTTP = ["mode http", "option forwardfor", "http-request set-header X-Forwarded-Port %[dst_port]"]
HTTP.append("http-request add-header X-Forwarded-Proto https if { ssl_fc }")
HSTS = "http-response add-header Strict-Transport-Security max-age=15768000"


@pytest.mark.parametrize(
    ("labels", "lines"),
    [
        ({}, ["mode tcp"]),
        ({"MODE": "http"}, HTTP),
        ({"MODE": "health"}, ["mode health"]),
        ({"MODE": "http", "USE_HSTS": "true"}, [HTTP[0], HSTS, *HTTP[1:]]),
        ({"USE_HSTS": "true", "HTTP_BACKEND_REDIR": "/x", "HTTP_BACKEND_PROXYPASS_PATH": "/y"}, ["mode tcp"]),
        (
            {"MODE": "http", "HTTP_BACKEND_REDIR": "/x", "VHOST": "A,b"},
            [
                *HTTP,
                "acl is_root path -i /",
                "acl is_domain hdr(host) -i a,b",
                "redirect code 301 location /x if is_domain is_root",
            ],
        ),
        (
            {"MODE": "http", "BACKEND_NETWORK_ALLOWED_ACL": " 10.0.0.0/8  127.0.0.1"},
            [
                *HTTP,
                "acl network_allowed src 10.0.0.0/8",
                "acl network_allowed src 127.0.0.1",
                "http-request allow if network_allowed",
                "http-request deny",
            ],
        ),
        (
            {"BACKEND_NETWORK_ALLOWED_ACL": "127.0.0.1"},
            [
                "mode tcp",
                "acl network_allowed src 127.0.0.1",
                "tcp-request content accept if network_allowed",
                "tcp-request content reject",
            ],
        ),
        ({"MODE": "health", "BACKEND_NETWORK_ALLOWED_ACL": "127.0.0.1"}, ["mode health"]),
        ({"STICKY": "true"}, ["mode tcp", "cookie mesosphere_server_id insert indirect nocache"]),
    ],
)
def test_the_mode_and_the_labels_decide_the_parts_of_a_backend(labels, lines):
    assert backend(labels) == lines


def test_without_a_vhost_the_host_name_is_none():
    assert "http-request set-header Host None" in backend({"MODE": "http", "HTTP_BACKEND_PROXYPASS_PATH": "/p"})


def test_sticky_servers_are_checked_and_have_a_cookie():
    assert server({"STICKY": "true"}) == ["check cookie 21e8bb6fab"]


def test_a_draining_server_is_disabled():
    assert server(tasks=[task(draining=True)]) == ["disabled"]


@pytest.mark.parametrize(
    ("mode", "protocol", "in_backend", "on_server"),
    [
        ("tcp", "HTTP", [], True),
        ("tcp", "COMMAND", [], True),
        ("http", "TCP", [], True),
        ("http", "MESOS_TCP", [], True),
        ("http", "COMMAND", ["option  httpchk GET /health", "timeout check 20s"], True),
        ("http", "MESOS_HTTPS", ["option  httpchk GET /health", "timeout check 20s"], True),
        ("other", "TCP", [], True),
        ("other", "HTTP", [], False),
    ],
)
def test_mode_and_protocol_choose_the_health_check_templates(mode, protocol, in_backend, on_server):
    checks = [{**CHECK, "protocol": protocol}]
    assert backend({"MODE": mode}, healthChecks=checks)[len(HTTP) if mode == "http" else 1 :] == in_backend
    assert server({"MODE": mode}, healthChecks=checks) == (["check inter 10s fall 4"] if on_server else [""])


@pytest.mark.parametrize(
    ("members", "labels", "on_server"),
    [
        ({"port": 8080}, {}, "check inter 10s fall 4 port 8080"),
        ({"port": 0}, {}, "check inter 10s fall 4"),
        ({}, {"BACKEND_HEALTHCHECK_PORT_INDEX": "0"}, "check inter 10s fall 4 port 31000"),
        ({}, {"BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS": " "}, ""),
        ({}, {"BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS": "x {healthCheckPort}\n"}, "x None"),
        ({}, {"BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS": "{healthCheck[path]}"}, "/health"),
    ],
)
def test_the_port_of_a_check_on_the_server_line(members, labels, on_server):
    assert server(labels, healthChecks=[{**CHECK, **members}]) == [on_server]


def test_the_backend_template_gets_the_servers_port_where_the_server_line_gets_the_checks():
    labels = {"BACKEND_HTTP_HEALTHCHECK_OPTIONS": "  # {healthCheckPort}\n"}
    assert backend(labels, healthChecks=[{**CHECK, "port": 8080}])[-1] == "# 31000"


def test_a_check_without_path_asks_for_the_root():
    checks = [{name: value for name, value in CHECK.items() if name != "path"}]
    assert "option  httpchk GET /" in backend(healthChecks=checks)


@pytest.mark.parametrize(
    "member", ["timeoutSeconds", "intervalSeconds", "gracePeriodSeconds", "maxConsecutiveFailures"]
)
def test_a_check_without_one_of_its_numbers_cannot_be_written(member):
    with pytest.raises(ServiceError, match=f"its health check has no {member}"):
        fragment(healthChecks=[{**CHECK, member: None}])
    with pytest.raises(ServiceError, match=f"{member} of its health check is 'x', an integer is needed"):
        fragment(healthChecks=[{**CHECK, member: "x"}])


@pytest.mark.parametrize("path", ["/a\nevil", "/a\x00", 5])
def test_a_check_path_that_would_leave_its_line_cannot_be_written(path):
    with pytest.raises(ServiceError, match="its health check path is"):
        fragment(healthChecks=[{**CHECK, "path": path}])


def test_numbers_of_a_check_are_not_needed_where_no_template_asks_for_them():
    assert server({"MODE": "other"}, healthChecks=[{**CHECK, "timeoutSeconds": None}]) == [""]


@pytest.mark.parametrize(
    ("labels", "argv", "first_use", "rule", "entry"),
    [
        ({"MODE": "http"}, (), FIRST, "app__app", None),
        ({"MODE": "tcp"}, (), FIRST, "", None),
        ({"MODE": "http"}, (), FIRST._replace(of_app=False), "", None),
        ({"MODE": "http"}, ("--haproxy-map",), FIRST, "app2backend.map", ("/app", "app_10000")),
        ({"MODE": "http"}, ("--haproxy-map",), FIRST._replace(appid_map=False), "", ("/app", "app_10000")),
        ({"MODE": "http"}, ("--dont-bind-http-https",), FIRST, "app__app", None),
    ],
)
def test_the_first_http_service_of_an_app_can_be_reached_by_the_apps_id(labels, argv, first_use, rule, entry):
    found = fragment(labels, *argv, first_use=first_use)
    assert (rule in found.appid, bool(found.appid), found.app_entry) == (True, bool(rule), entry)


@pytest.mark.parametrize(
    ("labels", "members", "checked"),
    [({}, {}, 0), ({"STICKY": "true"}, {}, 1), ({}, {"healthChecks": [CHECK]}, 1)],
)
def test_checked_servers_are_counted(labels, members, checked):
    assert fragment(labels, **members).checked == checked


@pytest.mark.parametrize("text", ["{nope}", "{port[0]}", "{host:d}"])
def test_a_server_template_that_cannot_be_filled_in_is_named(text, kernel_twin):
    with pytest.raises((ServiceError, TemplateError), match="template BACKEND_SERVER_OPTIONS"):
        fragment({"BACKEND_SERVER_OPTIONS": text})
