"""Which host names are asked for, and whom an answer concerns."""

from __future__ import annotations

from fastlb.hosts import Hosts


def test_a_name_is_asked_for_until_it_is_known_or_nobody_needs_it():
    hosts = Hosts()
    hosts.need("/a", {"one", "two"})
    hosts.need("/b", {"two"})
    assert hosts.unresolved == {"one", "two"}
    assert hosts.learn({"two": "127.0.0.2"}) == {"/a", "/b"}
    assert hosts.unresolved == {"one"}
    hosts.need("/a", {"two"})
    assert hosts.unresolved == set()


def test_what_is_known_of_a_name_that_nobody_needs_is_forgotten():
    hosts = Hosts()
    hosts.need("/a", {"one"})
    hosts.learn({"one": "127.0.0.2", "stranger": "127.0.0.3"})
    assert hosts.addresses == {"one": "127.0.0.2"}
    hosts.need("/a", ())
    assert hosts.addresses == {}
    hosts.need("/b", {"one"})
    assert hosts.unresolved == {"one"}
