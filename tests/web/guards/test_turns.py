from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from web.guards.turns import Turns
from web.serving.problems import ProblemError


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_who_asks_without_a_pause_has_half_of_the_time() -> None:
    clock = Clock()
    turns = Turns("questions", 2, wait_seconds=3600, most_rest_seconds=0.02, clock=clock)
    visits = Visits(turns)
    await visits.come("hostile")
    second = await visits.come("hostile")
    clock.now = 10.0
    await visits.end("hostile")
    assert (visits.began, turns.running, turns.waiting) == (["hostile"], 0, 1)
    await visits.come("honest")  # is not held up by the other's rest
    assert visits.began == ["hostile", "honest"]
    while turns.waiting:  # noqa: ASYNC110 - it is a timer of the loop that is waited for
        await asyncio.sleep(0.001)
    await settled()
    assert visits.began == ["hostile", "honest", "hostile"]
    await visits.end("hostile")
    await visits.end("honest")
    await second
    assert turns.running == 0


class Visits:
    """Turns that are held until they are told to end, in the order in which they began."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.began: list[str] = []
        self.refused: list[str] = []
        self._ends: dict[str, list[asyncio.Event]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def come(self, client: str, price: float = 1.0) -> asyncio.Task[None]:
        task = asyncio.create_task(self._visit(client, price))
        self._tasks.append(task)
        await settled()
        return task

    async def end(self, client: str) -> None:
        self._ends[client].pop(0).set()
        await settled()

    async def _visit(self, client: str, price: float) -> None:
        try:
            async with self.turns.turn(client, price):
                self.began.append(client)
                end = asyncio.Event()
                self._ends.setdefault(client, []).append(end)
                await end.wait()
        except ProblemError as error:
            if (error.status, error.headers["Retry-After"]) == (429, "3600"):
                self.refused.append(client)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def make() -> Callable[..., Visits]:
    def visits(at_once: int = 2, each: int = 1, waiting: tuple[int, int] = (2, 4), wait: float = 3600) -> Visits:
        return Visits(Turns("questions", at_once, each, waiting=waiting, wait_seconds=wait, clock=Clock()))

    return visits


async def test_one_client_has_one_turn_and_others_have_theirs(make: Callable[..., Visits]) -> None:
    visits = make()
    for _ in range(5):
        await visits.come("greedy")
    assert (visits.began, visits.refused) == (["greedy"], ["greedy"] * 2)
    await visits.come("honest")
    assert visits.began == ["greedy", "honest"]
    await visits.end("honest")
    # the free turn is not for who has one
    assert visits.began == ["greedy", "honest"]
    await visits.end("greedy")
    await visits.end("greedy")
    await visits.end("greedy")
    assert visits.began == ["greedy", "honest", "greedy", "greedy"]
    assert (visits.turns.running, visits.turns.waiting) == (0, 0)


async def test_of_those_who_wait_who_had_least_comes_next(make: Callable[..., Visits]) -> None:
    visits = make(at_once=1)
    await visits.come("dear", price=1000)
    await visits.come("dear", price=1000)
    await visits.come("cheap", price=10)
    await visits.come("new", price=500)
    await visits.come("cheap", price=10)
    for ending in ("dear", "cheap", "new", "cheap", "dear"):
        await visits.end(ending)
    assert visits.began == ["dear", "cheap", "new", "cheap", "dear"]


async def test_no_more_wait_than_agreed(make: Callable[..., Visits]) -> None:
    visits = make(at_once=1)
    for client in "abcdefg":
        await visits.come(client)
    assert (visits.began, visits.refused, visits.turns.waiting) == (["a"], ["f", "g"], 4)


async def test_who_leaves_while_he_waits_or_is_served_takes_nobody_s_turn(make: Callable[..., Visits]) -> None:
    visits = make(at_once=1)
    running = await visits.come("a")
    waiting = await visits.come("b")
    await visits.come("c")
    waiting.cancel()
    await settled()
    assert visits.turns.waiting == 1
    running.cancel()
    await settled()
    assert visits.began == ["a", "c"]
    await visits.end("c")
    assert (visits.turns.running, visits.turns.waiting) == (0, 0)


async def test_who_leaves_just_when_it_is_his_turn(make: Callable[..., Visits]) -> None:
    visits = make(at_once=1)
    await visits.come("a")
    waiting = await visits.come("b")
    await visits.come("c")
    visits._ends["a"].pop(0).set()
    while visits.turns._running.get("a"):  # noqa: ASYNC110 - until the turn is given, and not a step longer
        await asyncio.sleep(0)
    waiting.cancel()
    await settled()
    assert visits.began == ["a", "c"]
    await visits.end("c")
    assert visits.turns.running == 0


async def test_waiting_ends(make: Callable[..., Visits]) -> None:
    turns = Turns("questions", 1, waiting=(2, 4), wait_seconds=0.05)
    async with turns.turn("a"):
        with pytest.raises(ProblemError, match="questions"):
            async with turns.turn("b"):
                pytest.fail("it was nobody's turn")
        assert turns.waiting == 0
    async with turns.turn("b"):
        assert turns.running == 1


async def test_nobody_waits_where_nobody_may() -> None:
    turns = Turns("files", 2, 2)

    async with turns.turn("a"), turns.turn("a"):
        with pytest.raises(ProblemError):
            async with turns.turn("b"):
                pytest.fail("it was nobody's turn")
