"""The picture of `fastlb top` fits every screen, says what is wrong, and lets nothing from outside at the terminal."""

from __future__ import annotations

import io
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from fastlb.top_view import Screen, picture

NOW_S = 1_790_000_000.0
STATE = {
    "fastlb": {"version": "0.1.0", "hot_path": "compiled", "running_s": 7300.0},
    "now_s": NOW_S,
    "verdict": {"level": "ok", "title": "All is well", "findings": []},
    "marathon": {
        "urls": ["http://marathon:8080"],
        "asked_at": "http://marathon:8080",
        "readable": True,
        "failure": "",
        "follows_events": True,
        "stream_url": "http://marathon:8080",
        "stream_failure": "",
        "event_age_s": 0.4,
        "read_age_s": 3.0,
        "agreement_age_s": None,
    },
    "haproxy": {
        "up": True,
        "version": "2.8.3",
        "worker_pid": 77,
        "uptime_s": 200_000,
        "connections": 1234,
        "max_connections": None,
        "sessions_per_s": 5,
        "gone": "",
    },
    "old_workers": {"workers": 2, "limit": 10, "connections": 12, "resident_bytes": 3 * 2**30, "oldest_s": 34.0},
    "counts": {"apps": 5000, "services": 5215, "servers": 10400, "up": 10300, "draining": 60, "down": None},
    "left_out": {"unreadable": {"count": 3, "meaning": "of no use"}},
    "problems": {"count": 3, "first": [{"app": "/bad", "port": 80, "kind": "x", "text": "not a port"}], "late": ""},
    "changes": [{"at_s": NOW_S - 5, "app": "/web", "how": "live", "why": "it is new", "after_event_s": 0.009}] * 30,
    "reloads": [{"at_s": NOW_S, "ok": False, "seconds": 0.3, "after_event_s": None, "reasons": ["new backend x"]}] * 20,
    "incidents": [{"at_s": NOW_S, "first_s": NOW_S, "times": 4, "kind": "drift", "said": "somebody changed it"}],
    "series": {
        "old_workers": [[NOW_S, 0], [NOW_S, 2]],
        "latency": [[NOW_S, 0.002, "live"], [NOW_S, 0.2, "reload"]],
    },
}
SIZES = [(80, 24), (40, 10), (200, 60), (20, 5), (1, 1)]


def drawn(state, failure="", width=80, height=24, hint="q quits", *, colour=False):
    console = Console(
        file=io.StringIO(),
        width=width,
        height=height,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    console.print(picture(state, failure, Screen(width, height, NOW_S + 20, hint)), end="")
    return console.file.getvalue()


def with_text(text):
    """Return the state with ``text`` at every place where there is one; keys and ``how`` it was done stay."""

    def put(value):
        if isinstance(value, dict):
            return {name: put(each) for name, each in value.items()}
        if isinstance(value, list):
            return [put(each) for each in value]
        return text if isinstance(value, str) else value

    state = put(deepcopy(STATE))
    state["verdict"]["findings"] = [{"level": text, "what": text, "detail": text}] * 9
    state["left_out"] = {text: {"count": 3, "meaning": text}}
    return state


def test_on_80_by_24_everything_has_its_place():
    lines = [line.rstrip() for line in drawn(STATE).splitlines()]
    assert lines[0] == " All is well" + "fastlb 0.1.0, up 2 h   14:13:20 UTC".rjust(67)
    assert lines[1:6] == [
        " Marathon http://marathon:8080, event 0 s ago, agreement never",
        " HAProxy  2.8.3, worker 77 up 2 days, 1,234 of ? connections, 5 sessions/s",
        " old      2 of 10 workers, oldest 34 s, 3.0 GiB, 12 connections  ▁█",
        " apps     5,000 apps, 5,215 services, 10,400 servers (10,300 up, 60 draining); …",
        " latency  last 200 ms, median 200 ms, slowest 200 ms of 2  ▁█",
    ]
    assert lines[6:8] == [" changes", " 14:13:15 live    /web after 9 ms: it is new"]
    assert " 14:13:20 drift (4 times): somebody changed it" in lines
    assert " 14:13:20 failed in 300 ms: new backend x" in lines
    assert lines[-3:] == [" left out: 3", " /bad (port 80): not a port", "q quits"]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("failure", ["", "nobody listens"])
@pytest.mark.parametrize("state", [STATE, None, with_text("漢字" * 50)])
def test_it_fits_every_screen(width, height, failure, state):
    lines = drawn(state, failure, width, height).split("\n")
    assert len(lines) <= height + (lines[-1] == "")
    assert max(map(cell_len, lines)) <= width


HOSTILE = ["\x1b[2J\x1b]0;title\x07", "\x9b31m", "[bold red]x[/]", "a\nb\rc\td", "\u202e\u2028", "\udc80", "x" * 5000]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("failure", ["", "same"])
def test_text_from_outside_does_nothing_to_the_terminal(text, failure):
    plain = drawn(with_text(text), failure and text, 200, 60)
    assert all(line.isprintable() for line in plain.split("\n"))
    coloured = drawn(with_text(text), failure and text, 200, 60, colour=True)
    assert "\x1b[2J" not in coloured
    assert "\x07" not in coloured
    assert "\x9b" not in coloured


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=50))
def test_whatever_the_text_each_line_is_one(text):
    lines = drawn(with_text(text), text, 80, 24).split("\n")
    assert len(lines) <= 25
    assert all(line.isprintable() and cell_len(line) <= 80 for line in lines)


def test_markup_is_shown_and_not_followed():
    state = deepcopy(STATE)
    state["changes"][0] = {**state["changes"][0], "app": "/[red]app"}
    assert "/[red]app" in drawn(state)


def test_a_daemon_that_does_not_answer_is_the_first_line_with_the_age_of_what_is_below():
    first, second, third, *_ = drawn(STATE, "no fastlb answers at /run/local.sock").splitlines()
    assert first == " fastlb does not answer, still trying; what is below is 20 s old "
    assert second == " no fastlb answers at /run/local.sock"
    assert third.startswith(" All is well")
    assert drawn(None, "it is gone").splitlines()[:2] == [" fastlb does not answer, still trying ", " it is gone"]


@pytest.mark.parametrize(
    ("part", "values", "expected"),
    [
        ("marathon", {"readable": False, "failure": "HTTP 503"}, "cannot be read: HTTP 503"),
        ("marathon", {"stream_url": "", "stream_failure": "cut"}, "no event stream: cut; event 0 s ago"),
        ("haproxy", {"up": False, "gone": "it was killed"}, "HAProxy  does not answer it was killed"),
        ("old_workers", {"workers": 0}, "no old workers (limit 10)"),
        ("verdict", {"level": "bad", "title": "Marathon cannot be read"}, " Marathon cannot be read"),
        (
            "verdict",
            {"findings": [{"level": "warn", "what": "2 apps", "detail": "they are down"}]},
            " 2 apps: they are down",
        ),
    ],
)
def test_what_is_wrong_is_said(part, values, expected):
    assert expected in drawn({**STATE, part: {**STATE[part], **values}}, width=120)


def test_before_anything_was_decided_there_is_a_picture_too():
    empty = {"changes": [], "reloads": [], "incidents": [], "series": {"old_workers": [], "latency": []}}
    text = drawn({**STATE, **empty, "counts": None, "problems": {"count": 0, "first": [], "late": ""}})
    assert "nothing was decided yet" in text
    assert "no change yet" in text
    assert "changes: none yet" in text
