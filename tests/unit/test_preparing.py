"""What a reload needs is made ready ahead: for one revision of the document, once, and given up when more arrives."""

from __future__ import annotations

import threading
from time import monotonic, sleep
from types import SimpleNamespace

import pytest

from fastlb.apply import Applier
from fastlb.cli import build_parser
from fastlb.decision import Decider
from fastlb.errors import PublishError
from fastlb.preparing import Preparing
from fastlb.settings import read_settings
from fastlb.store import Store
from fastlb.waiting import Waiting
from tests.fakes.apps import app, renderer_of, rules_of

WITHIN_S = 10
FLAGS = ("--haproxy-map",)


class Trial:
    """Ends when the gate is open; remembers what was tried."""

    def __init__(self) -> None:
        self.tried: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

        self.fails = False

    def run(self, rendering):
        self.tried.append(rendering.config)
        if self.fails:
            raise PublishError("no room for a trial")
        assert self.gate.wait(WITHIN_S)
        return f"verdict {len(self.tried)}"


@pytest.fixture
def stage(tmp_path):
    """A cluster of two apps, files in a folder, and who makes ready."""
    argv = ["sse", "--group", "external", "--haproxy-config", str(tmp_path / "haproxy.cfg"), *FLAGS]
    loader = SimpleNamespace(restores=True, ready=0)
    loader.get_ready = lambda: setattr(loader, "ready", loader.ready + 1)
    applier = Applier(read_settings(build_parser().parse_args(argv)), rules_of(*FLAGS), loader)
    decider = Decider(Store(0.0), renderer_of(*FLAGS), rules_of(*FLAGS))
    decider.store.take([app("/a", [10000]), app("/b", [10001])], 0.0)
    document, trial = decider.decide(), Trial()
    preparing = Preparing(trial, applier, Waiting())
    return SimpleNamespace(
        folder=tmp_path,
        loader=loader,
        trial=trial,
        document=document,
        preparing=preparing,
        changes=decider.only({"/b"}),
        begin=lambda: preparing.begin(document, decider.only({"/b"})),
        change=lambda: (decider.store.take_apps({"/c": app("/c", [10002])}, 0.0), decider.decide()),
    )


def until(what):
    deadline_s = monotonic() + WITHIN_S
    while not what():
        assert monotonic() < deadline_s
        sleep(0.001)


def test_changes_are_tried_texts_written_beside_and_states_saved_and_nothing_is_published(stage):
    stage.begin()
    assert stage.preparing.verdict(stage.document, stage.changes) == "verdict 1"
    drafts = stage.preparing.take(stage.document)
    assert stage.trial.tried == [stage.changes.rendering().config]
    assert drafts[stage.folder / "haproxy.cfg"].temporary.read_text() == stage.document.rendering().config
    assert stage.loader.ready == 1
    assert not (stage.folder / "haproxy.cfg").exists()


def test_what_is_under_way_for_the_same_document_is_not_begun_again(stage):
    stage.begin()
    stage.begin()
    stage.preparing.verdict(stage.document, stage.changes)
    assert len(stage.trial.tried) == 1


def test_when_more_has_arrived_all_is_made_anew_and_nothing_old_is_used_or_left(stage):
    stage.begin()
    stage.preparing.verdict(stage.document, stage.changes)
    stage.change()
    assert stage.preparing.verdict(stage.document, stage.changes) == "verdict 2"
    drafts = stage.preparing.take(stage.document)
    assert "backend c_10002" in drafts[stage.folder / "haproxy.cfg"].text
    until(lambda: set(stage.folder.iterdir()) == {draft.temporary for draft in drafts.values()})


def test_what_was_ready_for_an_older_document_is_not_taken(stage):
    stage.begin()
    stage.preparing.verdict(stage.document, stage.changes)
    stage.change()
    assert stage.preparing.take(stage.document) == {}
    assert list(stage.folder.iterdir()) == []


def test_of_many_asks_while_one_is_tried_only_the_last_is_tried(stage):
    stage.trial.gate.clear()
    stage.begin()
    until(lambda: stage.trial.tried)
    stage.change()
    stage.begin()
    stage.preparing.drop()
    stage.trial.gate.set()
    assert stage.preparing.verdict(stage.document, stage.changes) == "verdict 2"


def test_nothing_is_left_of_what_is_given_up(stage):
    stage.begin()
    stage.preparing.drop()
    assert stage.preparing.take(stage.document) == {}
    until(lambda: list(stage.folder.iterdir()) == [])


def test_a_trial_that_could_not_be_made_is_made_again_when_it_is_asked_for_again(stage):
    stage.trial.fails = True
    stage.begin()
    with pytest.raises(PublishError):
        stage.preparing.verdict(stage.document, stage.changes)
    stage.trial.fails = False
    assert stage.preparing.verdict(stage.document, stage.changes) == "verdict 2"


def test_what_cannot_be_written_ahead_is_left_to_who_needs_it(stage, monkeypatch):
    def no_room(_path, _text):
        raise PublishError("the disk is full")

    monkeypatch.setattr("fastlb.apply.draft", no_room)
    stage.begin()
    assert stage.preparing.take(stage.document) == {}
