"""Where log lines go, and what is no level."""

from __future__ import annotations

import logging
import socket

import pytest

from fastlb.cli import build_parser
from fastlb.errors import FastlbError
from fastlb.logs import set_up_logging

pytestmark = pytest.mark.usefixtures("root_logger")


def set_up(*argv):
    set_up_logging(build_parser().parse_args(["sse", "--syslog-socket", "/dev/null", *argv]))


def test_lines_go_to_standard_error_in_the_format_asked_for(capsys):
    set_up("--log-format", "<%(levelname)s> %(message)s", "--log-level", "warning")
    logging.getLogger("fastlb.x").warning("heard")
    logging.getLogger("fastlb.x").info("not heard")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "<WARNING> heard\n")


def test_lines_go_to_the_syslog_socket_too(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log"))
        syslog.settimeout(5)
        set_up("--syslog-socket", str(tmp_path / "log"), "--log-format", "%(message)s")
        logging.getLogger("fastlb.x").error("heard")
        assert b"heard" in syslog.recv(1000)


def test_a_level_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(FastlbError, match="'LOUD' does not exist; choose one of CRITICAL, ERROR"):
        set_up("--log-level", "LOUD")
