"""Reasons for a reload, made where they are made, find their class."""

from __future__ import annotations

import pytest

from fastlb.capabilities import Capabilities
from fastlb.diff import compare
from fastlb.live_maps import UnfitMap, map_steps
from fastlb.metrics.reload_reasons import CLASSES, reason_classes
from fastlb.running import Running
from tests.fakes.apps import app, document_of, task
from tests.unit.test_diff import FIRST, WEB, reasons, running

OTHER_APP = app("/other", [10001])
NEW_VHOST = app("/web", [10000], {"HAPROXY_0_VHOST": "new.test"})
MORE_TASKS = {**WEB, "tasks": [task(number, ports=[31000 + number]) for number in (1, 2, 3)]}


def never_loaded():
    return compare(Running(60.0), document_of([WEB]), (), {}).reasons


def by_hash():
    """A server more in a backend that takes none at run time."""
    labels = {**WEB["labels"], "HAPROXY_0_BACKEND_HEAD": "backend {backend}\n  balance source\n  mode {mode}\n"}
    runs = running(document_of([{**WEB, "labels": labels}]))
    runs.capabilities = Capabilities((2, 8))
    return compare(runs, document_of([{**MORE_TASKS, "labels": labels}]), {"/web"}, {}).reasons


def unfit_map():
    with pytest.raises(UnfitMap) as raised:
        map_steps("/a path", [], [("web.test", "web")], repeated=(), everything=list)
    return (str(raised.value),)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (never_loaded, {"start"}),
        (lambda: reasons([WEB], [WEB, OTHER_APP]), {"service_new"}),
        (lambda: reasons([WEB, OTHER_APP], [WEB]), {"service_gone"}),
        (lambda: reasons([WEB], [NEW_VHOST]), {"labels"}),
        (lambda: reasons([FIRST, WEB], [WEB], "--haproxy-map"), {"service_gone", "labels"}),
        (lambda: reasons([WEB], [MORE_TASKS]), {"servers"}),
        (by_hash, {"servers"}),
        (unfit_map, {"map"}),
        (lambda: ("what HAProxy has is not known, since `x` was answered 'y', with 3 services",), {"doubt"}),
        (lambda: ("HAProxy was started again on older files, with 3 services",), {"doubt"}),
        (lambda: ("HAProxy could not load the last files, with 3 services",), {"doubt"}),
        (lambda: ("the head follows the size: maxconn 3 to 4",), {"size"}),
        (lambda: ("SIGUSR1",), {"signal"}),
        (lambda: ("whatever",), {"other"}),
    ],
)
def test_a_reason_has_its_class(made, expected):
    assert reason_classes(made()) == expected


def test_there_are_few_classes_whatever_the_reasons_say():
    hostile = ["backend a (app /b): the labels of SIGUSR1", "\n", "", 'x{y="z"}']
    assert reason_classes(hostile) <= {*CLASSES, "other"}
