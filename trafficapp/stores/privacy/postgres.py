"""Rows of a vehicle in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trafficapp.privacy.names import Names
from trafficapp.privacy.places import VEHICLE_COLUMNS

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

#: What waits to be told.
_WAITING = "pending_publications"


async def find(connection: Connection, names: Names) -> dict[str, int]:
    """How many rows each table has, without those that have none."""
    found = {}
    for table, columns in VEHICLE_COLUMNS.items():
        count = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE {_is_one(columns)}", names.all)  # noqa: S608 - declared
        if count:
            found[table] = int(count)
    return found | ({_WAITING: count} if (count := len(await _waiting(connection, names))) else {})


async def erase(connection: Connection, names: Names) -> dict[str, int]:
    """Delete them; call it inside a transaction. Returns how many went."""
    gone = {}
    for table, columns in VEHICLE_COLUMNS.items():
        said = await connection.execute(f"DELETE FROM {table} WHERE {_is_one(columns)}", names.all)  # noqa: S608 - declared
        if count := int(said.rpartition(" ")[2]):
            gone[table] = count
    if waiting := await _waiting(connection, names):
        await connection.execute(f"DELETE FROM {_WAITING} WHERE id = ANY($1)", waiting)  # noqa: S608
        gone[_WAITING] = len(waiting)
    return gone


async def _waiting(connection: Connection, names: Names) -> list[int]:
    """Publications that name it, but for what tells workers to forget it."""
    rows = await connection.fetch(f"SELECT id, payload FROM {_WAITING}")  # noqa: S608
    return [
        row["id"]
        for row in rows
        if "trafficapp-erased" not in row["payload"] and names.stand_in(row["payload"].replace('\\"', '"').encode())
    ]


def _is_one(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"{column} = ANY($1::text[])" for column in columns)
