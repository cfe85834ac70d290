from __future__ import annotations

import asyncio

import pytest

from web.serving.shared_answers import SharedAnswers


class Source:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self) -> int:
        self.asked += 1
        number = self.asked
        await self.may_answer.wait()
        if number == 0:
            raise OSError("the server is away")
        return number


async def test_many_share_one_answer() -> None:
    source, shared = Source(), SharedAnswers[str, int](60)
    answers = await asyncio.gather(*(shared.get("a", source.answer) for _ in range(9)))
    assert answers == [1] * 9
    assert await shared.get("a", source.answer) == 1
    assert await shared.get("b", source.answer) == 2


async def test_nobody_waits_while_it_is_made_anew() -> None:
    source, shared = Source(), SharedAnswers[str, int](1.0)
    assert await shared.get("a", source.answer) == 1
    shared._entries["a"].made_at -= 0.6
    source.may_answer.clear()
    assert await shared.get("a", source.answer) == 1
    await asyncio.sleep(0)
    assert source.asked == 2
    shared._entries["a"].made_at -= 0.6
    waiting = asyncio.create_task(shared.get("a", source.answer))
    await asyncio.sleep(0)
    assert not waiting.done()
    source.may_answer.set()
    assert await waiting == 2


async def test_who_leaves_takes_nothing_from_the_others() -> None:
    source, shared = Source(), SharedAnswers[str, int](60)
    source.may_answer.clear()
    first = asyncio.create_task(shared.get("a", source.answer))
    second = asyncio.create_task(shared.get("a", source.answer))
    await asyncio.sleep(0)
    first.cancel()
    source.may_answer.set()
    assert await second == 1


async def test_after_a_failure_the_next_one_asks_again() -> None:
    source, shared = Source(), SharedAnswers[str, int](60)
    source.asked = -1
    with pytest.raises(OSError, match="away"):
        await shared.get("a", source.answer)
    assert await shared.get("a", source.answer) == 1
