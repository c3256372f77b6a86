"""Ports given out to apps that have an address per task and declare none."""

from __future__ import annotations

from fastlb.ports import ATTEMPTS, Ask, Assignment, PortAssigner


def test_the_hash_of_app_and_port_decides():
    assigner = PortAssigner(10050, 10100)
    assert [assigner.assign("/ipt", 80), assigner.assign("/ipt", 8080)] != [None, None]
    assert PortAssigner(10050, 10100).assign("/ipt", 80) == 10072


def test_a_taken_port_makes_way_for_the_next_trial():
    assigner = PortAssigner(10050, 10100)
    assigner._taken.add(10072)
    assert assigner.assign("/ipt", 80) == 10084


def test_the_same_key_gets_the_same_port_again():
    assigner = PortAssigner(10050, 10100)
    assert assigner.assign("/a", 80) == assigner.assign("/a", 80)


def test_every_port_of_the_range_is_given_out_once_and_then_none():
    assigner = PortAssigner(10050, 10059)
    ports = [assigner.assign("/a", number) for number in range(12)]
    assert sorted(ports[:10]) == list(range(10050, 10060))
    assert ports[10:] == [None, None]
    assert assigner.assign("/a", 10) is None


def test_when_all_trials_clash_the_smallest_free_port_is_taken():
    assigner = PortAssigner(1, 10**6)
    tried = {assigner._trial(f"/a-80-{attempt}") for attempt in range(ATTEMPTS)}
    assigner._taken |= tried | {1, 2}
    assert assigner.assign("/a", 80) == 3


def test_another_assigner_asked_in_the_same_order_gives_the_same_ports():
    one, other = PortAssigner(10050, 10100), PortAssigner(10050, 10100)
    keys = [(f"/app-{number}", 80) for number in range(51)]
    assert [one.assign(*key) for key in keys] == [other.assign(*key) for key in keys]


def assignment(asks):
    made = Assignment(10050, 10052)
    for app_id, each in asks.items():
        made.ask(app_id, each)
    return made


def test_nothing_is_assigned_anew_while_all_ask_for_the_same():
    made = assignment({"/a": (Ask((0, 0), (80,)),), "/b": (Ask((0, 1), (80, 81)),)})
    assert made.settle() == {"/a", "/b"}
    made.ask("/a", (Ask((0, 0), (80,)),))
    assert made.settle() == set()


def test_who_asks_first_gets_a_port_when_there_are_too_few():
    asks = {"/a": (Ask((0, 1), (1, 2)),), "/b": (Ask((0, 0), (1, 2)),)}
    made = assignment(asks)
    made.settle()
    assert (made.given("/a")[0].count(None), made.given("/b")[0].count(None)) == (1, 0)
    made.ask("/b", ())
    assert made.settle() == {"/a", "/b"}
    assert (made.given("/a")[0].count(None), made.given("/b")) == (0, ())
