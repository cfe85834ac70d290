"""An erased vehicle is nowhere: Postgres, Redis, the lake, dumps, what workers remember."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pyarrow as pa
import pytest
from click.testing import CliRunner
from psycopg.rows import tuple_row
from redis import Redis

from models.fleet.fixes import Fix
from trafficapp.cli import main
from trafficapp.feeds.declaration import rules_of
from trafficapp.feeds.declared import FEEDS
from trafficapp.fleet.feeds import FLEET
from trafficapp.privacy.names import Names
from trafficapp.privacy.places import (
    OTHER_COLUMNS,
    RAW_TABLES,
    STAFF_COLUMNS,
    TELLING_WORDS,
    VEHICLE_COLUMNS,
)
from trafficapp.privacy.pseudonyms import Pseudonyms
from trafficapp.settings import BackupSettings, Settings, load_settings
from trafficapp.stores.administration.audit_queries import Actor
from trafficapp.stores.lake.pieces import Piece
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.privacy import dumps, everywhere
from trafficapp.upkeep.backup import back_up

GONE, OTHER = "BO 123 XY", "MO 77 ABCDE"
KEY = "0123456789abcdef0123456789abcdef"
TOPIC = "trafficapp-vehicle-positions"
_SAMPLES = {
    "text": "'x'",
    "timestamp with time zone": "now()",
    "double precision": "1",
    "integer": "1",
    "bigint": "1",
    "smallint": "1",
    "boolean": "true",
    "uuid": "gen_random_uuid()",
    "jsonb": "'{}'",
}


@pytest.fixture(scope="module")
def history_url(database_url: str) -> str:
    """A database in which each declared table takes any time."""
    migrate(database_url)
    with psycopg.connect(database_url, autocommit=True) as connection:
        for table in VEHICLE_COLUMNS:
            kind = connection.execute("SELECT relkind::text FROM pg_class WHERE relname = %s", [table]).fetchone()
            if kind == ("p",):
                connection.execute(f"CREATE TABLE {table}_any PARTITION OF {table} DEFAULT")
    return database_url


@pytest.fixture
def settings(history_url: str, redis_url: str, kafka_bootstrap: str, tmp_path: Path) -> Settings:
    return load_settings(
        postgres={"url": history_url},
        redis={"url": redis_url},
        kafka={"bootstrap_servers": kafka_bootstrap},
        lake={"url": (tmp_path / "lake").as_uri()},
        backup={"folder": tmp_path / "backups", "raw_events": True},
        privacy={"hash_key": KEY},
    )


def columns_of(connection: psycopg.Connection[Any]) -> list[tuple[str, str, str, str]]:
    """Table, column, type and whether it must be told, of all tables but partitions."""
    return connection.cursor(row_factory=tuple_row).execute(
        "SELECT c.table_name, c.column_name, c.data_type, c.is_nullable = 'NO' AND c.column_default IS NULL "
        "AND c.is_identity = 'NO' FROM information_schema.columns c JOIN pg_class t ON t.relname = c.table_name "
        "WHERE c.table_schema = 'public' AND NOT t.relispartition AND t.relkind IN ('r', 'p')"
    ).fetchall()  # fmt: skip


def test_every_column_that_may_name_somebody_is_declared(history_url: str) -> None:
    with psycopg.connect(history_url) as connection:
        found = {(table, column) for table, column, *_ in columns_of(connection)}
    declared = {
        (table, column)
        for of in (VEHICLE_COLUMNS, STAFF_COLUMNS, OTHER_COLUMNS)
        for table, columns in of.items()
        for column in columns
    }
    telling = {one for one in found if any(f"_{word}_" in f"_{one[1]}_" for word in TELLING_WORDS)}
    assert telling - declared == set(), "declare it in trafficapp/privacy/places.py"
    assert declared - found == set()
    assert set(RAW_TABLES) <= set(VEHICLE_COLUMNS)


def put_rows(url: str, vehicle_id: str) -> None:
    """A row of a vehicle in each table that has any."""
    with psycopg.connect(url, autocommit=True) as connection:
        columns = columns_of(connection)
        for table, named in VEHICLE_COLUMNS.items():
            values = {name: _SAMPLES[kind] for of, name, kind, needed in columns if of == table and needed}
            values |= dict.fromkeys(named, "%(id)s")
            statement = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(values.values())})"  # noqa: S608
            connection.execute(statement, {"id": vehicle_id})


def put_redis(client: Redis, vehicle_id: str) -> None:
    document = json.dumps({"vehicle_id": vehicle_id, "latitude": 44.5})
    client.set(f"vehicle:location:{vehicle_id}", document)
    client.zadd("vehicles:located", {vehicle_id: 1})
    client.sadd("some:set", vehicle_id)
    client.rpush("some:list", document)
    client.hset("some:hash", vehicle_id, "1")
    client.hset("some:hash", "newest-of-" + str(len(vehicle_id)), document)
    client.xadd("events:log", {"event": document})
    client.set(f"city:{len(vehicle_id)}", f"[{document}]")


def put_lake(storage: Storage, *vehicle_ids: str) -> Piece:
    table = pa.table(
        {
            "vehicle_id": list(vehicle_ids),
            "kafka_offset": list(range(len(vehicle_ids))),
            "kafka_value": [json.dumps({"vehicle_id": one}).encode() for one in vehicle_ids],
        }
    )
    piece = Piece(TOPIC, date(2026, 1, 14), "G3Zk0bJQ2u7rUO4yW8c1Ag", 0, 0, len(vehicle_ids) - 1)
    storage.publish(storage.write(table), piece)
    return piece


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Any]:
    async with create_pool(settings.postgres) as pool:
        yield pool


async def test_an_erased_vehicle_is_nowhere(settings: Settings, pool: Any, tmp_path: Path) -> None:
    url, client = settings.postgres.url.get_secret_value(), Redis.from_url(settings.redis.url.get_secret_value())
    names = everywhere.names_of(GONE, settings)
    yesterday = Pseudonyms(KEY.encode(), UTC).on(GONE, datetime.now(UTC).date())
    assert yesterday in names.all
    for vehicle_id in (GONE, OTHER, yesterday):
        put_rows(url, vehicle_id)
        put_redis(client, vehicle_id)
    storage = Storage(settings.lake.url or "")
    piece = put_lake(storage, OTHER, GONE, OTHER, yesterday)
    dump = await back_up(url, settings.backup)
    found = await everywhere.find(pool, FEEDS, settings, names)
    assert found.counts["Postgres"] == dict.fromkeys(VEHICLE_COLUMNS, 2)
    assert sum(found.counts["Redis"].values()) == 2 * 8
    assert found.counts["lake"] == {TOPIC: 2}
    assert found.counts["dumps"][dump.name] >= 2 * len(VEHICLE_COLUMNS)
    assert not any(GONE in place for places in found.counts.values() for place in places)

    erased = await everywhere.erase(
        pool, FEEDS, settings, names, Actor("tester", "command line"), with_dumps=True, again_after_seconds=0
    )
    assert erased.counts == found.counts
    # counted by hand, in whatever there is
    after = await everywhere.find(pool, FEEDS, settings, names)
    assert after.total == 0, after.counts
    left = b"".join(dumped(client))
    assert GONE.encode() not in left.replace(OTHER.encode(), b"")
    assert yesterday.encode() not in left
    with psycopg.connect(url) as connection:
        for table, columns in VEHICLE_COLUMNS.items():
            ids = {row[0] for row in connection.execute(f"SELECT {columns[0]} FROM {table}")}  # noqa: S608
            assert ids >= {OTHER}
            assert not ids & {GONE, yesterday}
        audit = connection.execute("SELECT * FROM audit_logs WHERE action = 'privacy.erase'").fetchall()
        # what workers are told is gone when it is told
        told = connection.execute("DELETE FROM pending_publications RETURNING payload").fetchall()
    assert len(audit) == 1
    assert GONE not in str(audit)
    assert {row[0]["topic"] for row in told} == {rules.topic_in(settings) for rules in rules_of(FEEDS, settings)}
    # the file is of the same offsets
    assert list(storage.pieces()) == [piece]
    assert storage.read(piece)["vehicle_id"].to_pylist() == [OTHER, OTHER]
    assert storage.read(piece)["kafka_offset"].to_pylist() == [0, 2]
    # a dump from now on is without it, and one that leaves raw events out has no sighting at all
    full = await back_up(url, settings.backup, datetime(2026, 1, 15, tzinfo=UTC))
    assert dumps.find(settings.backup.folder, names) == {}
    others = Names(OTHER, None, date(2026, 1, 15), 1)
    assert dumps.find(full.parent, others)[full] >= len(VEHICLE_COLUMNS)
    lean = await back_up(url, BackupSettings(folder=tmp_path / "lean"))
    assert dumps.find(lean.parent, others)[lean] == len(VEHICLE_COLUMNS) - len(RAW_TABLES)


def dumped(client: Redis) -> list[bytes]:
    """All keys, and all that stands in them, as Redis would write it to a file."""
    return [part for key in client.scan_iter() for part in (key, client.dump(key) or b"")]


async def test_the_commands_say_what_they_do(
    settings: Settings, pool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = settings.postgres.url.get_secret_value()
    put_rows(url, "command-1")
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("REDIS_URL", settings.redis.url.get_secret_value())
    monkeypatch.setenv("TRAFFICAPP_BACKUP__FOLDER", str(tmp_path / "none"))
    import asyncio

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["privacy", *arguments])

    found = await asyncio.to_thread(run, "find", "--vehicle", "command-1", "--json")
    assert found.exit_code == 0, found.output
    said = msgspec.json.decode(found.output)
    assert said["total"] == len(VEHICLE_COLUMNS)
    assert {"vehicle_data", "rider_tapped_on", "traffic.dead-letters", "trafficapp-fleet-inner"} <= set(
        said["topics_until"]
    )
    asked = await asyncio.to_thread(run, "erase", "--vehicle", "command-1")
    assert asked.exit_code == 1  # nobody said yes
    erased = await asyncio.to_thread(run, "erase", "--vehicle", "command-1", "--yes", "--again-after", "0")
    assert erased.exit_code == 0, erased.output
    assert f"erased: {len(VEHICLE_COLUMNS)}" in erased.output
    assert (await asyncio.to_thread(run, "find", "--rider", "", "--json")).exit_code == 2
    assert (await asyncio.to_thread(run, "find")).exit_code == 2


def test_an_id_is_not_found_in_another_one() -> None:
    names = Names("12", None, date(2026, 1, 1), 1)
    for other in (b'{"n": 12}', b'"112"', b"route:112", b"12:x", b'{"id": "1 2"}'):
        assert not names.stand_in(other)
    for own in (b"12", b'["12"]', b"vehicle:12", b"a:12:b"):
        assert names.stand_in(own)
    assert names.are("12")
    assert not names.are(12)


def test_rules_forget_vehicles() -> None:
    from trafficapp.feeds.rules import When

    made = FLEET.make(load_settings(fleet={"matching": False}))(0, {})
    at_us = 1_768_392_000_000_000
    for vehicle_id in (GONE, OTHER):
        list(made.apply(Fix("vehicle_data", vehicle_id, at_us, 44.5, 11.3, 30.0, 45.0), When(at_us, at_us)))
    rows = dict(made.changed_rows())
    assert {GONE.encode(), OTHER.encode()} == set(rows)
    list(made.erase([GONE, "never seen"]))
    assert dict(made.changed_rows()) == {GONE.encode(): None}
    # seen again it is new
    (told,) = made.apply(Fix("vehicle_data", GONE, at_us + 1_000_000, 44.5, 11.3, 30.0, 45.0), When(at_us, at_us))
    assert json.loads(told.value or b"")["computed_speed"] is None
