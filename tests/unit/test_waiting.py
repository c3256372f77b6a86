"""Slow work is waited for, and meanwhile somebody hears what cannot wait."""

from __future__ import annotations

import threading

import pytest

from fastlb.waiting import HEAR_S, PatientTrial, Waiting

WITHIN_S = 10


def test_what_cannot_wait_is_heard_again_and_again_until_the_work_is_done():
    waiting, heard, enough = Waiting(), [], threading.Event()

    def hear(within_s: float) -> None:
        heard.append(within_s)
        if len(heard) == 3:
            enough.set()

    waiting.hear = hear
    assert waiting.do(lambda: enough.wait(WITHIN_S))
    assert set(heard) == {HEAR_S}


def test_the_work_is_not_done_by_the_one_who_waits():
    assert Waiting().do(threading.get_ident) != threading.get_ident()


def test_what_the_work_raises_is_raised_to_the_one_who_waits():
    with pytest.raises(ZeroDivisionError):
        Waiting().do(lambda: 1 / 0)


def test_a_patient_trial_says_what_the_trial_says():
    class Trial:
        count = 0

        def run(self, rendering: str) -> str:
            self.count += 1
            return f"{rendering} is fine"

    patient = PatientTrial(Trial(), Waiting())
    assert (patient.run("it"), patient.count) == ("it is fine", 1)
