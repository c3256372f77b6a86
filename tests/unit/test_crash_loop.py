"""HAProxy ends again and again: what is new or changed goes back, and comes back if that was not it."""

from __future__ import annotations

import pytest

from fastlb.crash_loop import MOST_ENDS, PROVEN_AFTER_S, WITHIN_S, CrashLoop
from fastlb.quarantine import Quarantine
from tests.fakes.apps import app, read_all


def form(app_id, **labels):
    ((found,), _) = read_all([app(app_id, labels=labels)])
    return found


OLD, WAS, CHANGED, NEW = form("/old"), form("/web"), form("/web", HAPROXY_0_BALANCE="source"), form("/new")
APPS = [OLD, CHANGED, NEW]
PAUSE_S = WITHIN_S / MOST_ENDS


@pytest.fixture
def quarantine():
    """HAProxy took two apps first, then a change of one and a new one."""
    quarantine = Quarantine()
    take(quarantine, OLD, WAS)
    take(quarantine, CHANGED, NEW)
    return quarantine


@pytest.fixture
def loop(quarantine):
    return CrashLoop(quarantine)


def take(quarantine, *apps):
    quarantine.accepted({each.id: each for each in apps}, {})


def tried(quarantine, apps=APPS):
    return [form for each in apps if (form := quarantine.form(each)) is not None]


def ends(loop, count=MOST_ENDS, first_s=0.0, pause_s=PAUSE_S, apps=APPS):
    return [loop.ended(first_s + number * pause_s, apps) for number in range(count)]


def test_after_too_many_ends_what_is_new_is_left_out_and_what_has_changed_goes_back(quarantine, loop):
    *before, said = ends(loop)
    assert before == [""] * (MOST_ENDS - 1)
    assert said.endswith(": /web, /new")
    assert tried(quarantine) == [OLD, WAS]


def test_it_stays_so_until_they_change_or_everything_is_tried_again(quarantine, loop):
    ends(loop)
    quarantine.release_all()
    assert tried(quarantine) == [OLD, WAS]
    mended = form("/new", HAPROXY_0_BALANCE="source")
    assert tried(quarantine, [OLD, CHANGED, mended]) == [OLD, WAS, mended]
    quarantine.release_all(harmful=True)
    assert tried(quarantine) == APPS


def test_ends_far_apart_are_accidents(quarantine, loop):
    assert not any(ends(loop, 20, pause_s=WITHIN_S))
    assert tried(quarantine) == APPS


def test_who_was_not_to_blame_is_tried_again_and_not_blamed_once_more(quarantine, loop):
    ends(loop)
    said = [text for text in ends(loop, 20, first_s=WITHIN_S) if text]
    assert said == [
        f"HAProxy has ended {MOST_ENDS} times within {PAUSE_S * 2:.0f} s without /web, /new, too; they are tried again"
    ]
    assert tried(quarantine) == APPS


def test_what_has_run_for_long_is_not_to_blame(quarantine, loop):
    for number in range(3):
        loop.settle(number * PROVEN_AFTER_S)
    said = ends(loop, first_s=3 * PROVEN_AFTER_S)[-1]
    assert "no app has changed lately" in said
    assert tried(quarantine) == APPS


def test_time_in_which_haproxy_ended_proves_nothing(quarantine, loop):
    loop.settle(0)
    loop.ended(PROVEN_AFTER_S, APPS)
    loop.settle(PROVEN_AFTER_S + 1)
    loop.settle(PROVEN_AFTER_S * 2 - 1)
    ends(loop, first_s=PROVEN_AFTER_S * 2)
    assert tried(quarantine) == [OLD, WAS]


def test_an_app_that_changed_twice_goes_back_to_what_ran_for_long(quarantine, loop):
    twice = form("/web", HAPROXY_0_BALANCE="leastconn")
    loop.settle(0)
    take(quarantine, twice)
    ends(loop, apps=[OLD, twice])
    assert tried(quarantine, [OLD, twice]) == [OLD, WAS]


def test_what_the_first_load_brought_has_nothing_to_go_back_to():
    quarantine = Quarantine()
    take(quarantine, *APPS)
    assert "no app has changed lately" in ends(CrashLoop(quarantine))[-1]
    assert tried(quarantine) == APPS


def test_an_app_that_is_as_it_was_again_is_not_blamed(quarantine, loop):
    take(quarantine, WAS)
    assert ends(loop, apps=[OLD, WAS, NEW])[-1].endswith(": /new")
    assert tried(quarantine, [OLD, WAS, NEW]) == [OLD, WAS]


def test_an_app_that_is_gone_is_not_blamed(quarantine, loop):
    quarantine.accepted({"/new": None}, {})
    assert ends(loop, apps=[OLD, CHANGED])[-1].endswith(": /web")


def test_what_is_said_names_some_apps_of_many(quarantine, loop):
    many = [form(f"/new{number:03}") for number in range(100)]
    take(quarantine, *many)
    said = ends(loop, apps=[OLD, *many])[-1]
    assert "/new019 and 80 more" in said
    assert len(said) < 1000


def test_what_changes_while_haproxy_keeps_ending_for_another_reason_is_looked_at_all_the_same():
    quarantine = Quarantine()
    loop = CrashLoop(quarantine)
    take(quarantine, OLD, WAS)
    assert "no app has changed lately" in ends(loop, apps=[OLD, WAS])[-1]
    take(quarantine, CHANGED, NEW)
    assert any(text.endswith(": /web, /new") for text in ends(loop, first_s=WITHIN_S))
