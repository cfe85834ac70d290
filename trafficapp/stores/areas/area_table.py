"""Changes of the table ``traffic_data`` that the settings of areas ask for: another column, another key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import asyncpg

from trafficapp.settings.areas import AREA_COLUMNS, AreaColumnType, wrong_column_name
from trafficapp.stores.areas.area_rows import TABLE

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

#: A change waits for the table, with every writer behind it, no longer than this.
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"

_COLUMNS = """
    SELECT attname::text AS name, format_type(atttypid, atttypmod) AS kind FROM pg_attribute
    WHERE attrelid = 'traffic_data'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
#: As Postgres calls a type where we call it otherwise.
_KINDS = {"timestamp with time zone": "timestamptz"}
_KEY = """
    SELECT conname::text FROM pg_constraint WHERE conrelid = 'traffic_data'::regclass AND contype = 'p'
"""


async def columns_there(connection: Connection) -> dict[str, str]:
    """Names and types of the table's columns, in order."""
    found = await connection.fetch(_COLUMNS)
    return {row["name"]: _KINDS.get(row["kind"], row["kind"]) for row in found}


def column_statement(name: str, kind: AreaColumnType) -> str:
    """What adds a column.

    Raises:
        ValueError: a column cannot have that name.
    """
    if name in AREA_COLUMNS:
        raise ValueError(f"{name} is there from the beginning")
    if wrong := wrong_column_name(name):
        raise ValueError(wrong)
    return f'ALTER TABLE {TABLE} ADD COLUMN "{name}" {kind}'


async def add_column(connection: Connection, name: str, kind: AreaColumnType) -> bool:
    """Add a column.

    Returns:
        whether it was added; it may have been there.

    Raises:
        ValueError: a column cannot have that name, or it is there with another type.
        asyncpg.LockNotAvailableError: the table was in use all the time.
    """
    statement = column_statement(name, kind)
    there = (await columns_there(connection)).get(name)
    if there is not None and there != kind:
        raise ValueError(f"{TABLE} has a column {name} of the type {there}")
    if there is None:
        async with connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            await connection.execute(statement)
    return there is None


async def set_key(connection: Connection, names: Sequence[str]) -> int:
    """Have other columns name a row. Of rows that are one then, the newest stays.

    Args:
        connection: to the database.
        names: of columns, checked by the settings.

    Returns:
        how many rows went.

    Raises:
        ValueError: a row has no value for one of them.
        asyncpg.LockNotAvailableError: the table was in use all the time.
    """
    key = ", ".join(f'"{name}"' for name in names)
    older = f"""
        DELETE FROM {TABLE} WHERE ctid IN (
            SELECT ctid FROM (
                SELECT ctid, row_number() OVER (PARTITION BY {key} ORDER BY "timestamp" DESC) AS place FROM {TABLE}
            ) AS numbered WHERE place > 1
        )
    """  # noqa: S608 - names were checked
    async with connection.transaction():
        await connection.execute(_LOCK_TIMEOUT)
        await connection.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        gone = int((await connection.execute(older)).rpartition(" ")[2])
        for row in await connection.fetch(_KEY):
            await connection.execute(f'ALTER TABLE {TABLE} DROP CONSTRAINT "{row["conname"]}"')
        try:
            await connection.execute(f"ALTER TABLE {TABLE} ADD CONSTRAINT {TABLE}_pkey PRIMARY KEY ({key})")
        except asyncpg.NotNullViolationError as error:
            raise ValueError(f"{', '.join(names)} cannot name all rows: {error}") from None
    return gone
