"""Of an answer about all apps only what is new is read; no app's JSON outlives the reading of the next."""

from __future__ import annotations

import tracemalloc

import orjson
import pytest

from fastlb.errors import MarathonAnswerError
from fastlb.marathon.elements import Elements
from fastlb.marathon.http import Answer
from fastlb.reading import read_again
from tests.fakes.apps import app, task

pytestmark = pytest.mark.usefixtures("kernel_twin")


def answer(*documents, body=None, status=200):
    return Answer(status, (), orjson.dumps({"apps": documents}) if body is None else body, 0.0, "http://marathon")


class Reader:
    """Reads ids; remembers what it was asked."""

    def __init__(self, is_wanted=lambda _: True):
        self.asked = []
        self.elements = Elements(self.read, is_wanted)

    def read(self, document, before):
        self.asked.append((document["id"], before))
        return f"{document['id']} {len(self.asked)}"

    def everything(self, *documents, **more):
        self.asked.clear()
        return self.elements.everything(answer(*documents, **more))


def test_what_has_the_same_bytes_as_before_is_not_read_again():
    reader = Reader()
    first = reader.everything({"id": "/a"}, {"id": "/b"})
    assert reader.everything({"id": "/b"}, {"id": "/a"}) == first[::-1]
    assert reader.asked == []


def test_what_has_other_bytes_is_read_with_what_it_was_before():
    reader = Reader()
    reader.everything({"id": "/a"}, {"id": "/b"})
    assert reader.everything({"id": "/a"}, {"id": "/b", "x": 1}) == ["/a 1", "/b 1"]
    assert reader.asked == [("/b", "/b 2")]


def test_an_app_that_was_read_alone_is_what_it_was_before():
    reader = Reader()
    reader.everything({"id": "/a"})
    assert reader.elements.one("/a", {"id": "/a", "x": 1}) == "/a 2"
    reader.everything({"id": "/a", "x": 1})
    assert reader.asked == [("/a", "/a 2")]


@pytest.mark.parametrize("gone", [lambda reader: reader.elements.one("/a", None), lambda reader: reader.everything()])
def test_what_is_gone_is_forgotten(gone):
    reader = Reader()
    reader.elements.one("/a", {"id": "/a"})
    assert gone(reader) in (None, [])
    reader.everything({"id": "/a"})
    assert reader.asked == [("/a", None)]


def test_what_is_not_wanted_is_passed_over_each_time():
    reader = Reader(lambda document: document["id"] != "/a")
    for _ in range(2):
        assert [made[:2] for made in reader.everything({"id": "/a"}, {"id": "/b"})] == ["/b"]


def test_two_of_one_id_are_both_told_in_their_order():
    reader = Reader()
    for _ in range(2):
        assert reader.everything({"id": "/a"}, {"id": "/a", "x": 1}) == ["/a 1", "/a 2"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"apps":[{"id":"/a"},{"id":"/b"}],"more":[{}]}',
        b'{"more":{"apps":[]},"apps":[{"id":"/a"},{"id":"/b"}]}',
        b'{"apps":[],"apps":[{"id":"/a"},{"id":"/b"}]}',
        b'{"\\u0061pps":[{"id":"/a"},{"id":"/b"}]}',
        b'{"apps":[{"id":"/a"},{"id":"/b","x":' + b"[" * 1000 + b"]" * 1000 + b"}]}",
    ],
)
def test_an_answer_of_another_form_is_read_as_a_whole(body):
    reader = Reader()
    for _ in range(2):
        assert [made[:2] for made in reader.everything(body=body)] == ["/a", "/b"]


def test_an_answer_that_is_refused_leaves_what_is_known_as_it_is():
    reader = Reader()
    reader.everything({"id": "/a"})
    for more in ({"body": b'{"apps":[{"id":"/a","x":1},{"id":"/b"},{"id":"/c",}]}'}, {"body": b"", "status": 503}):
        with pytest.raises(MarathonAnswerError):
            reader.everything(**more)
    assert reader.everything({"id": "/a"}) == ["/a 1"]
    assert reader.asked == []


def test_reading_everything_again_takes_little_more_memory_than_its_largest_app():
    documents = [app(f"/app-{number}", tasks=[task(n) for n in range(20)]) for number in range(400)]
    elements = Elements(read_again, lambda _: True)
    first = elements.everything(answer(*documents))
    for document in documents:
        document["version"] = "other"  # all bytes are other ones, all apps the same
    again = answer(*documents)
    whole_bytes = traced_peak_bytes(lambda: orjson.loads(again.body))
    assert traced_peak_bytes(lambda: elements.everything(again)) < whole_bytes / 8
    assert all(map(lambda one, other: one is other, first, elements.everything(again)))


def traced_peak_bytes(work):
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
