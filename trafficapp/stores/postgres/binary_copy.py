"""Rows as COPY takes them in its binary format, which Postgres describes under "Binary Format" of COPY.

A row is the number of its fields in two bytes, then each field: its length in four bytes, and so many bytes as Postgres
receives the type. Whoever has values that come again makes their bytes once, and asyncpg need not look at each.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

#: Before the first row, without flags and extension; and after the last one.
HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
END: Final = b"\xff\xff"
#: The length of a field that is NULL.
NULL: Final = -1

_PARTS_AT_ONCE = 8_192
_length = struct.Struct(">i").pack


def text(value: str) -> bytes:
    """The field of a text."""
    encoded = value.encode()
    return _length(len(encoded)) + encoded


async def copy(connection: Connection, table: str, columns: Iterable[str], parts: Sequence[bytes]) -> None:
    """COPY rows.

    Args:
        connection: within a transaction.
        table: into which.
        columns: in the order of the fields.
        parts: header, rows and end, cut anywhere.

    Raises:
        asyncpg.PostgresError: as the server says.
    """

    async def pieces() -> AsyncIterator[bytes]:
        for first in range(0, len(parts), _PARTS_AT_ONCE):
            yield b"".join(parts[first : first + _PARTS_AT_ONCE])

    await connection.copy_to_table(table, source=pieces(), columns=list(columns), format="binary")
