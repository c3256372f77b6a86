"""Where log lines go, what they look like, and that nothing breaks one."""

from __future__ import annotations

import io
import json
import logging
import socket
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlb.cli import build_parser
from fastlb.errors import FastlbError
from fastlb.logs import LONGEST_MESSAGE, JsonLines, TextLines, set_up_logging

HOSTILE = "a\nERROR forged\r\x1b[2J\x1b]0;title\x07\x9b31m\u2028\u202e\x85\x00 b"
HARMLESS = "a\\nERROR forged\\r\\x1b[2J\\x1b]0;title\\x07\\x9b31m\\u2028\\u202e\\x85\\x00 b"  # what people see


@pytest.fixture(autouse=True)
def _hooks_put_back(root_logger, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


def set_up(*argv, stream=None):
    set_up_logging(build_parser().parse_args(["sse", "--syslog-socket", "/dev/null", *argv]), stream or sys.stdout)


def fail(said):
    raise ValueError(said)


def log_failure(text, **extra):
    try:
        fail(text)
    except ValueError:
        logging.getLogger("fastlb.x").exception("app %s", text, extra=extra)


def test_lines_go_to_the_stream_in_the_format_asked_for(capsys):
    set_up("--log-format", "<%(levelname)s> %(message)s", "--log-level", "warning")
    logging.getLogger("fastlb.x").warning("heard")
    logging.getLogger("fastlb.x").info("not heard")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("<WARNING> heard\n", "")


def test_the_level_is_marathon_lbs_by_default():
    assert build_parser().parse_args(["sse"]).log_level == "DEBUG"


def test_lines_go_to_the_syslog_socket_too(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log"))
        syslog.settimeout(5)
        set_up("--syslog-socket", str(tmp_path / "log"), "--log-format", "%(message)s")
        logging.getLogger("fastlb.x").error("heard %s", HOSTILE)
        said = syslog.recv(1000)
    assert HARMLESS.encode() in said


def test_a_level_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(FastlbError, match="'LOUD' does not exist; choose one of CRITICAL, ERROR"):
        set_up("--log-level", "LOUD")


@pytest.mark.parametrize("given", ["%(nonsense)s", "no field at all", "%(message", "%(message)q"])
def test_a_format_that_is_none_is_refused(given):
    with pytest.raises(FastlbError, match="is neither json nor a format of Python"):
        set_up("--log-format", given)


def test_text_from_outside_cannot_break_a_line_nor_drive_a_terminal(capsys):
    set_up("--log-format", "%(levelname)s %(message)s")
    log_failure(HOSTILE, app=HOSTILE, apps={HOSTILE}, seconds=0.5)
    first, *traceback = capsys.readouterr().out.splitlines()
    assert first == f"ERROR app {HARMLESS}"
    assert all(line.startswith("    ") and line.isprintable() for line in traceback)
    assert any("ValueError" in line for line in traceback)


def test_json_is_one_object_a_line_with_the_exception_inside(capsys):
    set_up("--log-format", "json")
    log_failure(HOSTILE, app=HOSTILE, apps={HOSTILE}, seconds=0.5)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out[:-1].isprintable()
    line = json.loads(out)
    assert {name: line[name] for name in ("level", "logger", "message", "app", "apps", "seconds")} == {
        "level": "ERROR",
        "logger": "fastlb.x",
        "message": f"app {HARMLESS}",
        "app": HARMLESS,
        "apps": [HARMLESS],
        "seconds": 0.5,
    }
    assert line["exception"].startswith("Traceback")
    assert "ValueError: a" in line["exception"]


def test_the_time_of_a_json_line_is_rfc_3339_in_utc_with_milliseconds():
    record = logging.makeLogRecord({"created": 1_790_000_000.0456, "msg": "x"})
    assert json.loads(JsonLines().format(record))["time"] == "2026-09-21T14:13:20.045Z"


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=())), st.sampled_from([JsonLines(), TextLines("%(message)s")]))
def test_whatever_is_logged_is_one_printable_line(text, formatter):
    line = formatter.format(logging.makeLogRecord({"msg": "%s", "args": (text,), "app": text}))
    assert line.isprintable()
    line.encode()


def test_what_the_locale_cannot_write_is_escaped_and_not_lost():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    set_up("--log-format", "%(message)s", stream=stream)
    logging.getLogger("fastlb.x").error("/wéb/漢")
    assert stream.buffer.getvalue() == b"/w\\xe9b/\\u6f22\n"


def test_an_endless_message_is_cut(capsys):
    set_up("--log-format", "%(message)s")
    logging.getLogger("fastlb.x").error("x" * 100_000)
    out = capsys.readouterr().out
    assert len(out) < LONGEST_MESSAGE + 50
    assert out.endswith("... (100000 characters)\n")


@pytest.mark.parametrize("form", ["json", "%(message)s"])
@pytest.mark.parametrize(
    "said",
    [
        "GET http://admin:hunter2@marathon.mesos:8080/v2/apps failed",
        "`user me insecure-password hunter2` became ``",
        "stats auth admin:hunter2 became nothing",
        "header Authorization: Basic hunter2==",
        "header 'Authorization': 'token=hunter2'",
        "http-request set-header Authorization Bearer hunter2",
        "X-Vault-Token: hunter2",
    ],
)
def test_a_password_that_a_message_quotes_is_hidden(said, form, capsys):
    set_up("--log-format", form)
    log_failure(said, said=[said])
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert "***" in out


@pytest.mark.parametrize("said", ["http://marathon.mesos:8080/v2/apps", "user web needs a password", "12:30 a@b"])
def test_what_is_no_password_is_shown(said, capsys):
    set_up("--log-format", "%(message)s")
    logging.getLogger("fastlb.x").info(said)
    assert capsys.readouterr().out == f"{said}\n"


def test_what_ends_a_process_or_a_thread_is_a_line_of_the_log(capsys):
    set_up("--log-format", "json")
    error = RuntimeError("broken")
    sys.excepthook(RuntimeError, error, None)
    thread = threading.Thread(target=lambda: 1 // 0, name="a-hand")
    thread.start()
    thread.join()
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert ("broken" in first["exception"], first["level"]) == (True, "CRITICAL")
    assert "ZeroDivisionError" in second["exception"]
    assert "a-hand" in second["message"]
