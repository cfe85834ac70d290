"""What queries give: rows as the shapes that are answered, and pages of them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msgspec import Struct

from models.timestamps import epoch_us, rfc3339

if TYPE_CHECKING:
    import asyncpg

_Shape = TypeVar("_Shape", bound=Struct)
_Row = TypeVar("_Row")
_Position = TypeVar("_Position")
_Found = TypeVar("_Found")

#: Rows of a long list that are put into shape before others are answered, a few milliseconds.
ROWS_AT_ONCE = 100


@dataclass(frozen=True)
class Page(Generic[_Row, _Position]):
    """Some rows of a list, in its order.

    Attributes:
        next_position: where the next page goes on; None when this is the last.
    """

    rows: list[_Row]
    next_position: _Position | None


async def made_of(found: Sequence[_Found], make: Callable[[_Found], _Row]) -> list[_Row]:
    """What is made of each row of a list, in its order; others are answered meanwhile."""
    made: list[_Row] = []
    for first in range(0, len(found), ROWS_AT_ONCE):
        if first:
            await asyncio.sleep(0)
        made.extend(map(make, found[first : first + ROWS_AT_ONCE]))
    return made


def shaped(shape: type[_Shape], row: asyncpg.Record, **fields: Any) -> _Shape:
    """A row as a shape whose fields bear the names of its columns; times become RFC 3339, UUIDs text.

    Args:
        shape: its fields with a default may lack a column.
        row: may have more columns.
        fields: what no column says, or not in this form.
    """
    told = {name: _told(row[name]) for name in shape.__struct_fields__ if name not in fields and name in row}
    return shape(**told, **fields)


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(epoch_us(value))
    return str(value) if isinstance(value, uuid.UUID) else value
