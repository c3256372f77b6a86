"""Hooks: what they are told, and what becomes of one that fails or hangs."""

from __future__ import annotations

import orjson
import pytest

from fastlb.zdd.outcomes import Code


def test_the_hooks_are_told_what_happens(stage):
    told = stage.folder / "told"
    hook = stage.hook(f'for each; do echo "$each" >> {told}; done; echo loud; echo -- >> {told}')
    assert stage.run("--pre-kill-hook", hook, "--before-start-hook", hook, "--after-finish-hook", hook) == Code.DONE
    calls = [list(map(orjson.loads, call.split("\n")[:-1])) for call in told.read_text().split("--\n")[:-1]]
    assert [app and app["id"] for app in calls[0]] == ["/shop/api-blue", "/shop/api-green"]
    for old, tasks, new in calls[1:-1]:
        assert set(tasks) <= {task["id"] for task in old["tasks"]}
        assert (old["id"], new["id"]) == ("/shop/api-blue", "/shop/api-green")
    assert calls[-1][1]["instances"] == 4
    assert len(calls) > 2


@pytest.mark.parametrize("text", ["exit 3", "sleep 60 & sleep 60", "kill -9 $$"])
@pytest.mark.parametrize("flag", ["--before-start-hook", "--pre-kill-hook"])
def test_a_hook_that_fails_or_hangs_stops_the_run_and_it_can_be_resumed(stage, flag, text):
    assert stage.run(flag, stage.hook(text), "--hook-timeout", "0.3") == Code.UNEXPECTED
    assert stage.healthy() >= 4
    assert stage.run("--resume") == Code.DONE
    assert stage.sizes() == {"/shop/api-green": 4}


def test_a_hook_that_fails_after_all_is_done_fails_the_run_and_undoes_nothing(stage, capsys):
    assert stage.run("--after-finish-hook", stage.hook("exit 3")) == Code.UNEXPECTED
    assert "has taken over from /shop/api-blue, but hook" in capsys.readouterr().err
    assert stage.sizes() == {"/shop/api-green": 4}
