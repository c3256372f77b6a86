"""What is checked before the supervisor begins, and that nothing of it stays in its memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fastlb import daemon
from fastlb.errors import FastlbError, HAProxyNotFound
from fastlb.supervisor import Orders

BIG = ("jinja2", "pycurl", "orjson", "jwt", "fastlb.controller", "fastlb.settings", "fastlb.templates")
ORDERS = Orders(
    haproxy=Path("/h"),
    config=Path("/c"),
    run_dir=Path("/r"),
    maps=(),
    server_state=Path("/s"),
    controller=("x",),
    environment={"A": "b"},
    stop_grace_s=1.0,
    controller_timeout_s=2.0,
)


def test_what_only_the_controller_needs_is_not_loaded_by_the_supervisor():
    code = f"import sys, fastlb.cli, fastlb.daemon, fastlb.logs; print([one for one in {BIG} if one in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_what_the_child_finds_is_handed_over():
    assert daemon._in_child(lambda: ORDERS) == ORDERS


def test_a_mistake_that_the_child_finds_is_raised_here():
    def fail() -> Orders:
        raise HAProxyNotFound("nowhere")

    with pytest.raises(HAProxyNotFound, match="nowhere"):
        daemon._in_child(fail)


def test_a_child_that_fails_in_any_other_way_is_an_error_here_and_never_goes_on():
    def fail() -> Orders:
        raise KeyboardInterrupt

    with pytest.raises(FastlbError, match="could not be checked"):
        daemon._in_child(fail)
