"""What apps may ask for, as a policy says: labels, vhosts, service ports, deployment groups."""

from __future__ import annotations

import pytest

from fastlb.census import take_census
from fastlb.decision import Decider
from fastlb.errors import UsageError
from fastlb.explain import all_problems, explain
from fastlb.labels import LABELS
from fastlb.policy import NARROWING
from fastlb.policy_file import parse_policy, read_policy
from fastlb.store import Store
from tests.fakes.apps import app, document_of, renderer_of, rules_of

BANK = """
[vhosts]
"bank.example.com" = ["/bank"]
"*.bank.example.com" = ["/bank"]
"open.bank.example.com" = ["/"]

[ports]
"443" = ["/infra"]
"10000-10009" = ["/bank", "/shop/till"]

[deployment_groups]
"bank" = ["/bank"]
"""


def decided(policy, *documents):
    decider = Decider(Store(0.0), renderer_of(), rules_of())
    decider.use_policy(parse_policy(policy))
    decider.store.take(documents, 0.0)
    decider.decide()
    return decider


def vhosts(policy, app_id, value, port=20000):
    (service,) = decided(policy, app(app_id, [port], {"HAPROXY_0_VHOST": value})).desired.services(app_id)
    return service.options.vhost


def notes(decider):
    return [str(note) for note in decider.notes]


def services(policy, app_id, *ports, **labels):
    return [each.port for each in decided(policy, app(app_id, ports, labels)).desired.services(app_id)]


# Vhosts


@pytest.mark.parametrize(
    "host",
    [
        "bank.example.com",
        "BANK.example.com",
        " bank.example.com",
        "bank.example.com.",
        "bank.example.com:443",
        "bank.example.com.:443",
        "www.bank.example.com",
        "a.b.bank.example.com",
        "*.bank.example.com",
        '"bank.example.com"',
        "bank\\.example.com",
        "${HOST}",
        "bank.example.com#",
        "-f/etc/hosts,bank.example.com",
    ],
)
def test_a_reserved_vhost_is_not_routed_for_others_however_it_is_written(host):
    assert vhosts(BANK, "/bank/web", "bank.example.com") == "bank.example.com"
    decider = decided(BANK, app("/team-a/web", [20000], {"HAPROXY_0_VHOST": host}))
    (service,) = decider.desired.services("/team-a/web")
    assert "bank.example.com" not in (service.options.vhost or "")
    assert any("vhost" in note for note in notes(decider))
    assert any("vhost" in remark for remark in explain("/team-a/web", decider).services[0].remarks)


def test_a_service_keeps_its_other_vhosts_and_its_own_port():
    assert vhosts(BANK, "/team-a/web", "a.test,bank.example.com,b.test") == "a.test,b.test"
    text = document_of([app("/team-a/web", [20000], {"HAPROXY_0_VHOST": "bank.example.com"})]).rendering().config
    assert "hdr(host) -i bank.example.com" in text
    decider = decided(BANK, app("/team-a/web", [20000], {"HAPROXY_0_VHOST": "bank.example.com"}))
    text = decider.document.rendering().config
    assert "bank.example.com" not in text
    assert "\nfrontend team-a_web_20000\n  bind *:20000\n  mode http\n" in text


def test_the_most_exact_name_decides():
    assert vhosts(BANK, "/team-a/web", "open.bank.example.com") == "open.bank.example.com"
    assert vhosts(BANK, "/team-a/web", "x.open.bank.example.com") is None


def test_names_that_only_look_like_a_reserved_one_are_free():
    free = "notbank.example.com,bank.example.com.au,example.com"
    assert vhosts(BANK, "/team-a/web", free) == free


def test_a_prefix_ends_where_a_word_of_the_id_ends():
    assert vhosts(BANK, "/bank", "bank.example.com") == "bank.example.com"
    assert vhosts(BANK, "/banker/web", "bank.example.com") is None


def test_a_vhost_whose_rules_would_be_taken_for_those_of_a_reserved_one_is_not_routed():
    """Rules are named by host and app id with underscores (COMPAT.md 6.3), so that these two give one name."""
    bank = app("/bank/web", [20000], {"HAPROXY_0_VHOST": "bank.example.com"})
    thief = app("/web", [20001], {"HAPROXY_0_VHOST": "bank.example.com.bank", "HAPROXY_0_BACKEND_WEIGHT": "9"})
    assert document_of([bank, thief]).rendering().config.count("acl host_bank_example_com_bank_web ") == 2
    decider = decided(BANK, bank, thief)
    assert decider.document.rendering().config.count("acl host_bank_example_com_bank_web ") == 1
    assert any("would get the rules of a vhost that the policy reserves" in note for note in notes(decider))
    assert vhosts(BANK, "/web", "x.bank.example.com.bank") is None


