"""A question to the loop is answered once, and costs the loop nothing."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from fastlb.questions import Asked, Known

KNOWN = Known(None, None, None)


def test_what_the_look_returns_is_the_answer():
    answer = Future()
    Asked(lambda known: known is KNOWN, answer).respond(KNOWN)
    assert answer.result(0) is True


def test_what_the_look_raises_is_raised_where_it_was_asked():
    answer = Future()
    Asked(lambda _known: 1 / 0, answer).respond(KNOWN)
    with pytest.raises(ZeroDivisionError):
        answer.result(0)


def test_who_has_stopped_waiting_causes_no_look():
    answer, looks = Future(), []
    answer.cancel()
    Asked(looks.append, answer).respond(KNOWN)
    assert looks == []
