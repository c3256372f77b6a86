"""How text depends on HAProxy's version."""

from __future__ import annotations

import pytest

from fastlb.dialect import Dialect, parse_version
from fastlb.errors import UsageError


@pytest.mark.parametrize(
    ("version", "has_req_rsp", "shares_names"),
    [
        ((2, 0), True, True),
        ((2, 1), False, True),
        ((3, 2), False, True),
        ((3, 3), False, False),
        ((4, 0), False, False),
    ],
)
def test_versions_differ_in_directives_and_in_shared_names(version, has_req_rsp, shares_names):
    dialect = Dialect(version)
    assert (dialect.has_req_rsp, dialect.shares_names) == (has_req_rsp, shares_names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("frontend {backend}\n", "frontend {backend}_in\n"),
        ("\n\tfrontend {name}\r\n  bind x\n", "\n\tfrontend {name}_in\n  bind x\n"),
        ("frontend {{ backend }}\n", "frontend {{ backend }}_in\n"),
        ("frontend {backend} \n", "frontend {backend}_in\n"),
        ("frontend fixed\n", "frontend fixed\n"),
        ("frontend {backend}_own\n", "frontend {backend}_own\n"),
        ("# frontend {backend}\n", "# frontend {backend}\n"),
        ("backend {backend}\n", "backend {backend}\n"),
    ],
)
def test_a_frontend_named_like_its_backend_is_renamed_where_names_are_not_shared(text, expected):
    assert Dialect((3, 3)).adapt_frontend(text) == expected
    assert Dialect((3, 2)).adapt_frontend(text) == text


@pytest.mark.parametrize(("text", "version"), [("2.6", (2, 6)), (" 3.0.11 ", (3, 0)), ("3.4-dev5", (3, 4))])
def test_a_version_is_its_first_two_numbers(text, version):
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "3", "two.six", "2.6x", "99999.1"])
def test_what_is_no_version_is_refused(text):
    with pytest.raises(UsageError, match="is no HAProxy version"):
        parse_version(text)
