"""The text of a backend to values, or to the reason why it cannot be changed live."""

from __future__ import annotations

import pytest

from fastlb.capabilities import OPTIONS, Capabilities
from fastlb.fragments import FragmentWriter
from fastlb.servers import Defaults, ServerLine, read_backend, read_defaults, why_not_added
from fastlb.vhosts import FirstUse
from tests.fakes.apps import CHECK, app, catalogue_of, desired, rendered, rules_of, task

FIRST = FirstUse(http_map=True, https_map=True, appid_map=True, of_app=True)
HEAD = "\nbackend b\n  balance roundrobin\n  mode http\n"
LINE = "  server s 10.0.0.1:80"


def read(options: str = "", where: str = "10.0.0.1:80"):
    backend = read_backend("b", HEAD, f"  server s {where} {options}\n")
    assert backend.unfit is None
    return backend.servers["s"]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("", {}),
        ("id 31989", {"id": 31989}),
        ("id 7 disabled", {"id": 7, "disabled": True}),
        ("disabled enabled", {}),
        ("weight 10 weight 20", {"weight": 20}),
        (
            "check inter 10s fall 4 port 99",
            {"check_port": 99, "options": (("check",), ("inter", "10s"), ("fall", "4"))},
        ),
        ("check cookie 21e8bb6fab check", {"options": (("check",), ("cookie", "21e8bb6fab"), ("check",))}),
        ("ssl verify none sni req.hdr(host)", {"options": (("ssl",), ("verify", "none"), ("sni", "req.hdr(host)"))}),
    ],
)
def test_a_server_line_is_read_option_by_option(options, line):
    assert read(options) == ServerLine("s", "10.0.0.1", 80)._replace(**line)


@pytest.mark.parametrize(
    ("where", "address", "port", "written"),
    [
        ("10.0.0.1:80", "10.0.0.1", 80, "10.0.0.1:80"),
        ("[2001:DB8::0:1]:80", "2001:db8::1", 80, "[2001:db8::1]:80"),
        ("2001:db8::1:80", "2001:db8::1", 80, "[2001:db8::1]:80"),
        ("agent-1.test:80", "agent-1.test", 80, "agent-1.test:80"),
    ],
)
def test_an_address_is_read_in_any_form_and_written_in_one(where, address, port, written):
    server = read("id 5 weight 3 backup port 9", where)
    assert (server.address, server.port, server.where) == (address, port, written)
    assert server.words == f"{written} id 5 weight 3 backup port 9"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (f"{LINE} frobnicate\n", "option 'frobnicate' of a server is not known"),
        (f"{LINE} weight\n", "option 'weight' of a server lacks its value"),
        (f"{LINE} weight x\n", "has the weight 'x'"),
        (f"{LINE} id -1\n", "has the id '-1'"),
        (f"{LINE} port 70000\n", "has the port '70000'"),
        (f'{LINE} sni str("a b")\n', "no command can have"),
        (f"{LINE} cookie a\\ b\n", "no command can have"),
        (f"{LINE} cookie $x\n", "no command can have"),
        (f"{LINE} # why\n", "no command can have"),
        (f"{LINE} cookie a;b\n", "no command can have"),
        (f"{LINE} cookie <<\n", "no command can have"),
        (f"{LINE} cookie ä\n", "no command can have"),
        (LINE + " backup" * 60, "no command can have"),
        (f"{LINE} cookie {'x' * 2000}", "no command can have"),
        (f"{LINE} backup\v  server t 10.0.0.2:80\n", "no command can have"),
        (f"{LINE}\n{LINE} backup\n", "two servers have the name s"),
        (f"{LINE} id 5\n  server t 10.0.0.2:80 id 5\n", "or its id 5"),
        ("  server s\n", "no server with a plain name"),
        ("  server s 10.0.0.1\n", "no server with a plain name"),
        ("  server s 10.0.0.1:+1\n", "no server with a plain name"),
        ("  server s 10.0.0.1:0\n", "no server with a plain name"),
        ("  server s unix@/run/x:80\n", "no server with a plain name"),
        ("  server s/t 10.0.0.1:80\n", "no server with a plain name"),
        ("  server-template s 3 10.0.0.1:80\n", "no server with a plain name"),
        ("  option redispatch\n", "no server with a plain name"),
        ("\nbackend other\n", "no server with a plain name"),
        ("server", "no server with a plain name"),
    ],
)
def test_a_line_of_another_form_makes_the_backend_unfit(lines, reason):
    backend = read_backend("b", HEAD, lines)
    assert reason in (backend.unfit or "")
    assert backend.servers == {}


def test_blank_lines_and_comments_are_no_servers():
    assert read_backend("b", HEAD, f"\n  # {LINE}\n{LINE}\n\n").servers.keys() == {"s"}


