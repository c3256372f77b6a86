"""What a Marathon may answer: refused as a whole, or every app of it read or left out alone; never another error."""

from __future__ import annotations

import orjson

from fastlb import reading
from fastlb.decision import Decider
from fastlb.errors import AppError, MarathonAnswerError
from fastlb.marathon.answers import all_apps, one_app
from fastlb.marathon.elements import Elements
from fastlb.marathon.http import Answer
from fastlb.store import Store
from tests.fakes.apps import app, renderer_of, rules_of, task
from tests.fuzz.twins import agreed
from tests.golden.recorded import CASES

GOOD = app("/good", [10999], {"HAPROXY_0_VHOST": "good.example"}, tasks=[task(9, "127.0.0.9", [31999])])
SEEDS = [(case / "apps.json").read_bytes() for case in CASES] + [
    orjson.dumps({"apps": [app("/a"), app("/b", [10001], {"HAPROXY_0_VHOST": "a.example"})]}),
    orjson.dumps({"app": app("/a", healthChecks=[{"protocol": "HTTP"}])}),
    b'{"apps":[{"id":"/a","labels":{},"tasks":[],"ports":[1e400]}]}',
    b"<html>",
    b"[]",
    b"null",
    b'{"apps":null}',
    b'{"message":"x"}',
]
RULES, RENDERER = rules_of(), renderer_of()


def check(data: bytes) -> None:
    """All of ``data`` is the body of the answer."""
    answer = Answer(200, (), data, 0.0, "http://marathon")
    _cut(answer)
    documents = []
    for read in (all_apps, one_app):
        try:
            found = read(answer)
        except MarathonAnswerError:
            continue
        documents += found if isinstance(found, list) else [found] if found else []
    for document in documents:
        agreed(reading.read_app, document, allowed=(AppError,))
    if documents:
        _decide(documents)


def _cut(answer: Answer) -> None:
    """What is cut into its elements, new ones and known ones, is what is parsed as a whole."""
    whole = agreed(all_apps, answer, allowed=(MarathonAnswerError,))
    elements = Elements(lambda document, _: document, lambda _: True)
    for _ in range(2):
        assert repr(agreed(elements.everything, answer, allowed=(MarathonAnswerError,))) == repr(whole)


def _decide(documents: list[object]) -> None:
    """All of it can be decided about, and an app that has nothing to do with it is served."""
    decider = Decider(Store(0.0), RENDERER, RULES)
    decider.store.take([*documents, GOOD], 0.0)
    config, *maps = decider.decide().rendering().texts
    for text in (config, *maps):
        text.encode()
    said = str(documents)
    assert "good" in said or "10999" in said or "\nbackend good_10999\n" in config
