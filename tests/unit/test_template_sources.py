"""Where each template's text comes from: environment, then the operator's files, then the defaults."""

from __future__ import annotations

import pytest

from fastlb.template_sources import template_sources
from fastlb.templates import NAMES

NAME = "HAPROXY_FRONTEND_BACKEND_GLUE"


def source(folder, **environ):
    return template_sources(environ, folder)["FRONTEND_BACKEND_GLUE"]


def test_every_template_has_a_default(tmp_path):
    sources = template_sources({}, tmp_path / "missing")
    assert sources.keys() == NAMES
    assert all(each.origin.startswith("default HAPROXY_") for each in sources.values())


def test_the_environment_wins_and_its_backslash_n_is_a_newline(tmp_path):
    (tmp_path / NAME).write_text("file")
    found = source(tmp_path, **{NAME: "a\\nb\\t{backend}"})
    assert (found.text, found.jinja, found.origin) == ("a\nb\\t{backend}", False, f"environment variable {NAME}")


def test_an_empty_variable_counts_as_not_set(tmp_path):
    (tmp_path / NAME).write_text("file")
    assert source(tmp_path, **{NAME: ""}).text == "file"


@pytest.mark.parametrize(("content", "text"), [(b"a\r\nb\r\n", "a\nb\n"), (b"", ""), (b"a\\nb", "a\\nb")])
def test_a_file_is_taken_as_it_is_but_for_its_line_ends(tmp_path, content, text):
    (tmp_path / NAME).write_bytes(content)
    assert source(tmp_path).text == text


def test_a_file_with_the_suffix_is_jinja_and_yields_to_the_plain_one(tmp_path):
    (tmp_path / f"{NAME}.j2").write_text("jinja")
    assert (source(tmp_path).text, source(tmp_path).jinja) == ("jinja", True)
    (tmp_path / NAME).write_text("plain")
    assert (source(tmp_path).text, source(tmp_path).jinja) == ("plain", False)


def test_a_file_that_cannot_be_read_is_named_and_the_default_serves(tmp_path, caplog):
    (tmp_path / NAME).write_bytes(b"\xff\xfe")
    assert source(tmp_path).origin.startswith("default")
    assert f"template file {tmp_path / NAME} cannot be read" in caplog.text


def test_a_folder_in_the_place_of_a_file_is_no_template(tmp_path):
    (tmp_path / NAME).mkdir()
    assert source(tmp_path).origin.startswith("default")
