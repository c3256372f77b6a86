"""The last changes of each app are kept, and no more of them than that."""

from __future__ import annotations

from fastlb.history import EVERYBODY, LONGEST_REASON, MOST_LAST, MOST_OF_ONE_NOTE, PER_APP, History


def test_the_newest_changes_come_first_and_the_oldest_are_forgotten():
    history = History()
    for at_s in range(PER_APP + 3):
        history.note("live", {"/web": [f"change {at_s}"]}, at_s)
    assert [change.at_s for change in history.of("/web")] == list(range(PER_APP + 2, 2, -1))


def test_an_app_has_the_changes_under_each_of_its_ids_and_those_of_everybody():
    history = History()
    history.note("reload", {EVERYBODY: ["first configuration"]}, 1.0)
    history.note("live", {"/shop": ["a server came"], "/other": ["another"]}, 2.0)
    history.note("refused", {"/shop-green": ["bad label"]}, 3.0)
    assert [change.how for change in history.of("/shop-green", "/shop")] == ["refused", "live", "reload"]
    assert [change.how for change in history.of("/none")] == ["reload"]


def test_reasons_are_said_once_and_cut_if_they_are_long():
    history = History()
    history.note("reload", {"/web": ["same", "same", "other"], "/long": ["x" * 1000]}, 1.0, after_event_s=0.5)
    (change,), (long,) = history.of("/web"), history.of("/long")
    assert (change.why, change.after_event_s, len(long.why)) == ("same; other", 0.5, LONGEST_REASON)


def test_the_app_that_has_been_quiet_for_the_longest_time_is_forgotten_first():
    history = History(most_apps=2)
    for at_s, app_id in enumerate(("/a", "/b", "/a", "/c")):
        history.note("live", {app_id: ["x"]}, at_s)
    assert [len(history.of(app_id)) for app_id in ("/a", "/b", "/c")] == [2, 0, 1]


def test_the_last_changes_of_all_apps_are_few_and_the_newest_come_first():
    history = History()
    history.note("reload", {f"/app-{number}": ["new"] for number in range(5000)}, 1.0)
    assert len(history.last) == MOST_OF_ONE_NOTE
    for at_s in range(2, 1000):
        history.note("live", {"/web": [str(at_s)]}, at_s)
    assert len(history.last) == MOST_LAST
    assert (history.last[0].app_id, history.last[0].change.at_s) == ("/web", 999)
