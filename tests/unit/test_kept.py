"""What looking costs is limited, however many look."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fastlb.admin.kept import Kept, Modestly


def test_whoever_asks_within_a_moment_gets_the_same_made_once():
    made = []

    async def make():
        made.append(1)
        await asyncio.sleep(0)
        return "text"

    async def ask():
        kept = Kept(make, 60.0)
        return await asyncio.gather(*(kept.get() for _ in range(500)))

    assert (set(asyncio.run(ask())), len(made)) == ({"text"}, 1)


def test_what_is_old_is_made_anew():
    numbers = iter(range(10))

    async def make():
        return next(numbers)

    async def ask():
        kept = Kept(make, 0.0)
        found = []
        for _ in range(3):
            found.append(await kept.get())
            kept._good_until_s = 0.0
        return found

    assert asyncio.run(ask()) == [0, 1, 2]


def test_what_takes_long_is_kept_longer():
    made = []

    async def make():
        made.append(1)
        await asyncio.sleep(0.05)
        return "slow"

    async def ask():
        kept = Kept(make, 0.0)
        for _ in range(10):
            await kept.get()

    asyncio.run(ask())
    assert len(made) == 1


def test_a_failure_is_told_and_not_kept():
    answers = iter([OSError("not now"), "text"])

    async def make():
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def ask():
        kept = Kept(make, 60.0)
        with pytest.raises(OSError, match="not now"):
            await kept.get()
        return await kept.get()

    assert asyncio.run(ask()) == "text"


def test_work_for_many_is_done_one_at_a_time_beside_the_server():
    at_once, most, threads = [], [], set()

    def work():
        at_once.append(1)
        most.append(len(at_once))
        threads.add(threading.current_thread())
        at_once.pop()
        return "done"

    async def ask():
        modestly = Modestly()
        return await asyncio.gather(*(modestly.do(work) for _ in range(20)))

    assert set(asyncio.run(ask())) == {"done"}
    assert (max(most), threading.main_thread() in threads) == (1, False)


def test_after_work_that_fails_others_have_their_turn():
    def broken():
        raise OSError("no")

    async def ask():
        modestly = Modestly()
        with pytest.raises(OSError, match="no"):
            await modestly.do(broken)
        return await modestly.do(lambda: "next")

    assert asyncio.run(ask()) == "next"
