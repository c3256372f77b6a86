"""The tables of vhost rules: which templates are written for which service, with what they are offered."""

from __future__ import annotations

import pytest

from fastlb.dialect import Dialect
from fastlb.errors import TemplateError
from fastlb.fragments import FragmentWriter
from fastlb.templates import NAMES, Catalogue, Source
from fastlb.vhosts import FirstUse, HostEntry
from tests.fakes.apps import app, catalogue_of, desired, rendered, rules_of

FIRST = FirstUse(http_map=True, https_map=True, appid_map=True, of_app=True)
LATER = FirstUse(http_map=False, https_map=False, appid_map=False, of_app=False)

# Each template writes its own name, so that a text tells which templates made it.
NAMING = Catalogue({name: Source(f"{name} ", False, "test") for name in NAMES}, Dialect((2, 6)), {})


def rules(labels, *argv, first_use=FIRST, catalogue=NAMING):
    texts = {f"HAPROXY_0_{name}": text for name, text in labels.items()}
    (service,) = desired([app("/dir/app", labels=texts)], *argv).services
    return FragmentWriter(catalogue, rules_of(*argv)).write(service, first_use).vhost


GROUPED = "--group-https-by-vhost"


def conditions(word):
    """Labels for a word like ``path auth redirect`` and flags for ``map``."""
    choice = {"path": ("PATH", "/p"), "auth": ("AUTH", "realm:user:x"), "redirect": ("REDIRECT_TO_HTTPS", "true")}
    labels = dict(choice[name] for name in word.split() if name in choice)
    return labels, ["--haproxy-map"] if "map" in word.split() else []


@pytest.mark.parametrize(
    ("word", "http", "https"),
    [
        ("", "HTTP_FRONTEND_ACL", "HTTPS_FRONTEND_ACL"),
        ("map", "MAP_HTTP_FRONTEND_ACL", "MAP_HTTPS_FRONTEND_ACL"),
        ("auth", "HTTP_FRONTEND_ACL_WITH_AUTH", "HTTPS_FRONTEND_ACL_WITH_AUTH"),
        ("auth map", "HTTP_FRONTEND_ACL_WITH_AUTH", "HTTPS_FRONTEND_ACL_WITH_AUTH"),
        ("redirect", "HTTP_FRONTEND_ACL BACKEND_REDIRECT_HTTP_TO_HTTPS", "HTTPS_FRONTEND_ACL"),
        ("redirect map", "HTTP_FRONTEND_ACL BACKEND_REDIRECT_HTTP_TO_HTTPS", "MAP_HTTPS_FRONTEND_ACL"),
        ("redirect auth", "HTTP_FRONTEND_ACL BACKEND_REDIRECT_HTTP_TO_HTTPS", "HTTPS_FRONTEND_ACL_WITH_AUTH"),
        ("path", "HTTP_FRONTEND_ACL_WITH_PATH", "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH HTTPS_FRONTEND_ACL_WITH_PATH"),
        (
            "path auth map",
            "HTTP_FRONTEND_ACL_WITH_AUTH_AND_PATH",
            "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH",
        ),
        (
            "path redirect",
            "HTTP_FRONTEND_ACL_ONLY HTTP_FRONTEND_ACL_ONLY_WITH_PATH BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH",
            "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH HTTPS_FRONTEND_ACL_WITH_PATH",
        ),
    ],
)
def test_templates_for_one_host(word, http, https):
    labels, argv = conditions(word)
    found = rules({"VHOST": "a.example", **labels}, *argv)
    assert (found.http.split(), found.https.split()) == (http.split(), https.split())


