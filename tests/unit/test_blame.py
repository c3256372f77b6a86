"""HAProxy's complaints to the apps that caused them: by line, by name, or to nobody."""

from __future__ import annotations

import pytest

from fastlb.blame import culprits
from fastlb.validation import Complaint
from tests.fakes.apps import app, rendered


def complaint(line=None, *names, fatal=True, text="it is wrong"):
    return Complaint(line, names, text, fatal)


def vhost(app_id, port, **labels):
    labels = {f"HAPROXY_0_{name}": text for name, text in {"VHOST": f"{app_id[1:]}.test", **labels}.items()}
    return app(app_id, [port], labels)


FOUND = rendered([vhost("/a", 10000, AUTH="r:u:p"), vhost("/b", 10001), vhost("/c", 10002)])


def line_of(text):
    """The number of the first line that ends like this."""
    return next(number for number, line in enumerate(FOUND.config.splitlines(), start=1) if line.endswith(text))


@pytest.mark.parametrize(
    ("text", "owner"),
    [("backend b_10001", "/b"), ("bind *:10002", "/c"), ("userlist user_a_10000", "/a"), ("hdr(host) -i b.test", "/b")],
)
def test_a_line_of_any_part_of_the_document_leads_to_its_app(text, owner):
    assert culprits([complaint(line_of(text))], FOUND) == {owner: "it is wrong"}


@pytest.mark.parametrize("name", ["b_10001", "user_b_10001"])
def test_a_complaint_without_a_line_leads_to_the_owner_of_the_proxy_it_names(name):
    assert culprits([complaint(None, name)], FOUND) == {"/b": "it is wrong"}


def test_a_line_beats_the_names_beside_it():
    assert culprits([complaint(line_of("bind *:10000"), "b_10001")], FOUND).keys() == {"/a"}


def test_a_line_of_nobody_with_the_name_of_somebody_leads_to_that_one():
    assert culprits([complaint(1, "b_10001")], FOUND).keys() == {"/b"}


@pytest.mark.parametrize("nobody", [complaint(1), complaint(None, "stranger"), complaint(), complaint(10**6)])
def test_shared_lines_and_strange_names_blame_nobody(nobody):
    assert culprits([nobody], FOUND) == {}


def test_a_warning_blames_nobody():
    assert culprits([complaint(None, "b_10001", fatal=False)], FOUND) == {}


def test_each_culprit_is_blamed_with_the_first_thing_said_about_it():
    said = [complaint(None, "b_10001", text="first"), complaint(None, "b_10001", text="second")]
    assert culprits([*said, complaint(None, "a_10000", text="third")], FOUND) == {"/b": "first", "/a": "third"}
