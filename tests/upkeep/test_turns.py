"""What is due is done once by one of all workers, again after a failure or a kill, and not at a wrong time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import pytest

from agents.upkeep import tasks
from tests.stores.postgres.fixtures import Pool
from trafficapp.settings import load_settings
from trafficapp.settings.due_times import DueTimes
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.upkeep.processes import ProgramFailed, run_program
from trafficapp.upkeep.turns import PAUSE, Task, take_turn

DUE = datetime(2026, 1, 14, 1, 30, tzinfo=UTC)
NIGHTLY = DueTimes(2, 30, "Europe/Rome")


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    await asyncio.to_thread(migrate, database_url)
    async with create_pool(load_settings(postgres={"url": database_url}).postgres) as pool:
        await pool.execute("TRUNCATE upkeep")
        yield pool


class Work:
    """Counts how often it was done, and fails as often as asked."""

    def __init__(self, failures: int = 0) -> None:
        self.done, self.failures = 0, failures
        self.task = Task("backup", NIGHTLY, self)

    async def __call__(self) -> str:
        self.done += 1
        await asyncio.sleep(0.05)
        if self.done <= self.failures:
            raise ProgramFailed("the disk is full")
        return "done"

    async def turn(self, pool: Pool, moment: datetime) -> tuple[datetime | None, bool]:
        standing = await take_turn(pool, self.task, lambda: moment)
        return standing.succeeded_at, standing.failed


async def test_several_workers_do_it_once_a_night(pool: Pool) -> None:
    work = Work()
    found = await asyncio.gather(*(work.turn(pool, DUE) for _ in range(3)))
    assert work.done == 1
    assert (DUE, False) in found
    for later in (timedelta(minutes=1), timedelta(hours=23)):
        assert await work.turn(pool, DUE + later) == (DUE, False)
    assert work.done == 1
    tomorrow = DUE + timedelta(days=1, minutes=3)
    assert await work.turn(pool, tomorrow) == (tomorrow, False)
    assert work.done == 2


async def test_a_failure_is_tried_again_three_times_at_most(pool: Pool) -> None:
    work = Work(failures=9)
    moment = DUE
    for attempt in (1, 2, 3):
        assert await work.turn(pool, moment) == (None, True)
        assert work.done == attempt
        assert await work.turn(pool, moment + PAUSE / 2) == (None, True)
        assert work.done == attempt
        moment += PAUSE
    await work.turn(pool, moment + PAUSE)
    assert work.done == 3
    assert await pool.fetchval("SELECT outcome FROM upkeep") == "the disk is full"
    recovering = Work(failures=0)
    tomorrow = DUE + timedelta(days=1)
    assert await recovering.turn(pool, tomorrow) == (tomorrow, False)


async def test_what_a_killed_worker_began_another_one_does(pool: Pool) -> None:
    await pool.execute("INSERT INTO upkeep (name, due_at, attempts, started_at) VALUES ('backup', $1, 1, $1)", DUE)
    work = Work()
    assert await work.turn(pool, DUE + timedelta(seconds=5)) == (DUE + timedelta(seconds=5), False)
    assert work.done == 1


async def test_what_was_missed_in_the_night_is_not_made_up_for_at_noon(pool: Pool) -> None:
    work = Work()
    assert await work.turn(pool, DUE + timedelta(hours=6)) == (None, False)
    assert work.done == 0


async def test_a_worker_that_stops_leaves_it_to_the_others(pool: Pool) -> None:
    begun = asyncio.Event()

    async def endless() -> str:
        begun.set()
        return await run_program(["sleep", "600"])

    turn = asyncio.create_task(take_turn(pool, Task("backup", NIGHTLY, endless), lambda: DUE))
    await begun.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    work = Work()
    await work.turn(pool, DUE + PAUSE)
    assert work.done == 1


async def test_programs_say_why_they_failed() -> None:
    assert await run_program(["sh", "-c", "echo first; echo last"]) == "last"
    with pytest.raises(ProgramFailed, match=r"^it is / so$"):
        await run_program(["sh", "-c", "echo it is; echo so >&2; exit 3"])
    with pytest.raises(ProgramFailed, match="No such file"):
        await run_program(["no-such-program-anywhere"])


async def test_the_settings_say_what_is_done(pool: Pool, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tasks(load_settings()) == []
    monkeypatch.setenv("DATABASE_URL", database_url)
    settings = load_settings(forecast={"train_weekly": "sun 03:00"}, backup={"nightly": "02:30"})
    training, cameras, backup = tasks(settings)
    assert (cameras.name, cameras.times) == ("training_cameras", training.times)
    assert (training.name, training.times.weekday, backup.name, backup.times) == ("training", 6, "backup", NIGHTLY)
    # the database is empty; where torch is not installed, that is what is missing first
    missing = find_spec("torch") is None
    with pytest.raises(ProgramFailed, match="needs torch" if missing else "Postgres has no road observations"):
        await training.work()
    with pytest.raises(ProgramFailed, match="needs torch" if missing else "cameras"):
        await cameras.work()
