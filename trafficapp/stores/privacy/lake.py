"""Rows of a vehicle in the lake: files are written anew without them, under the names they have.

A file's name says which offsets it is of, and goes on saying it: that a record is in no file any more is not that it
was never written, so nobody writes it again (docs/decisions/0020).
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from trafficapp.privacy.names import Names
from trafficapp.privacy.places import VEHICLE_COLUMNS
from trafficapp.stores.lake.pieces import Piece
from trafficapp.stores.lake.storage import Storage

#: Names of all columns that may have an id, and those with a whole record beside the row.
_COLUMNS = sorted({column for columns in VEHICLE_COLUMNS.values() for column in columns})
_MESSAGES = ("kafka_key", "kafka_value")


def find(storage: Storage, names: Names) -> dict[str, int]:
    """How many rows each topic has; it blocks."""
    return _search(storage, names, erase=False)


def erase(storage: Storage, names: Names) -> dict[str, int]:
    """Delete them; it blocks.

    Raises:
        OSError: the storage is away, or full; files not written anew by then stay as they were.
    """
    return _search(storage, names, erase=True)


def _search(storage: Storage, names: Names, *, erase: bool) -> dict[str, int]:
    found: dict[str, int] = {}
    for piece, table, rows in _with_rows(storage, names):
        found[piece.topic] = found.get(piece.topic, 0) + len(rows)
        if erase:
            others = sorted(set(range(table.num_rows)) - set(rows))
            storage.publish(storage.write(table.take(pa.array(others, pa.int64()))), piece)
    return found


def _with_rows(storage: Storage, names: Names) -> Iterator[tuple[Piece, pa.Table, list[int]]]:
    for piece in list(storage.pieces()):
        try:
            table = storage.read(piece)
        except FileNotFoundError:  # it is in a longer one by now, which comes in the next pass
            continue
        if rows := _rows(table, names):
            yield piece, table, rows


def _rows(table: pa.Table, names: Names) -> list[int]:
    rows: set[int] = set()
    for column in _COLUMNS:
        if column in table.column_names:
            rows.update(n for n, said in enumerate(table[column].to_pylist()) if said is not None and names.are(said))
    for column in _MESSAGES:
        if column in table.column_names:
            for n, said in enumerate(table[column].to_pylist()):
                if said is not None and names.stand_in(said if isinstance(said, bytes) else str(said).encode()):
                    rows.add(n)
    return sorted(rows)