@pytest.mark.parametrize(
    ("word", "http", "https"),
    [
        ("", "ONLY ONLY HTTP_FRONTEND_ROUTING_ONLY", "HTTPS_FRONTEND_ACL HTTPS_FRONTEND_ACL"),
        ("map", "MAP_HTTP_FRONTEND_ACL_ONLY", "MAP_HTTPS_FRONTEND_ACL"),
        ("auth", "ONLY ONLY HTTP_FRONTEND_ROUTING_ONLY_WITH_AUTH", "HTTPS_FRONTEND_ACL_WITH_AUTH " * 2),
        ("redirect", "ONLY ONLY BACKEND_REDIRECT_HTTP_TO_HTTPS", "HTTPS_FRONTEND_ACL HTTPS_FRONTEND_ACL"),
        ("redirect map", "ONLY ONLY BACKEND_REDIRECT_HTTP_TO_HTTPS", "MAP_HTTPS_FRONTEND_ACL"),
        (
            "path",
            "HTTP_FRONTEND_ACL_ONLY_WITH_PATH ONLY ONLY HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH",
            "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH HTTPS_FRONTEND_ACL_WITH_PATH HTTPS_FRONTEND_ACL_WITH_PATH",
        ),
        (
            "path auth map",
            "HTTP_FRONTEND_ACL_ONLY_WITH_PATH_AND_AUTH ONLY ONLY HTTP_FRONTEND_ROUTING_ONLY_WITH_PATH_AND_AUTH",
            "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH " + "HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH " * 2,
        ),
        (
            "path redirect",
            "HTTP_FRONTEND_ACL_ONLY_WITH_PATH ONLY ONLY BACKEND_REDIRECT_HTTP_TO_HTTPS_WITH_PATH",
            "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH HTTPS_FRONTEND_ACL_WITH_PATH HTTPS_FRONTEND_ACL_WITH_PATH",
        ),
    ],
)
def test_templates_for_several_hosts(word, http, https):
    labels, argv = conditions(word)
    found = rules({"VHOST": "a.example,b.example", **labels}, *argv)
    expected = ["HTTP_FRONTEND_ACL_ONLY" if name == "ONLY" else name for name in http.split()]
    assert (found.http.split(), found.https.split()) == (expected, https.split())


@pytest.mark.parametrize("word", ["", "path", "auth", "redirect", "path auth", "path redirect"])
@pytest.mark.parametrize("vhost", ["a.example", "a.example,b.example"])
def test_the_default_templates_find_all_they_need(word, vhost):
    labels, _ = conditions(word)
    found = rules({"VHOST": vhost, **labels}, catalogue=catalogue_of())
    assert "{" not in found.http.replace("{ ssl_fc", "")
    assert "use_backend dir_app_10000" in found.https


@pytest.mark.parametrize(
    ("word", "vhost", "template", "not_offered"),
    [
        ("", "a", "HTTP_FRONTEND_ACL", ["path", "realm"]),
        ("redirect", "a", "HTTP_FRONTEND_ACL", ["appId"]),
        ("path", "a", "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH", ["hostname", "realm"]),
        ("path", "a,b", "HTTP_FRONTEND_ACL_ONLY_WITH_PATH", ["hostname", "cleanedUpHostname"]),
        ("path auth", "a,b", "HTTPS_FRONTEND_ACL_WITH_AUTH_AND_PATH", ["path"]),
        ("", "a,b", "HTTP_FRONTEND_ROUTING_ONLY", ["hostname", "realm"]),
    ],
)
def test_what_a_place_does_not_offer_cannot_be_used_there(word, vhost, template, not_offered):
    labels, _ = conditions(word)
    for name in not_offered:
        with pytest.raises(TemplateError, match=f"template {template}: placeholder .{name}. is not offered there"):
            rules({"VHOST": vhost, **labels, template: f"{{{name}}}"})


def test_the_cleaned_host_name_is_that_of_the_first_host_and_has_no_port():
    found = rules({"VHOST": "A.x-y_z,b", "HTTP_FRONTEND_ACL_ONLY": "{cleanedUpHostname} {hostname};"})
    assert found.http.startswith("a_x-y_z_dir_app a.x-y_z;a_x-y_z_dir_app b;")


def test_host_names_are_not_stripped():
    found = rules({"VHOST": "a, b,", "HTTP_FRONTEND_ACL_ONLY": "<{hostname}>", "HTTP_FRONTEND_ROUTING_ONLY": ""})
    assert found.http == "<a>< b><>\n"


@pytest.mark.parametrize("labels", [{}, {"VHOST": ""}])
def test_without_a_vhost_there_are_no_rules_but_the_rank_stays(labels):
    found = rules({**labels, "BACKEND_WEIGHT": "5"})
    assert (found.http, found.https, found.hosts, found.rank) == ("", "", (), 5)


def test_without_the_shared_frontends_there_are_no_rules():
    assert rules({"VHOST": "a"}, "--dont-bind-http-https").http == ""


