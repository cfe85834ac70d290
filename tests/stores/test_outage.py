"""An outage is told once at its beginning and once at its end, and each pause is longer than the one before."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from trafficapp.stores.outage import Outage
from trafficapp.stores.postgres.connection import outage_of

POSTGRES = outage_of("postgresql://someone:secret@there:5432/history")


@pytest.mark.parametrize(
    ("outage", "first", "longest"), [(Outage("Redis"), 0.1, 2.0), (POSTGRES, 0.2, 5.0)], ids=["Redis", "Postgres"]
)
async def test_pauses_double_up_to_the_longest_and_begin_anew(
    outage: Outage, first: float, longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    for _ in range(8):
        outage.met(OSError("refused"))
        await outage.pause()
    outage.over()
    outage.met(OSError("refused"))
    await outage.pause()
    outage.over()
    expected = [min(first * 2**number, longest) for number in range(8)] + [first]
    assert all(abs(pause - wanted) <= wanted / 4 for pause, wanted in zip(slept, expected, strict=True))


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
