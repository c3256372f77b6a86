"""An answer about all apps cut into its elements says what the same answer says that is parsed as a whole."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlb.errors import MarathonAnswerError
from fastlb.marathon.answers import all_apps
from fastlb.marathon.elements import Elements
from fastlb.marathon.http import Answer
from fastlb.reading import read_again
from fastlb.store import Store
from tests.fakes.apps import app, task

SAME_TWIN = [HealthCheck.function_scoped_fixture]
BLANKS = st.sampled_from(["", "", " ", "\n  ", "\r\n\t"])
app_ids = st.sampled_from(["/a", "/b", "/c", "/d/é", '/"{', "/\\", ""])
texts = st.sampled_from(['"', "\\", '\\"', "{", "}]", "é", "\u2028", "x" * 20]) | st.text(max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
documents = st.one_of(
    *[
        st.builds(
            app,
            app_ids,
            st.just([10000]),
            st.dictionaries(st.sampled_from(["HAPROXY_GROUP", "a", '"']), texts, max_size=2),
            tasks=st.lists(
                st.builds(
                    task,
                    st.integers(0, 3),
                    healthCheckResults=st.just([]) | st.just([{"alive": True}, {"alive": False}]),
                ),
                max_size=2,
            ),
        )
    ]
    * 3,
    st.dictionaries(st.sampled_from(["id", "labels", "tasks"]) | texts, json_values, max_size=3),
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Draw an answer, mostly of the usual form: with blanks, in either way to write what is not ASCII, or broken."""
    elements = draw(st.lists(st.one_of(documents, documents, documents, json_values), max_size=5))
    head, *separators = (draw(BLANKS) for _ in range(4))
    comma, colon, tail = separators
    form = {"ensure_ascii": draw(st.booleans()), "separators": ("," + comma, colon + ":")}
    dumped = ("," + comma).join(json.dumps(element, **form) for element in elements)
    text = f'{head}{{{tail}"apps"{colon}:{head}[{comma}{dumped}{tail}]{head}}}{tail}'
    data = text.encode("utf-8", "surrogatepass")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 3))
        other = draw(
            st.sampled_from([b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"\xff", b"\xef\xbb\xbf", b"\\ud800"])
        )
        data = data[:at] + other + data[at + length :]
    return data


def answer(data: bytes) -> Answer:
    return Answer(200, (), bytearray(data), 0.0, "http://marathon")


def outcome(function: Any, data: bytes, seen: Any = repr) -> tuple[str, Any]:
    try:
        return "answers", seen(function(answer(data)))
    except MarathonAnswerError as error:
        return "is refused", str(error)


def as_it_is(document: Any, _before: Any) -> Any:
    return document


@settings(max_examples=500, deadline=None, suppress_health_check=SAME_TWIN)
@given(st.lists(bodies(), min_size=1, max_size=3))
def test_what_is_cut_is_what_is_parsed_as_a_whole_and_is_refused_in_the_same_words(kernel_twin, several):
    elements = Elements(as_it_is, lambda _: True)
    for data in (*several, *several):
        assert outcome(elements.everything, data) == outcome(all_apps, data)


def state(store: Store) -> Any:
    return store.apps, store.notes, set(store.known_alive), store.complete


steps = st.one_of(
    st.tuples(st.none(), st.lists(documents, max_size=4)),
    st.tuples(app_ids, st.none() | documents),
)


@settings(max_examples=200, deadline=None, suppress_health_check=SAME_TWIN)
@given(st.lists(steps, max_size=8))
def test_a_store_that_gets_apps_that_were_read_before_says_what_one_says_that_reads_them_itself(kernel_twin, history):
    elements, read, unread = Elements(read_again, lambda _: True), Store(0.0), Store(0.0)
    for app_id, content in history:
        if app_id is None:
            data = json.dumps({"apps": content}).encode()
            try:
                documents = all_apps(answer(data))
            except MarathonAnswerError:
                continue
            taken = read.take(elements.everything(answer(data)), 0.0), unread.take(documents, 0.0)
        else:
            made = elements.one(app_id, copy.deepcopy(content))
            taken = read.take_apps({app_id: made}, 0.0), unread.take_apps({app_id: content}, 0.0)
        assert repr(taken[0]) == repr(taken[1])
        assert repr(state(read)) == repr(state(unread))


@pytest.mark.parametrize("depth", [10, 490, 510, 1000, 1020, 1030, 2000])
def test_how_deep_json_may_be_is_the_same(kernel_twin, depth):
    for opening, closing in ((b"[", b"]"), (b'{"x":', b"}")):
        data = b'{"apps":[{"id":"/a","x":' + opening * depth + b"1" + closing * depth + b"}]}"
        elements = Elements(as_it_is, lambda _: True)
        for _ in range(2):
            assert outcome(elements.everything, data, len) == outcome(all_apps, data, len)