@pytest.mark.parametrize(
    ("word", "first_use", "rank", "needs"),
    [
        ("map", FIRST, -1, (True, True)),
        ("map", LATER, 7, (True, True)),
        ("map", FIRST._replace(https_map=False), -1, (True, True)),
        ("map", FIRST._replace(http_map=False), -1, (True, True)),
        ("redirect map", FIRST, -1, (False, True)),
        ("redirect map", FIRST._replace(https_map=False), 7, (False, True)),
        ("auth map", FIRST, 7, (False, False)),
        ("", FIRST, 7, (False, False)),
    ],
)
def test_who_writes_a_map_rule_comes_last_and_who_needs_one_says_so(word, first_use, rank, needs):
    labels, argv = conditions(word)
    found = rules({"VHOST": "a", "BACKEND_WEIGHT": "7", **labels}, *argv, first_use=first_use)
    assert (found.rank, (found.needs_http_map, found.needs_https_map)) == (rank, needs)


@pytest.mark.parametrize(("word", "entered"), [("map", True), ("redirect map", True), ("auth map", False), ("", False)])
def test_hosts_enter_the_domain_map_whether_or_not_the_rule_is_written(word, entered):
    labels, argv = conditions(word)
    expected = (("a", "dir_app_10000"), ("b", "dir_app_10000")) if entered else ()
    assert rules({"VHOST": "a,b", **labels}, *argv, first_use=LATER).domains == expected


def test_a_map_rule_that_a_label_cannot_fill_falls_back_to_the_global_text():
    labels = {"VHOST": "a", "HTTP_FRONTEND_ACL": "{hostname}", "HTTPS_FRONTEND_ACL": "<{hostname}>"}
    found = rules(labels, "--haproxy-map")
    assert (found.http, found.https) == ("MAP_HTTP_FRONTEND_ACL \n", "<a>\n")


def test_a_label_that_leaves_its_last_line_open_does_not_write_into_the_line_of_the_next_app():
    open_line = app("/a", [10001], {"HAPROXY_0_HTTP_FRONTEND_APPID_ACL": "  # mine", "HAPROXY_0_MODE": "http"})
    lines = rendered([open_line, app("/b", [10002], {"HAPROXY_0_MODE": "http"})]).config.split("\n")
    assert "  # mine" in lines
    assert "  acl app__b hdr(x-marathon-app-id) -i /b" in lines


def test_without_the_grouped_table_no_host_enters_it():
    assert rules({"VHOST": "a", "SSL_CERT": "/c.pem"}).hosts == ()


def test_one_host_enters_the_grouped_table_with_its_rules_and_what_binds_it():
    found = rules({"VHOST": "a", "PATH": "/p", "SSL_CERT": "/c.pem", "BIND_OPTIONS": ""}, GROUPED)
    texts = ((1, "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH HTTPS_FRONTEND_ACL_WITH_PATH "),)
    assert found.hosts == (HostEntry("a", texts, ("/c.pem",), ("",)),)
    assert found.https == ""


def test_hosts_are_listed_only_where_each_has_a_frontend_of_its_own():
    assert rules({"VHOST": "a", "SSL_CERT": "/c.pem"}).hosts == ()


@pytest.mark.parametrize(("labels", "hosts"), [({}, []), ({"SSL_CERT": ""}, ["a"]), ({"BIND_OPTIONS": "x"}, ["a"])])
def test_a_host_enters_the_grouped_table_only_if_something_is_added(labels, hosts):
    found = rules({"VHOST": "a", **labels}, "--haproxy-map", GROUPED, first_use=LATER)
    assert [entry.host for entry in found.hosts] == hosts


def test_each_of_several_hosts_repeats_what_they_share_but_for_a_map_rule():
    found = rules({"VHOST": "a,b", "BACKEND_WEIGHT": "3"}, "--haproxy-map", GROUPED)
    assert [entry.texts for entry in found.hosts] == [((-1, "MAP_HTTPS_FRONTEND_ACL "),), ()]
    found = rules({"VHOST": "a,b", "PATH": "/p"}, GROUPED)
    both = "HTTPS_FRONTEND_ACL_ONLY_WITH_PATH HTTPS_FRONTEND_ACL_WITH_PATH "
    assert [entry.texts for entry in found.hosts] == [((1, both),)] * 2
