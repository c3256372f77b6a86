"""Three bad apps in one moment: who is left out, and how much trying that took, says fastlb's journal."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from benchmarks.figures import Row, single
from benchmarks.programs import until

if TYPE_CHECKING:
    from benchmarks.figures import Size
    from benchmarks.programs import Fastlb, Simulator

WITHIN_S = 120.0
BAD_APPS = {
    "/bad/directive": {"HAPROXY_0_MODE": "http", "HAPROXY_0_BACKEND_HTTP_OPTIONS": "  no-such-directive\n"},
    "/bad/bind": {"HAPROXY_0_BIND_OPTIONS": "no-such-option"},
    "/bad/reference": {"HAPROXY_0_MODE": "http", "HAPROXY_0_BACKEND_HTTP_OPTIONS": "  use-server nobody if TRUE\n"},
}
"""Three mistakes, in a frontend and in backends; HAProxy finds the last one only once the others are gone."""
LEFT_OUT, OTHERS, VALIDATIONS = "bad apps left out", "other apps left out", "validations to find the bad apps"


def run(simulator: Simulator, fastlb: Fastlb, size: Size) -> list[Row]:
    """Add the bad apps, and see who is blamed."""
    tried_before = len(_of_kind(fastlb, "tried"))
    started_s = monotonic()
    for app_id, labels in BAD_APPS.items():
        definition = {"id": app_id, "instances": 1, "labels": {"HAPROXY_GROUP": "external", **labels}}
        simulator.ask("POST", "/v2/apps", definition)
    until(lambda: BAD_APPS.keys() <= _refused(fastlb), WITHIN_S, "refusal of the bad apps")
    found_s = monotonic() - started_s
    refused = _refused(fastlb)
    trials = sum(entry["trials"] for entry in _of_kind(fastlb, "tried")[tried_before:])
    return [
        single(LEFT_OUT, size, fastlb.name, "apps", len(refused & BAD_APPS.keys())),
        single(OTHERS, size, fastlb.name, "apps", len(refused - BAD_APPS.keys())),
        single("time to find the bad apps", size, fastlb.name, "s", found_s),
        single(VALIDATIONS, size, fastlb.name, "validations", trials),
    ]


def _refused(fastlb: Fastlb) -> set[str]:
    return {entry["app"] for entry in _of_kind(fastlb, "refused")}


def _of_kind(fastlb: Fastlb, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in fastlb.journal() if entry["kind"] == kind]