# Ports


def test_a_service_on_a_reserved_port_is_left_out_alone():
    assert services(BANK, "/team-a", 10000, 20000) == [20000]
    assert services(BANK, "/bank/db", 10000, 20000) == [10000, 20000]
    assert services(BANK, "/shop/till", 10009) == [10009]
    assert services(BANK, "/shop", 10009) == []
    (note,) = notes(decided(BANK, app("/team-a", [10000])))
    assert note == (
        "app /team-a (service port 10000): the policy reserves this service port for apps below /bank, /shop/till; "
        "left out"
    )


def test_the_port_that_counts_is_that_of_the_label():
    assert services(BANK, "/team-a", 20000, HAPROXY_0_PORT="10003") == []
    assert services(BANK, "/team-a", 10000, HAPROXY_0_PORT="20000") == [20000]


@pytest.mark.parametrize("address", ["*:443,*", "0.0.0.0:443,0.0.0.0", "fd@3", "unix@/x", "/x", "ipv4@*:443,127.0.0.1"])
def test_a_bind_address_that_may_name_a_reserved_port_is_not_let_through(address):
    assert services(BANK, "/team-a", 20000, HAPROXY_0_BIND_ADDR=address) == []


@pytest.mark.parametrize("address", ["*", "127.0.0.1", "::1", "[::1]", ""])
def test_a_single_bind_address_is_let_through(address):
    assert services(BANK, "/team-a", 20000, HAPROXY_0_BIND_ADDR=address) == [20000]


# Labels


def options(policy, app_id, **labels):
    found = decided(policy, app(app_id, [20000], labels)).desired.services(app_id)
    return found[0].options if found else None


def test_a_denied_label_counts_as_absent_and_is_said():
    policy = '[[labels]]\ndeny = ["TEMPLATES", "BALANCE"]\n'
    labels = {"HAPROXY_0_BALANCE": "source", "HAPROXY_0_BACKEND_HEAD": "backend {backend}\n  my own\n"}
    found = options(policy, "/a", HAPROXY_0_MODE="http", **labels)
    assert (found.balance, dict(found.templates), found.mode) == ("roundrobin", {}, "http")
    decider = decided(policy, app("/a", [20000], labels))
    reason = "the policy does not allow it here (labels, rule 1); the label is ignored"
    assert sorted(notes(decider)) == [f"app /a: label {label}: {reason}" for label in sorted(labels)]
    assert "my own" not in decider.document.rendering().config


@pytest.mark.parametrize("name", sorted(NARROWING))
def test_without_a_label_that_keeps_others_out_a_service_is_left_out(name):
    policy = f'[[labels]]\ndeny = ["{name}"]\n'
    assert options(policy, "/a", HAPROXY_0_VHOST="a.test") is not None
    assert options(policy, "/a", **{f"HAPROXY_0_{name}": "r:u:p" if name == "AUTH" else "true"}) is None


def test_the_first_rule_that_concerns_an_app_decides():
    policy = """
    [[labels]]
    apps = ["/infra"]

    [[labels]]
    groups = ["internal"]
    allow = ["STICKY"]

    [[labels]]
    deny = ["BALANCE"]
    """
    both = {"HAPROXY_0_BALANCE": "source", "HAPROXY_0_STICKY": "true"}
    internal = {"HAPROXY_GROUP": "external,internal"}
    assert options(policy, "/infra/a", **both).balance == "source"
    assert options(policy, "/a", **both).balance == "roundrobin"
    assert options(policy, "/a", **both, **internal).sticky
    assert not options('[[labels]]\ngroups = ["external"]\nallow = []\n', "/a", **both).sticky
    assert options('[[labels]]\ngroups = ["external"]\nallow = ["*"]\n', "/a", **both).sticky


def test_labels_of_other_groups_apps_are_not_talked_about():
    policy = '[[labels]]\ndeny = ["BALANCE"]\n'
    assert notes(decided(policy, app("/a", [20000], {"HAPROXY_GROUP": "x", "HAPROXY_0_BALANCE": "source"}))) == []


# Deployment groups


