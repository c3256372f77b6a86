"""``fastlb explain`` offline: what a saved answer of Marathon would lead to, and the exit codes."""

from __future__ import annotations

import json

import pytest

from fastlb.cli import main
from tests.fakes.apps import app

pytestmark = pytest.mark.usefixtures("root_logger")


@pytest.fixture
def ask(tmp_path, capsys):
    """Run the command on a file of two apps; return the exit code and what it printed."""
    documents = [app("/web", labels={"HAPROXY_0_VHOST": "web.test"}), app("/bad", labels={"HAPROXY_0_PORT": "x"})]
    (tmp_path / "apps.json").write_text(json.dumps({"apps": documents}))

    def run(*words):
        code = main(["explain", *words, "--group", "external", "--apps-file", str(tmp_path / "apps.json")])
        return code, capsys.readouterr().out

    return run


def test_an_app_is_explained_as_text(ask):
    code, said = ask("/web")
    assert (code, said.startswith("app /web: exposed\n"), "vhosts web.test" in said) == (0, True, True)


def test_an_app_is_explained_as_json(ask):
    code, said = ask("/bad", "--json")
    found = json.loads(said)
    assert (code, found["exposed"], found["services"][0]["why_not"]["kind"]) == (0, False, "label")


def test_the_flags_of_generation_count(ask):
    assert "--strict-mode" in ask("/web", "--strict-mode")[1]


def test_all_problems_are_a_line_each(ask):
    code, said = ask("--all-problems")
    assert (code, said) == (
        0,
        "app /bad (service port 10000): label HAPROXY_0_PORT is 'x', an integer is needed\n",
    )
    assert json.loads(ask("--all-problems", "--json")[1]) == [said.strip()]


def test_an_unknown_app_ends_with_1_and_the_nearest_id(ask):
    assert ask("/wbe") == (1, "Marathon has no app /wbe\ndid you mean /web?\n")


@pytest.mark.parametrize("words", [(), ("/web", "--all-problems")])
def test_one_of_the_two_has_to_be_asked_for(ask, words):
    with pytest.raises(SystemExit) as ended:
        ask(*words)
    assert ended.value.code == 2
