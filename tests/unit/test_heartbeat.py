"""Silence: what is too long, and what is nobody's fault."""

from __future__ import annotations

from fastlb.heartbeat import LONGEST_STEP_S, Silence


def test_silence_is_too_long_after_the_limit_and_a_beat_ends_it():
    silence = Silence(10)
    silence.beat(100)
    assert [silence.is_too_long(now_s) for now_s in (105, 110, 111)] == [False, False, True]
    silence.beat(112)
    assert not silence.is_too_long(121)


def test_who_has_never_beaten_is_not_waited_for():
    silence = Silence(10)
    assert not silence.is_too_long(1000)
    silence.beat(1000)
    silence.forget()
    assert not silence.is_too_long(2000)


def test_without_a_limit_no_silence_is_too_long():
    silence = Silence(0)
    silence.beat(0)
    assert not any(silence.is_too_long(now_s) for now_s in range(0, 10_000, 10))


def test_whoever_could_not_listen_blames_nobody():
    silence = Silence(2 * LONGEST_STEP_S)
    silence.beat(0)
    assert not silence.is_too_long(86_400)
    assert not silence.is_too_long(86_400 + LONGEST_STEP_S)
    assert silence.is_too_long(86_401 + LONGEST_STEP_S)


def test_one_long_step_is_not_enough_however_short_the_limit():
    """What came while nobody listened may still lie unread."""
    silence = Silence(5)
    silence.beat(0)
    assert not silence.is_too_long(86_400)
    silence.beat(86_400)
    assert not silence.is_too_long(86_404)