@pytest.mark.parametrize(
    ("name", "head", "reason"),
    [
        ("b", "", "does not open one section, `backend b`"),
        ("b", "backend c\n", "does not open one section, `backend b`"),
        ("b", f"{HEAD}\nlisten x\n  bind :1\n", "does not open one section"),
        ("b", "backend b from base\n", "does not open one section"),
        ("b", "listen b\n", "does not open one section"),
        ("ä", "backend ä\n", "cannot be written in a command"),
        ("b", f"{HEAD}  server own 10.0.0.9:1\n", "a line 'server'"),
        ("b", f"{HEAD}  server-template own 2 x:1\n", "a line 'server-template'"),
        ("b", f"{HEAD}  dynamic-cookie-key k\n", "a line 'dynamic-cookie-key'"),
        ("b", f"{HEAD}.if defined(X)\n", "a line '.if'"),
    ],
)
def test_a_head_of_another_form_makes_the_backend_unfit(name, head, reason):
    assert reason in (read_backend(name, head, LINE).unfit or "")


@pytest.mark.parametrize(
    ("head", "defaults", "reason"),
    [
        ("  balance static-rr", Defaults(), "`balance static-rr`"),
        ("  balance source", Defaults(), "`balance source`"),
        ("  balance uri\n  hash-type consistent", Defaults(), "`balance uri`"),
        ("  balance random(0x)", Defaults(), "`balance random(0x)`"),
        ("  balance roundrobin\n  balance source", Defaults(), "`balance source`"),
        ("", Defaults(balance="source"), "`balance source`"),
        ("", Defaults(default_server=True), "default-server"),
        ("  default-server inter 1s", Defaults(), "default-server"),
        ("  cookie c insert dynamic", Defaults(), "cookies"),
    ],
)
def test_a_backend_that_takes_no_servers_at_run_time_says_why(head, defaults, reason):
    backend = read_backend("b", f"backend b\n{head}\n", LINE, defaults)
    assert backend.unfit is None
    assert reason in (backend.fixed or "")


@pytest.mark.parametrize("balance", ["", "roundrobin", "leastconn", "first", "random", "random(2)"])
def test_a_backend_that_takes_servers_at_run_time_is_not_fixed(balance):
    more = "  cookie c insert indirect nocache\n  option httpchk GET /server\n  server-state-file-name x\n"
    head = f"backend b\n  balance {balance}\n{more}"
    assert read_backend("b", head, LINE, Defaults(balance="roundrobin")).fixed is None


def test_the_defaults_of_the_shared_sections_are_read_and_nothing_else_of_them():
    shared = "global\n  x\ndefaults\n  balance leastconn\nlisten stats\n  balance source\n  default-server check\n"
    assert read_defaults(shared) == Defaults("leastconn")
    assert read_defaults("defaults\n  default-server check\nfrontend f\n") == Defaults(default_server=True)
    assert read_defaults("") == Defaults()


@pytest.mark.parametrize(
    ("options", "refused_by"),
    [
        ("check inter 5s weight 3 backup", []),
        ("check cookie c", [(2, 6), (2, 8, 7)]),
        ("init-state down", [(2, 6), (2, 8, 7), (2, 8, 8), (3, 0, 11)]),
        ("init-addr none", [(2, 6), (2, 8, 7), (2, 8, 8), (3, 0, 11), (3, 4)]),
        ("resolvers dns", [(2, 6), (2, 8, 7), (2, 8, 8), (3, 0, 11), (3, 4)]),
        ("track b/other", [(2, 6), (2, 8, 7), (2, 8, 8), (3, 0, 11), (3, 4)]),
    ],
)
def test_which_options_a_new_server_may_have_depends_on_the_version(options, refused_by):
    versions = [(2, 6), (2, 8, 7), (2, 8, 8), (3, 0, 11), (3, 4)]
    assert [one for one in versions if why_not_added(read(options), Capabilities(one))] == refused_by


def test_a_name_is_resolved_at_a_start_only():
    assert "only a start resolves" in (why_not_added(read(where="agent.test:80"), Capabilities((3, 4))) or "")


def test_nothing_is_taken_by_a_version_older_than_the_first_that_can():
    assert not any(Capabilities((2, 5)).takes(option) for option in OPTIONS)


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"MODE": "http", "USE_HSTS": "true", "VHOST": "a.test", "HTTP_BACKEND_REDIR": "/x"},
        {"MODE": "http", "VHOST": "a.test", "HTTP_BACKEND_PROXYPASS_PATH": "/y", "HTTP_BACKEND_REVPROXY_PATH": "/z"},
        {"STICKY": "true", "BACKEND_NETWORK_ALLOWED_ACL": "10.0.0.0/8", "BACKEND_HEALTHCHECK_PORT_INDEX": "0"},
        {"AUTH": "realm:user:hash", "BALANCE": "leastconn"},
    ],
)
def test_the_default_templates_write_backends_that_are_changed_live(labels):
    names = {f"HAPROXY_0_{name}": value for name, value in labels.items()}
    tasks = [task(1), task(2, "127.0.0.3")]
    (service,) = desired([app(labels=names, healthChecks=[CHECK], tasks=tasks)]).services
    fragment = FragmentWriter(catalogue_of(), rules_of()).write(service, FIRST)
    backend = read_backend(service.backend, fragment.backend, fragment.servers, read_defaults(rendered([]).config))
    assert (backend.unfit, backend.fixed) == (None, None)
    assert [(each.address, each.port) for each in backend.servers.values()] == [
        (each.address, each.port) for each in service.servers
    ]
