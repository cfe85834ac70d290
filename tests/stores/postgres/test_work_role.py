"""The role that works: what it needs and no more, when migrations run as another one."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psycopg
import pytest
from psycopg import sql

from tests.stores.postgres.fixtures import Connection
from trafficapp.feeds.declared import FEEDS
from trafficapp.settings import BackupSettings, Settings, load_settings
from trafficapp.stores.feeds.table import kept_tables
from trafficapp.stores.migrations import migrate
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.postgres.retention import sweep
from trafficapp.stores.postgres.time_partitions import ensure_partitions, metrics_partition
from trafficapp.upkeep.backup import back_up

_LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(database_url: str) -> Iterator[Settings]:
    """Of a process that works, in a database that its owner has migrated for it."""
    role, password = f"work_{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    name = sql.Identifier(role)
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(password)))
        try:
            url = urlsplit(database_url)
            place = url.netloc.rpartition("@")[2]
            work = urlunsplit(url._replace(netloc=f"{role}:{password}@{place}"))
            settings = load_settings(postgres={"url": work, "owner_url": database_url})
            assert settings.postgres.user == role
            migrate(settings.postgres.owner, worker=settings.postgres.user)
            migrate(settings.postgres.owner, worker=settings.postgres.user)
            yield settings
        finally:
            owner.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(name))


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(settings.postgres.url.get_secret_value())
    yield connection
    await connection.close()


def test_an_owner_of_another_database_is_none_of_ours() -> None:
    there = load_settings(
        postgres={"url": "postgresql://work:a@db:5432/one", "owner_url": "postgresql://o:b@db:5432/two"}
    )
    assert there.postgres.owner == "postgresql://work:a@db:5432/one"


async def test_it_is_no_superuser_owns_nothing_and_reads_and_writes_every_row(database: Connection) -> None:
    assert await database.fetchval("SELECT NOT rolsuper AND NOT rolcreatedb FROM pg_roles WHERE rolname = current_user")
    owned = "SELECT count(*) FROM pg_class WHERE relowner = (SELECT oid FROM pg_roles WHERE rolname = current_user)"
    assert await database.fetchval(owned) == 0
    tables = await database.fetch(
        "SELECT relname, array(SELECT one FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS one "
        "WHERE has_table_privilege(oid, one)) AS may FROM pg_class "
        "WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    assert len(tables) > 30
    less = {row["relname"] for row in tables if len(row["may"]) < 4}
    assert less == {"time_partitions", "alembic_version"}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (number int)",
        "DROP TABLE cameras",
        "ALTER TABLE cameras ADD COLUMN more text",
        "TRUNCATE cameras",
        "DROP FUNCTION ensure_time_partition",
        "DELETE FROM time_partitions",
        "UPDATE alembic_version SET version_num = '0001'",
        "COPY cameras TO PROGRAM 'cat'",
        "SELECT pg_read_file('PG_VERSION')",
        "CREATE ROLE another",
        "SET ROLE postgres",
    ],
)
async def test_it_changes_no_table_and_reads_no_file(database: Connection, statement: str) -> None:
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError)):
        await database.execute(statement)


async def test_partitions_are_made_read_and_dropped_for_it(settings: Settings, database: Connection) -> None:
    partition = metrics_partition(_LONG_AGO)
    # a table of the session's own before the owner's changes nothing for the owner
    await database.execute("CREATE TEMPORARY TABLE time_partitions (partition_name text)")
    await ensure_partitions(database, [partition])
    await database.execute("DROP TABLE pg_temp.time_partitions")
    assert await database.fetchval(f"SELECT count(*) FROM {partition.name}") == 0  # noqa: S608 - ours
    assert await database.execute(f"DELETE FROM {partition.name}") == "DELETE 0"  # noqa: S608
    owner = await asyncpg.connect(settings.postgres.owner)
    try:
        await owner.execute("UPDATE time_partitions SET last_written_at = $1", _LONG_AGO + timedelta(days=1))
    finally:
        await owner.close()
    async with create_pool(settings.postgres) as pool:
        dropped = await sweep(pool, settings.retention, kept_tables(FEEDS, settings))
    assert partition.name in dropped
    assert await database.fetchval("SELECT to_regclass($1)", partition.name) is None


async def test_what_the_owner_makes_later_is_for_it_too(settings: Settings, database: Connection) -> None:
    def make() -> None:
        with psycopg.connect(settings.postgres.owner, autocommit=True) as owner:
            owner.execute("CREATE TABLE made_later (id bigserial, number int)")

    await asyncio.to_thread(make)
    await database.execute("INSERT INTO made_later (number) VALUES (7)")
    assert await database.fetchval("SELECT sum(number) FROM made_later") == 7


async def test_it_may_write_a_backup(settings: Settings, tmp_path: Path) -> None:
    backup = BackupSettings(folder=tmp_path, raw_events=True)
    path = await back_up(settings.postgres.url.get_secret_value(), backup)
    assert path.stat().st_size > 10_000
