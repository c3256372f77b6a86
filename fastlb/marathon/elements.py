"""Marathon's answer about all apps, one app after the other; what is known already is not read again.

It must not know what an app is: whoever reads them says, and gets along what was made last of the same id. Data flows:
a body of many megabytes -> the bytes of one app -> its JSON -> what is made of it; the JSON is gone before the next is
looked at. So the memory that one app takes to read serves all, instead of several times that of the whole answer, in
which what stays would lie scattered and keep it from being given back.

Bytes that were in the last answer too need not be read at all. They are compared by a digest, not by one of Python's
hashes: an app's owner chooses its bytes, and two that look the same would cost another app its truth.

An answer is cut without being understood, which cannot go wrong unnoticed: what stands around the elements is compared
in full, and if each piece is a JSON object, the whole is JSON with these elements. Where that does not hold, the whole
is parsed in the plain way, which knows what to say of it.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from fastlb import kernel
from fastlb.marathon.answers import all_apps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fastlb.marathon.http import Answer

Json = dict[str, Any]

DIGEST_BYTES = 16
_BLANK = rb"[ \t\n\r]*+"
_OPENING = re.compile(_BLANK.join((b"", rb"\{", b'"apps"', b":", rb"\[", b"")))
_BETWEEN = re.compile(_BLANK.join((b"", b",", b"")))
_CLOSING = re.compile(_BLANK.join((b"", rb"\]", rb"\}", rb"\Z")))


class _Element(NamedTuple):
    """An app's id, empty if it is no text, and what was made of it, None if it is not wanted."""

    app_id: str
    made: Any


class _OddError(Exception):
    """An answer that is not of the usual form."""


class Elements:
    """What is made of apps: ``read(document, before)``, where ``before`` is what was made last of the same id, or None.

    Apps for which ``is_wanted`` is false are passed over.
    """

    def __init__(self, read: Callable[[Json, Any], Any], is_wanted: Callable[[Json], bool]) -> None:
        self._read = read
        self._is_wanted = is_wanted
        self._last: dict[str, Any] = {}
        self._by_digest: dict[bytes, _Element] = {}

    def everything(self, answer: Answer) -> list[Any]:
        """Return what is made of all apps of an answer, in its order. Raises MarathonAnswerError."""
        try:
            by_digest, elements = self._cut(answer)
        except (_OddError, orjson.JSONDecodeError):
            by_digest, elements = {}, [self._element(document) for document in all_apps(answer)]
        self._by_digest, self._last = by_digest, dict(elements)
        return [element.made for element in elements if element.made is not None]

    def one(self, app_id: str, document: Json | None) -> Any:
        """Return what is made of an answer about one app; None when there is none."""
        if document is None:
            self._last.pop(app_id, None)
            return None
        self._last[app_id] = made = self._read(document, self._last.get(app_id))
        return made

    def _cut(self, answer: Answer) -> tuple[dict[bytes, _Element], list[_Element]]:
        if answer.status != HTTPStatus.OK:
            raise _OddError
        by_digest: dict[bytes, _Element] = {}
        elements = []
        for piece in _pieces(answer.body):
            digest = blake2b(piece, digest_size=DIGEST_BYTES).digest()
            element = self._by_digest.get(digest) or self._element_of(piece)
            by_digest[digest] = element
            elements.append(element)
        return by_digest, elements

    def _element_of(self, piece: memoryview) -> _Element:
        element = self._element(orjson.loads(piece))
        if not element.app_id:
            raise _OddError
        return element

    def _element(self, document: Json) -> _Element:
        found = document.get("id")
        app_id = found if isinstance(found, str) else ""
        if not self._is_wanted(document):
            return _Element(app_id, None)
        return _Element(app_id, self._read(document, self._last.get(app_id)))


def _pieces(body: bytes | bytearray) -> Iterator[memoryview]:
    """Cut an answer into the objects that are its apps. Raises _OddError where it is anything but those in a list."""
    view = memoryview(body)
    opening = _OPENING.match(body)
    while opening:
        end = kernel.object_end(body, opening.end())
        if end < 0:
            raise _OddError
        yield view[opening.end() : end]
        opening = _BETWEEN.match(body, end)
        if not opening and _CLOSING.match(body, end):
            return
    raise _OddError
