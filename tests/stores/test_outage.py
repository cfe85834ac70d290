"""An outage is told once at its beginning and once at its end, and each pause is longer than the one before."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from itertools import islice

import asyncpg
import pytest

from trafficapp.stores.outage import Outage, pauses
from trafficapp.stores.postgres.connection import outage_of, retrying

POSTGRES = outage_of("postgresql://someone:secret@there:5432/history")


def test_pauses_double_from_a_fifth_to_five_seconds() -> None:
    assert list(islice(pauses(0.2, 5.0), 7)) == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


async def test_pauses_of_an_outage_begin_anew_with_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    outage = Outage("Redis")
    for _ in range(6):
        outage.met(OSError("refused"))
        await outage.pause()
    outage.over()
    outage.met(OSError("refused"))
    await outage.pause()
    expected = [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 0.1]
    assert all(abs(pause - wanted) <= wanted / 4 for pause, wanted in zip(slept, expected, strict=True))


async def test_who_tries_beside_others_waits_no_longer_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: dict[str, list[float]] = {"one": [], "other": []}
    who = ContextVar[str]("who")

    async def sleep(seconds: float) -> None:
        slept[who.get()].append(seconds)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)

    async def tries(name: str, shared: Outage) -> None:
        who.set(name)
        left = iter([OSError("refused")] * 3)

        async def action() -> None:
            for error in left:
                raise error

        await retrying(action, shared)

    shared = outage_of("postgresql://someone@there:5432/history")
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await asyncio.gather(tries("one", shared), tries("other", shared))
    assert slept == {"one": [0.2, 0.4, 0.8], "other": [0.2, 0.4, 0.8]}


@pytest.mark.parametrize(
    ("outage", "error", "told"),
    [
        (Outage("Redis"), OSError("refused"), "Redis is away (refused); waiting for it"),
        (Outage("Redis"), TimeoutError(), "Redis is away (TimeoutError); waiting for it"),
        (POSTGRES, OSError("re\nfused"), "Postgres at there:5432 cannot be used (OSError: re fused); waiting for it"),
        (POSTGRES, TimeoutError(), "Postgres at there:5432 cannot be used (TimeoutError); waiting for it"),
        (
            POSTGRES,
            asyncpg.UndefinedTableError("no such table"),
            "Postgres at there:5432 has a schema that is not up to date (UndefinedTableError: no such table); "
            "waiting for `trafficapp migrate`",
        ),
    ],
)
def test_an_outage_is_told_once_and_its_end_once(
    outage: Outage, error: Exception, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    outage.over()
    assert not outage.lasting
    for _ in range(3):
        outage.met(error)
        assert outage.lasting
    for _ in range(3):
        outage.over()
        assert not outage.lasting
    first, last = [record.getMessage() for record in caplog.records]
    assert first == told
    assert last == f"{outage.name} is back after 0.0 s"
