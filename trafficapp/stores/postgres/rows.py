"""Rows of the history sinks: texts and times as Postgres takes them, and statements that take whole columns at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from models.timestamps import from_epoch_us
from trafficapp.stores.postgres.sink import POSTGRES_EPOCH_US, SinkCounters, write_what_fits

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

_Row = TypeVar("_Row", bound=Sequence[Any])
#: A time as `trafficapp.stores.postgres.sink.postgres_time` makes it.
StoredTime: TypeAlias = tuple[int]

_DAY_US = 86_400_000_000

NUL = "\0"
#: Stands where a text has the character NUL, which JSON allows and Postgres does not.
REPLACEMENT = "\ufffd"


def storable(text: str) -> str:
    """A text without the character that Postgres cannot hold."""
    return text.replace(NUL, REPLACEMENT)


def days_of(times: Iterable[StoredTime]) -> list[datetime]:
    """The UTC days that times lie on, ascending."""
    days = {(time[0] + POSTGRES_EPOCH_US) // _DAY_US for time in times}
    return [from_epoch_us(day * _DAY_US) for day in sorted(days)]


def column_arrays(types: Mapping[str, str]) -> str:
    """What stands within ``unnest(…)``: an array for each column, in order, given the column's type by its name."""
    return ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types.values(), 1))


def columns_of(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Rows by column, as arguments of a statement."""
    return [list(column) for column in zip(*rows, strict=True)]


async def write_new(
    connection: Connection, statement: str, rows: Sequence[Sequence[Any]], counters: SinkCounters
) -> None:
    """Run a statement that takes `column_arrays`; rows that it leaves alone are counted as repeated."""
    count_new(await connection.execute(statement, *columns_of(rows)), len(rows), counters)


def count_new(tag: str, sent: int, counters: SinkCounters) -> None:
    """Count by what Postgres says of a statement that was given so many rows: those it left alone are repeated."""
    written = int(tag.rpartition(" ")[2])
    counters.rows += written
    counters.repeated += sent - written


async def write_all(
    connection: Connection, rows: Sequence[_Row], write: Callable[[Sequence[_Row]], Awaitable[None]], isolating: bool
) -> int:
    """Write rows, if there are any; when `isolating`, without those that Postgres refuses.

    Returns:
        how many were left out.
    """
    if rows and isolating:
        return await write_what_fits(connection, rows, write)
    if rows:
        await write(rows)
    return 0
