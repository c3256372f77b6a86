"""The command line as people meet it: what is printed where, and the exit codes."""

from __future__ import annotations

import pytest

from fastlb import __version__
from fastlb.cli import main
from fastlb.labels import TEMPLATE_LABELS, VALUE_LABELS
from fastlb.templates import NAMES

pytestmark = pytest.mark.usefixtures("root_logger")


def test_without_a_command_the_usage_is_printed_and_the_code_is_2(capsys):
    assert main([]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.startswith("usage: fastlb")) == ("", True)


def test_the_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"fastlb {__version__}\n")


@pytest.mark.parametrize("argv", [["--longhelp"], ["sse", "--longhelp"]])
def test_longhelp_prints_the_usage_in_a_fence_and_every_template_and_label(capsys, argv):
    assert main(argv) == 0
    manual = capsys.readouterr().out
    assert "```\nusage: fastlb" in manual
    assert all(f"### `HAPROXY_{name}`" in manual for name in NAMES)
    assert all(f"- `HAPROXY_{{n}}_{name}`: " in manual for name in (*TEMPLATE_LABELS, *VALUE_LABELS))


@pytest.mark.parametrize("command", ["sse", "poll", "render"])
def test_a_missing_group_is_a_usage_error_in_marathon_lbs_words(capsys, command):
    with pytest.raises(SystemExit) as ended:
        main([command])
    said = capsys.readouterr().err.splitlines()
    assert (ended.value.code, said[0].split()[:3]) == (2, ["usage:", "fastlb", command])
    assert said[-1].endswith("error: argument --group is required: pleasespecify at least one group name")


def test_render_of_a_file_that_is_no_answer_of_marathon_ends_with_1(capsys, tmp_path):
    (tmp_path / "apps.json").write_text('{"message": "no"}')
    assert main(["render", "--group", "x", "--apps-file", str(tmp_path / "apps.json")]) == 1
    assert "it has no array of apps" in capsys.readouterr().err
