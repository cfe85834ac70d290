"""The row of an area in ``traffic_data``: which columns a reading fills, as the settings say, and the statement.

The newest reading of an area says all that is updated, null included: what is not known any more is not known. An
older one changes nothing, and of two of the same time the one that came later counts, as everywhere. The address stays
with the place, and goes when the place changes.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import tzinfo

from models.areas.readings import AreaReading
from trafficapp.areas.reading import value_of
from trafficapp.settings.areas import ADDRESS_COLUMNS, AreaSettings
from trafficapp.stores.feeds.column_values import convert_of
from trafficapp.stores.feeds.table import Row
from trafficapp.stores.postgres.rows import column_arrays

TABLE = "traffic_data"

#: Types that are sent as another one: an array of arrays cannot be unnested by rows.
_SENT_AS = {"jsonb": "text", "double precision[]": "text"}
_PLACE = ("longitude", "latitude")


def upsert(settings: AreaSettings) -> str:
    """Writes rows that come as arrays, one a column.

    Args:
        settings: columns, those that name a row, and those that a newer reading replaces.
    """
    columns = settings.columns
    sent = {name: _SENT_AS.get(kind, kind) for name, kind in columns.items()}
    quoted = ", ".join(f'"{name}"' for name in columns)
    casts = ", ".join(f'"{name}"::{kind}' if kind in _SENT_AS else f'"{name}"' for name, kind in columns.items())
    key = ", ".join(f'"{name}"' for name in settings.conflict)
    updated = settings.updated
    new = [f'"{name}" = EXCLUDED."{name}"' for name in updated]
    if set(_PLACE) <= set(updated):
        moved = f"({_of(TABLE, _PLACE)}) IS DISTINCT FROM ({_of('EXCLUDED', _PLACE)})"
        new += [f"{name} = CASE WHEN NOT {moved} THEN {TABLE}.{name} END" for name in ADDRESS_COLUMNS]
    action = "DO NOTHING"
    if updated:
        action = (
            f"DO UPDATE SET {', '.join(new)} "
            f'WHERE {TABLE}."timestamp" <= EXCLUDED."timestamp" '
            # a repeat changes nothing
            f"AND ({_of(TABLE, updated)}) IS DISTINCT FROM ({_of('EXCLUDED', updated)})"
        )
    # in order of the key, so that two writers wait for each other and never both
    return f"""
        INSERT INTO {TABLE} ({quoted})
        SELECT {casts} FROM unnest({column_arrays(sent)}) AS sent ({quoted}) ORDER BY {key}
        ON CONFLICT ({key}) {action}
    """  # noqa: S608 - put together from settings whose names were checked


class AreaRowMaker:
    """Turns readings into rows of the table.

    Args:
        settings: columns, and those that name a row.
        zone: of times without an offset.
    """

    def __init__(self, settings: AreaSettings, zone: tzinfo) -> None:
        columns = settings.columns
        self._converts = [(name, convert_of(kind, zone)) for name, kind in columns.items()]

    def row(self, reading: AreaReading) -> Row:
        """The row of a reading.

        Raises:
            ValueError: a column cannot hold a value; or another of `models.records.MALFORMED`.
        """
        values = [(convert, value_of(reading, name)) for name, convert in self._converts]
        return tuple(None if value is None else convert(value) for convert, value in values)


def _of(table: str, names: Collection[str]) -> str:
    return ", ".join(f'{table}."{name}"' for name in names)
