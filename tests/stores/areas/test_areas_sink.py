"""Readings and areas in Postgres, from the topic of checked readings on."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from models.areas.readings import AreaReading
from tests.areas.counters import NOON_US, STREAM, encoded
from tests.stores.postgres.fixtures import Connection, Pool
from tests.stores.postgres.records import owned, record
from trafficapp.areas.reading import AreaReader
from trafficapp.settings import Settings, load_settings
from trafficapp.settings.areas import AREA_COLUMNS, AreaColumnType
from trafficapp.stores.areas.area_queries import area, readings
from trafficapp.stores.areas.area_table import add_column, set_key
from trafficapp.stores.areas.areas_sink import HistoryAreasSink

NOON = datetime(2025, 12, 2, 8, 21, 42, tzinfo=UTC)
OTHER = "6c0f5a34-8a2c-4c55-9d4e-2f4f1a7f6a10"

READER = AreaReader(load_settings().areas)

Make = Callable[..., HistoryAreasSink]


@pytest.fixture
async def make(database: Connection, settings: Settings) -> AsyncIterator[Make]:
    """Make sinks, each as another process, with settings of areas."""
    await database.execute("TRUNCATE traffic_data, area_readings")
    async with AsyncExitStack() as stack:

        def make(**areas: Any) -> HistoryAreasSink:
            sink = HistoryAreasSink(load_settings(postgres=settings.postgres, areas=areas))
            stack.push_async_callback(sink.close)
            return sink

        yield make


def said(settings: Settings | None = None, seconds: int = 0, **changes: Any) -> AreaReading:
    """A reading so many seconds after noon."""
    reader = READER if settings is None else AreaReader(settings.areas)
    told = {"timestamp": (NOON + timedelta(seconds=seconds)).isoformat(), **changes}
    return reader.check(None, encoded(**told), NOON_US).message


def records(*messages: AreaReading, first: int = 0) -> list[Any]:
    return [
        record(first + number, msgspec.json.encode(one), one.stream_id.encode()) for number, one in enumerate(messages)
    ]


async def is_waiting(sink: HistoryAreasSink) -> None:
    async with asyncio.timeout(180):
        while not sink.is_waiting():  # noqa: ASYNC110 - the change comes from the server
            await asyncio.sleep(0.02)


async def counts(database: Connection, columns: str = "total_in_area") -> list[tuple[Any, ...]]:
    rows = f"SELECT {columns} FROM traffic_data ORDER BY stream_id, day_month_year"  # noqa: S608
    return [tuple(row) for row in await database.fetch(rows)]


async def test_a_reading_is_kept_whole_and_is_its_areas_row(make: Make, database: Connection) -> None:
    await (sink := make()).load([0])
    await sink.apply(0, records(one := said()), owned)
    values = {
        "stream_id": uuid.UUID(STREAM),
        "day_month_year": "02_12_2025",
        "location": "Ngã Tư Sở",
        "longitude": 105.8201,
        "latitude": 21.0031,
        "total_in_area": 12,
        "estimated_max_people": 40,
        "label": "Đông hơn bình thường",
        "type": "vehicle",
    }
    kept = dict(await database.fetchrow("SELECT * FROM area_readings") or {})
    assert kept == values | {"read_at": NOON, "reading_id": uuid.UUID(one.reading_id), "more": "{}"}
    row = dict(await database.fetchrow("SELECT * FROM traffic_data") or {})
    assert row.pop("created_at") > NOON
    address = dict.fromkeys(["fulladdress", "city", "province", "address_source", "address_distance_m"])
    assert row == values | address | {"timestamp": NOON}


async def test_an_older_reading_changes_no_row_and_is_kept_all_the_same(make: Make, database: Connection) -> None:
    await (sink := make()).load([0])
    newer, older = said(seconds=60, total_in_area=5), said(total_in_area=9)
    await sink.apply(0, records(newer, older), owned)
    await sink.apply(0, records(said(seconds=59, total_in_area=8), first=2), owned)
    assert await counts(database) == [(5,)]
    await sink.apply(0, records(said(seconds=61, total_in_area=None, label=None), first=3), owned)
    assert await counts(database, "total_in_area, label, location") == [(None, None, "Ngã Tư Sở")]
    assert await database.fetchval("SELECT count(*) FROM area_readings") == 4


async def test_readings_of_one_second_are_all_kept_and_repeats_are_not(make: Make, database: Connection) -> None:
    await (sink := make()).load([0])
    one, other = said(total_in_area=5), said(total_in_area=6)
    await sink.apply(0, records(one, other, one, said(stream_id=OTHER)), owned)
    assert await counts(database) == [(5,), (12,)]
    created = await database.fetch("SELECT created_at FROM traffic_data ORDER BY stream_id")
    await sink.apply(0, records(other, one, other, first=4), owned)
    assert await counts(database) == [(6,), (12,)]
    assert await database.fetchval("SELECT count(*) FROM area_readings") == 3
    assert await database.fetch("SELECT created_at FROM traffic_data ORDER BY stream_id") == created


@pytest.mark.parametrize("seed", range(3))
async def test_tables_follow_from_the_log_wherever_runs_are_cut(seed: int, make: Make, database: Connection) -> None:
    chance = random.Random(seed)
    streams = [str(uuid.UUID(int=number)) for number in range(4)]
    log = [
        said(seconds=chance.randrange(6), stream_id=chance.choice(streams), total_in_area=chance.randrange(4))
        for _ in range(120)
    ]
    log += chance.choices(log, k=30)
    chance.shuffle(log)
    newest: dict[str, AreaReading] = {}
    for one in log:
        if one.stream_id not in newest or newest[one.stream_id].timestamp <= one.timestamp:
            newest[one.stream_id] = one
    await (sink := make()).load([0])
    offset = 0
    while offset < len(log):
        run = log[offset : offset + chance.randrange(1, 20)]
        await sink.apply(0, records(*run, first=offset), owned)
        offset += len(run)
    rows = await database.fetch('SELECT stream_id::text, "timestamp", total_in_area FROM traffic_data')
    expected = {(key, datetime.fromisoformat(one.timestamp), one.total_in_area) for key, one in newest.items()}
    assert {tuple(row) for row in rows} == expected
    ids = await database.fetch("SELECT reading_id::text FROM area_readings")
    assert sorted(row[0] for row in ids) == sorted({one.reading_id for one in log})


async def test_an_address_stays_with_the_place_and_goes_with_it(make: Make, database: Connection) -> None:
    await (sink := make()).load([0])
    await sink.apply(0, records(said(), said(stream_id=OTHER)), owned)
    named = "fulladdress = 'Hanoi', city = 'Hanoi', province = 'HN', address_source = 'test', address_distance_m = 3"
    await database.execute(f"UPDATE traffic_data SET {named}")  # noqa: S608
    columns = "fulladdress, city, province, address_source, address_distance_m"
    there, gone = ("Hanoi", "Hanoi", "HN", "test", 3.0), (None,) * 5
    await sink.apply(0, records(said(seconds=1), said(seconds=1, stream_id=OTHER, latitude=21.01), first=2), owned)
    assert await counts(database, columns) == [there, gone]
    # what is not applied moves nobody
    await sink.apply(0, records(said(seconds=-9, latitude=1.0), first=4), owned)
    assert await counts(database, columns) == [there, gone]
    await sink.apply(0, records(said(seconds=2, latitude=None, longitude=None), first=5), owned)
    assert await counts(database, columns) == [gone, gone]


async def test_a_new_field_is_a_setting_and_a_column(make: Make, database: Connection) -> None:
    more: dict[str, AreaColumnType] = {"motorbikes": "integer", "lanes": "jsonb", "speeds": "double precision[]"}
    columns = AREA_COLUMNS | more
    settings = load_settings(areas={"columns": columns})
    await (sink := make(columns=columns)).load([0])
    message = said(settings, motorbikes=3, lanes={"1": [4, None]}, speeds=[1.5, None])
    writing = asyncio.create_task(sink.apply(0, records(message), owned))
    await is_waiting(sink)
    # no reading is lost while the column is missing, and none is half there
    assert await database.fetchval("SELECT count(*) FROM area_readings") == 0
    assert [await add_column(database, name, kind) for name, kind in more.items()] == [True] * 3
    await asyncio.wait_for(writing, 20)
    row = await database.fetchrow("SELECT motorbikes, lanes, speeds FROM traffic_data")
    assert (row["motorbikes"], json.loads(row["lanes"]), row["speeds"]) == (3, {"1": [4, None]}, [1.5, None])  # type: ignore[index]
    kept = json.loads(await database.fetchval("SELECT more FROM area_readings"))
    assert kept == {"motorbikes": 3, "lanes": {"1": [4, None]}, "speeds": [1.5, None]}
    assert not await add_column(database, "motorbikes", "integer")
    with pytest.raises(ValueError, match="of the type integer"):
        await add_column(database, "motorbikes", "text")
    for name in ("label", "city", "a b", "xmin"):
        with pytest.raises(ValueError, match=name):
            await add_column(database, name, "text")
    # a process with the old settings goes on beside it
    await (old := make()).load([0])
    await old.apply(0, records(said(seconds=5), first=1), owned)
    assert await counts(database, '"timestamp", motorbikes') == [(NOON + timedelta(seconds=5), 3)]
    await database.execute("ALTER TABLE traffic_data DROP motorbikes, DROP lanes, DROP speeds")


async def test_what_names_a_row_and_what_is_updated_are_settings(make: Make, database: Connection) -> None:
    await (plain := make()).load([0])
    await plain.apply(0, records(said(), said(seconds=5)), owned)
    areas = {"conflict": ["stream_id", "day_month_year"], "update": ["timestamp", "total_in_area"]}
    await (sink := make(**areas)).load([0])
    day = 86_400
    run = [said(seconds=-day, label="first"), said(seconds=1 - day, total_in_area=1, label="second")]
    writing = asyncio.create_task(sink.apply(0, records(*run, first=2), owned))
    await is_waiting(sink)
    assert await set_key(database, areas["conflict"]) == 0
    await asyncio.wait_for(writing, 20)
    columns = "day_month_year, total_in_area, label"
    noon = ("02_12_2025", 12, "Đông hơn bình thường")
    assert await counts(database, columns) == [("01_12_2025", 1, "second"), noon]
    await sink.apply(0, records(said(seconds=2 - day, total_in_area=7, label="third"), first=4), owned)
    assert await counts(database, columns) == [("01_12_2025", 7, "second"), noon]
    assert await set_key(database, ["stream_id"]) == 1
    assert await counts(database, "day_month_year") == [("02_12_2025",)]


async def test_what_cannot_be_kept_costs_no_neighbour(make: Make, database: Connection) -> None:
    await (sink := make()).load([0])
    odd = said(label="a\0b", location="\0")
    unread = msgspec.structs.replace(said(), timestamp="yesterday")
    long_ago = said(seconds=1 - 40 * 365 * 86_400)
    await sink.apply(
        0, [*records(odd, unread, long_ago), record(3, b"{"), *records(said(stream_id=OTHER), first=4)], owned
    )
    assert await counts(database, "label") == [("a\ufffdb",), ("Đông hơn bình thường",)]
    parts = await database.fetch("SELECT DISTINCT tableoid::regclass::text FROM area_readings ORDER BY 1")
    assert [row[0] for row in parts] == ["area_readings_1985", "area_readings_202512"]
    assert sink.counters.unreadable == 2


async def test_what_was_read_when_a_column_was_another_one_costs_no_neighbour(make: Make, database: Connection) -> None:
    was = load_settings(areas={"columns": {**AREA_COLUMNS, "gate": "text"}})
    await add_column(database, "gate", "integer")
    await (sink := make(columns={**AREA_COLUMNS, "gate": "integer"})).load([0])
    await sink.apply(0, records(said(was, gate="north"), said(stream_id=OTHER)), owned)
    assert await counts(database, "stream_id::text, gate") == [(OTHER, None)]
    assert await database.fetchval("SELECT count(*) FROM area_readings") == 2
    assert sink.counters.unstorable == 1
    await database.execute("ALTER TABLE traffic_data DROP gate")


async def test_history_is_read_in_pages(make: Make, pool: Pool, database: Connection) -> None:
    await (sink := make()).load([0])
    log = [said(seconds=number // 3, total_in_area=number) for number in range(20)]
    await sink.apply(0, records(*log, said(stream_id=OTHER)), owned)
    found: list[AreaReading] = []
    after = None
    while True:
        page = await readings(pool, uuid.UUID(STREAM), NOON, NOON + timedelta(seconds=6), 4, after)
        found += page.rows
        after = page.next_position
        if after is None:
            break
    assert found == sorted(log[:18], key=lambda one: (one.timestamp, one.reading_id))


async def test_an_area_is_read_with_its_address_and_further_fields(
    make: Make, pool: Pool, database: Connection
) -> None:
    assert await area(pool, uuid.UUID(STREAM)) is None
    await add_column(database, "lanes", "jsonb")
    settings = load_settings(areas={"columns": {**AREA_COLUMNS, "lanes": "jsonb"}})
    await (sink := make(columns=settings.areas.columns)).load([0])
    await sink.apply(0, records(said(settings, lanes={"1": 2})), owned)
    await database.execute("UPDATE traffic_data SET city = 'Hanoi', address_source = 'test', address_distance_m = 3")
    found = await area(pool, uuid.UUID(STREAM))
    assert found is not None
    assert (found.stream_id, found.timestamp, found.total_in_area) == (STREAM, "2025-12-02T08:21:42Z", 12)
    assert (found.city, found.address_source, found.address_distance_m) == ("Hanoi", "test", 3.0)
    assert (found.fulladdress, found.more) == (None, {"lanes": {"1": 2}})
    await database.execute("ALTER TABLE traffic_data DROP lanes")
