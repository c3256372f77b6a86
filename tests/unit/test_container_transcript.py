"""The transcript of the image's tests has nothing in it that differs from run to run, and stays short."""

from __future__ import annotations

import socket

import pytest

from tests.container.transcript import LONGEST_LINE, Recorder, page


@pytest.fixture
def recorder():
    recorder = Recorder()
    recorder.begin("it serves")
    return recorder


def test_commands_are_those_that_one_types(recorder):
    head, name = "a\n" * 99, "fastlb-0123456789ab"
    image = "localhost/fastlb-under-test"
    recorder.did(
        ["run", "--detach", "--name", name, "--env=PORTS=80", f"--env=HAPROXY_HEAD={head}", image, "sse"], 0, "id"
    )
    recorder.did(["inspect", name], 0, "{}")
    recorder.did(["exec", name, "ls", "/tmp/pytest-of-root/pytest-7/c0/x y"], 1, "".join(f"{n}\n" for n in range(30)))
    first, second, *output, code = recorder.entries[-1].lines
    assert first == "$ docker run --env=PORTS=80 --env=HAPROXY_HEAD=... fastlb sse"
    assert second == "$ docker exec lb ls '/sandbox/x y'"
    assert (len(output), output[3], code) == (7, "... (24 lines)", "[exit code 1]")


def test_lines_are_the_same_in_every_run(recorder):
    recorder.heard(
        [
            "2026-11-21 21:28:35,261 fastlb.children: HAProxy started as process 4229",
            f"2026-11-21 21:28:36,000 h1: [WARNING]  (4234) : {socket.gethostname()} took 1.25 s at 127.251.7.1:80",
            *(f"Connect from 127.0.0.1:{port} to 127.251.7.1:21080 (a/HTTP)" for port in range(40000, 40050)),
            "2026-11-21 21:28:38,388 fastlb.reconcile: event stream of http://127.0.0.1:37795 is open",
        ]
    )
    assert recorder.entries[-1].log == [
        "fastlb.children: HAProxy started as process N",
        "h1: [WARNING]  (N) : host took N s at 127.0.0.1:80",
        "Connect from 127.0.0.1:N to 127.0.0.1:21080 (a/HTTP) (50 times)",
        "fastlb.reconcile: event stream of http://marathon:8080 is open",
    ]


def test_a_long_log_is_cut_in_the_middle_and_long_lines_at_their_end(recorder):
    recorder.heard(["x" * 999, *map(str, range(99))])
    log = recorder.entries[-1].log
    assert (log[0], log[-1], len(log)) == ("x" * LONGEST_LINE + "...", "98", 25)


def test_the_page_has_a_section_for_each_test(recorder):
    recorder.saw([(0, ["tini"]), (1, ["fastlb", "sse"]), (0, [])])
    recorder.entries[-1].outcome = "passed"
    recorder.begin("it stops")
    assert page(recorder.entries, "Engine: docker", "HAProxy 3.0").endswith(
        "## it serves\n\n    # what runs in it\n    tini\n      fastlb sse\n\n*passed*\n\n"
        "## it stops\n\n    (asked the engine about the image)\n\n*did not run*\n"
    )