def test_who_may_not_join_a_deployment_group_stands_alone():
    bank = app("/bank/blue", [20000], {"HAPROXY_DEPLOYMENT_GROUP": "bank", "HAPROXY_0_VHOST": "bank.example.com"})
    thief = app("/team-a", [20000], {"HAPROXY_DEPLOYMENT_GROUP": "bank"}, tasks=[{**bank["tasks"][0], "id": "thief"}])
    decider = decided(BANK, bank, thief)
    assert len(decider.desired.services("/bank")[0].servers) == 1
    assert len(decider.desired.services("/team-a")) == 1
    assert any("deployment group bank is reserved for apps below /bank" in note for note in notes(decider))
    slashed = app("/team-a", [20000], {"HAPROXY_DEPLOYMENT_GROUP": "/bank"})
    assert [each.app_id for each in decided(BANK, slashed).desired.services("/team-a")] == ["/team-a"]


def test_a_group_may_have_what_all_its_members_may_have():
    labels = {"HAPROXY_DEPLOYMENT_GROUP": "mixed", "HAPROXY_0_VHOST": "bank.example.com"}
    decider = decided(BANK, app("/bank/blue", [20000], labels), app("/team-a", [20000], labels))
    assert decider.desired.services("/mixed")[0].options.vhost is None
    decider = decided(BANK, app("/bank/blue", [20000], labels), app("/bank/green", [20000], labels))
    assert decider.desired.services("/mixed")[0].options.vhost == "bank.example.com"


# A policy that changes


def test_another_policy_decides_about_everything_again():
    decider = decided("", app("/team-a", [10000]), app("/bank", [10001]))
    assert len(decider.desired.services("/team-a")) == 1
    decider.use_policy(parse_policy(BANK))
    decider.decide()
    assert decider.desired.services("/team-a") == ()
    decider.use_policy(None)
    decider.decide()
    assert len(decider.desired.services("/team-a")) == 1
    assert notes(decider) == []


def test_an_app_that_asks_for_what_is_reserved_has_no_earlier_form_that_stands_in():
    decider = decided(BANK, app("/team-a", [20000]))
    decider.accepted()
    decider.store.take_apps({"/team-a": app("/team-a", [10000])}, 0.0)
    decider.decide()
    assert decider.desired.services("/team-a") == ()
    assert not decider.quarantine.refused
    assert take_census(decider).left_out["policy"] == 1
    (problem,) = all_problems(decider)
    assert problem.startswith("app /team-a (service port 10000): the policy reserves this service port")


def test_without_a_policy_forms_are_not_even_looked_at():
    decider = Decider(Store(0.0), renderer_of(), rules_of())
    decider.store.take([app("/a")], 0.0)
    decider.decide()
    assert decider.desired.members("/a")[0] is decider.store.app("/a")


# The file


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[vhosts", "it is no TOML"),
        ("[vhost]\n", "the file has 'vhost', which means nothing; there are labels, vhosts, ports, deployment_groups"),
        ("[labels]\n", "labels is no list of tables"),
        ("labels = [1]\n", "rule 1 of labels is no table"),
        ('[[labels]]\napp = ["/a"]\n', "rule 1 of labels has 'app'"),
        ('[[labels]]\ndeny = "BALANCE"\n', "deny in rule 1 of labels is no list of texts"),
        ('[[labels]]\ndeny = ["BALANCING"]\n', "there is no label HAPROXY_{n}_BALANCING"),
        ('[[labels]]\napps = ["team"]\n', "'team' is no app id"),
        ("vhosts = 1\n", "vhosts is no table"),
        ('[vhosts]\n"a b" = ["/a"]\n', "'a b' in vhosts is no host name"),
        ('[vhosts]\n"a.*.b" = ["/a"]\n', "'a.*.b' in vhosts is no host name"),
        ('[vhosts]\n"a.b" = "/a"\n', "'a.b' in vhosts is no list of texts"),
        ('[ports]\n"x" = ["/a"]\n', "'x' in ports is no port"),
        ('[ports]\n"20-10" = ["/a"]\n', "'20-10' in ports is no port"),
        ('[ports]\n"70000" = ["/a"]\n', "'70000' in ports is no port"),
        ('[ports]\n"10-20" = ["/a"]\n"20" = ["/b"]\n', "port 20 is reserved twice"),
    ],
)
def test_a_file_that_is_not_understood_entirely_is_refused_with_its_place(text, said):
    with pytest.raises(UsageError) as raised:
        parse_policy(text)
    assert said in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"--policy .*none\.toml: "):
        read_policy(str(tmp_path / "none.toml"))


def test_every_label_can_be_named():
    (rule,) = parse_policy(f"[[labels]]\nallow = {sorted(LABELS)}\n".replace("'", '"')).labels
    assert rule.allowed == set(LABELS)
