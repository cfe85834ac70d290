from __future__ import annotations

import uuid

import asyncpg
import pytest
from msgspec import Struct

from tests.stores.postgres.fixtures import Connection
from trafficapp.stores.postgres.patience import fetchval_patiently
from trafficapp.stores.postgres.reading import shaped


class Shape(Struct, frozen=True, kw_only=True):
    id: str
    at: str
    until: str | None
    name: str
    count: int = 7


async def test_a_row_is_the_shape_whose_fields_its_columns_name(database: Connection) -> None:
    one = uuid.uuid4()
    row = await database.fetchrow(
        "SELECT $1::uuid AS id, timestamptz '2026-01-02 03:04:05.5+01' AS at, NULL::timestamptz AS until, 1 AS other",
        one,
    )
    assert row is not None
    assert shaped(Shape, row, name="told") == Shape(
        id=str(one), at="2026-01-02T02:04:05.500000Z", until=None, name="told"
    )
    assert shaped(Shape, row, name="told", at="then", count=1).at == "then"
    with pytest.raises(TypeError, match="name"):
        shaped(Shape, row)


async def test_what_needs_a_lock_lets_writers_pass(database: Connection, history_url: str) -> None:
    locking = "WITH locked AS (SELECT 1 FROM sink_offsets FOR UPDATE) SELECT count(*) FROM locked"
    await database.execute("INSERT INTO sink_offsets VALUES ('s', 't', 0, 1) ON CONFLICT DO NOTHING")
    other = await asyncpg.connect(history_url)
    try:
        async with database.transaction():
            await database.execute("SELECT 1 FROM sink_offsets FOR UPDATE")
            with pytest.raises(asyncpg.LockNotAvailableError, match="stays in use"):
                await fetchval_patiently(other, locking, attempts=2, pause_seconds=0)
        assert await fetchval_patiently(other, locking, attempts=1, pause_seconds=0) >= 1
    finally:
        await other.close()
