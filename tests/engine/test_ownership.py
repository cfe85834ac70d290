"""What leads from one phase to the next, and that nothing of a take-over that was given up happens any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trafficapp.engine.ownership import Ownership, Phase


async def nothing(_: int) -> None:
    """A take-over that is done at once and completes nothing."""


async def begun(ownership: Ownership) -> int:
    """Begin a take-over that waits for ever; give its number."""
    turns: list[int] = []

    async def wait(turn: int) -> None:
        turns.append(turn)
        await asyncio.Event().wait()

    ownership.begin(wait)
    await asyncio.sleep(0)
    return turns[0]


async def test_from_the_beginning_to_ours_and_back() -> None:
    ownership = Ownership()
    assert ownership.phase is Phase.GIVEN_UP
    turn = await begun(ownership)
    assert (ownership.phase, ownership.is_current(turn)) == (Phase.TAKING_OVER, True)
    ownership.complete(turn)
    assert (ownership.phase, ownership.is_current(turn)) == (Phase.OURS, False)
    ownership.give_up()
    assert (ownership.phase, ownership.is_current(turn)) == (Phase.GIVEN_UP, False)


async def test_giving_up_stops_the_take_over_that_is_under_way() -> None:
    ownership = Ownership()
    turn = await begun(ownership)
    taking_over = ownership.taking_over
    assert taking_over is not None
    ownership.give_up()
    assert not ownership.is_current(turn)
    with pytest.raises(asyncio.CancelledError):
        await taking_over
    assert ownership.taking_over is None


async def test_a_take_over_that_a_library_kept_from_ending_cannot_complete() -> None:
    ownership = Ownership()
    seen: list[tuple[bool, bool]] = []

    async def take_over(turn: int) -> None:
        # as a library does that ends a task of its own just then
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        with pytest.raises(RuntimeError, match="not under way"):
            ownership.complete(turn)
        seen.append((ownership.is_current(turn), ownership.is_current(turn + 1)))

    ownership.begin(take_over)
    await asyncio.sleep(0)
    old = ownership.taking_over
    assert old is not None
    ownership.give_up()
    newest = await begun(ownership)
    await old
    assert seen == [(False, True)]
    assert ownership.phase is Phase.TAKING_OVER
    ownership.complete(newest)
    ownership.give_up()


@pytest.mark.parametrize("is_ours", [False, True])
async def test_nothing_begins_before_what_was_there_is_given_up(is_ours: bool) -> None:
    ownership = Ownership()
    turn = await begun(ownership)
    if is_ours:
        ownership.complete(turn)
    phase = ownership.phase
    with pytest.raises(RuntimeError, match=phase.value):
        ownership.begin(nothing)
    assert ownership.phase is phase
    ownership.give_up()


async def test_what_is_ours_is_not_completed_again() -> None:
    ownership = Ownership()
    turn = await begun(ownership)
    ownership.complete(turn)
    with pytest.raises(RuntimeError, match="ours"):
        ownership.complete(turn)


@given(st.lists(st.sampled_from(["begin", "complete", "complete an old one", "give up"]), max_size=30))
def test_whatever_happens_one_take_over_at_most_may_go_on(steps: list[str]) -> None:
    async def story() -> None:
        ownership = Ownership()
        turns: list[int] = []
        tasks: list[asyncio.Task[None]] = []
        expected = Phase.GIVEN_UP
        for step in steps:
            if step == "begin" and expected is Phase.GIVEN_UP:
                turns.append(await begun(ownership))
                assert ownership.taking_over is not None
                tasks.append(ownership.taking_over)
                expected = Phase.TAKING_OVER
            elif step == "complete" and expected is Phase.TAKING_OVER:
                ownership.complete(turns[-1])
                expected = Phase.OURS
            elif step == "give up":
                ownership.give_up()
                await asyncio.sleep(0)
                expected = Phase.GIVEN_UP
            else:
                refuse(ownership, turns[:-1] if step == "complete an old one" else turns, step)
            assert ownership.phase is expected
            current = [turn for turn in turns if ownership.is_current(turn)]
            assert current == (turns[-1:] if expected is Phase.TAKING_OVER else [])
            assert all(task.cancelled() for task in tasks[:-1])
            assert not tasks or tasks[-1].cancelled() == (expected is Phase.GIVEN_UP)
        ownership.give_up()

    asyncio.run(story())


def refuse(ownership: Ownership, turns: list[int], step: str) -> None:
    """Try what must be refused in this phase."""
    tries: list[Callable[[], None]] = [lambda turn=turn: ownership.complete(turn) for turn in turns]  # type: ignore[misc]
    if step == "begin":
        tries = [lambda: ownership.begin(nothing)]
    for one in tries:
        with pytest.raises(RuntimeError):
            one()
