"""Which apps are one app to HAProxy, and in which order its members come."""

from __future__ import annotations

from fastlb.families import Families
from tests.fakes.apps import app, read_all


def form(app_id, group=None):
    (found,), _ = read_all([app(app_id, labels={"HAPROXY_DEPLOYMENT_GROUP": group} if group else {})])
    return found


def ids(families, known_as):
    return [member.id for member in families.members(known_as)]


def test_members_come_in_the_order_of_marathon():
    families = Families()
    assert families.take({app_id: form(app_id, "shop") for app_id in ("/green", "/blue")}) == {"/shop"}
    assert families.arrange(["/blue", "/green"]) == {"/shop"}
    assert ids(families, "/shop") == ["/blue", "/green"]


def test_an_app_that_changes_its_group_concerns_both():
    families = Families()
    families.take({"/blue": form("/blue", "shop"), "/green": form("/green", "shop")})
    assert families.take({"/green": form("/green", "bank")}) == {"/shop", "/bank"}
    assert (ids(families, "/shop"), ids(families, "/bank")) == (["/blue"], ["/green"])
    assert families.take({"/green": None}) == {"/bank"}
    assert (ids(families, "/bank"), families.knows("/green")) == ([], False)


def test_an_app_that_nobody_knows_stands_for_itself():
    assert Families().known_as("/web") == "/web"
    assert Families().take({"/web": None}) == set()
