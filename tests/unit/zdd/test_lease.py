"""The lock of a group: one holder, taken over only from who is gone, noticed when lost."""

from __future__ import annotations

import subprocess
import sys
from http import HTTPStatus

import pytest

from fastlb.zdd import lease
from fastlb.zdd.lease import Holder, Lease, left_by
from fastlb.zdd.marathon import TroubleError
from fastlb.zdd.outcomes import Code, ZddError

LOCK = "/shop/api-zdd"
FAR = {"FASTLB_ZDD_OWNER": "elsewhere/x/1/1/y", "FASTLB_ZDD_BEAT": "3", "FASTLB_ZDD_WANTED": "/shop/api-blue"}


class Apps:
    """As much of Marathon as a lock needs."""

    def __init__(self):
        self.apps = {}
        self.troubles = []

    def find(self, app_id):
        return self.apps.get(app_id)

    def create(self, definition):
        if definition["id"] in self.apps:
            raise TroubleError("exists", HTTPStatus.CONFLICT)
        if self.troubles and self.troubles[-1].status:
            raise self.troubles.pop()
        self.apps[definition["id"]] = definition
        if self.troubles:
            raise self.troubles.pop()

    def update(self, app_id, changes):
        self.apps[app_id] |= changes

    def delete(self, app_id, *, force):
        del self.apps[app_id]


@pytest.fixture
def marathon():
    return Apps()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(lease, "SILENT_S", 0.2)
    monkeypatch.setattr(lease, "LOOK_S", 0.02)
    monkeypatch.setattr(lease, "BEAT_S", 0.02)


def held(marathon):
    return Lease(marathon, marathon, "shop/api")


def beats(marathon):
    return int(marathon.apps[LOCK]["labels"]["FASTLB_ZDD_BEAT"])


def test_a_lock_is_made_beats_and_is_let_go(marathon):
    with held(marathon) as mine:
        mine.take("/shop/api-green")
        assert marathon.apps[LOCK]["instances"] == 0
        assert left_by(marathon, "/shop/api") == "/shop/api-green"
        while beats(marathon) < 2:
            mine.check()
    assert marathon.apps == {}
    assert left_by(marathon, "/shop/api") == ""


def test_two_runs_of_one_machine_notice_each_other_at_once(marathon):
    with held(marathon) as first, held(marathon) as second:
        first.take("")
        with pytest.raises(ZddError) as caught:
            second.take("")
        assert caught.value.code == Code.TAKEN
        first.check()


def test_a_holder_who_ended_on_this_machine_is_gone():
    words = "from fastlb.zdd.lease import _owner; print(_owner())"
    owner = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout.strip()
    assert Holder(owner, "0").is_gone
    assert not Holder(owner, "0").is_alive
    assert Holder(lease._owner(), "0").is_alive


@pytest.mark.parametrize("owner", ["", "elsewhere/x/1/1/y", "nonsense"])
def test_of_a_holder_who_cannot_be_seen_nothing_is_known(owner):
    holder = Holder(owner, "0")
    assert (holder.is_alive, holder.is_gone) == (False, False)
    assert str(holder).startswith("process")


def test_a_silent_holder_is_taken_over_from(marathon):
    marathon.apps[LOCK] = {"labels": dict(FAR)}
    with held(marathon) as mine:
        mine.take("/shop/api-green")
        mine.check()


def test_who_lost_the_lock_changes_nothing_more_and_leaves_it_alone(marathon):
    with held(marathon) as mine:
        mine.take("")
        marathon.apps[LOCK] = {"labels": dict(FAR)}
        with pytest.raises(ZddError) as caught:
            mine.check()
    assert caught.value.code == Code.TAKEN
    assert marathon.apps[LOCK]["labels"] == FAR


def test_an_answer_that_got_lost_does_not_make_it_another_ones(marathon):
    marathon.troubles = [TroubleError("no byte for 46 s")]
    with held(marathon) as mine:
        with pytest.raises(TroubleError):
            mine.take("")
        mine.take("")
        mine.check()


def test_who_may_not_make_a_lock_goes_on_without_and_says_so(marathon, caplog):
    marathon.troubles = [TroubleError("not for you", HTTPStatus.FORBIDDEN)]
    with held(marathon) as mine:
        mine.take("")
        mine.check()
    assert "would not notice each other" in caplog.text
    assert marathon.apps == {}


def test_a_lock_that_cannot_be_made_is_not_waited_for_without_end(marathon):
    marathon.create = lambda _: (_ for _ in ()).throw(TroubleError("locked", HTTPStatus.CONFLICT))
    with held(marathon) as mine, pytest.raises(ZddError) as caught:
        mine.take("")
    assert caught.value.code == Code.TAKEN
