"""The table of a feed's history: a statement that writes rows, and how a message becomes one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo
from operator import attrgetter
from typing import Any, TypeAlias

from models.cameras.detections import is_event_time
from models.records import MALFORMED
from trafficapp.feeds.declaration import RECORD_TIME, Feed, History, number_in
from trafficapp.settings import Settings
from trafficapp.stores.feeds.column_values import Convert, check_key, convert_of
from trafficapp.stores.postgres.retention import KeptTable
from trafficapp.stores.postgres.rows import column_arrays
from trafficapp.stores.postgres.sink import postgres_time
from trafficapp.stores.postgres.time_partitions import TimePartition, day_partition

Row: TypeAlias = tuple[Any, ...]

#: Types that are sent as another one: an array of arrays cannot be unnested by rows.
_SENT_AS = {"jsonb": "text", "double precision[]": "text"}


def statement(history: History) -> str:
    """Writes rows that come as arrays, one a column; leaves alone what is there already, or is newer.

    Of two rows of a key with the same time the one that came later is kept, like everywhere.
    """
    names, key = ", ".join(history.columns), ", ".join(history.key)
    sent = {name: _SENT_AS.get(column.type, column.type) for name, column in history.columns.items()}
    casts = ", ".join(
        f"{name}::{column.type}" if column.type in _SENT_AS else name for name, column in history.columns.items()
    )
    action = "DO NOTHING"
    if history.newest_by is not None:
        values = [name for name in history.columns if name not in history.key]
        action = (
            f"DO UPDATE SET ({', '.join(values)}) = ROW (EXCLUDED.{', EXCLUDED.'.join(values)}) "
            f"WHERE {history.table}.{history.newest_by} <= EXCLUDED.{history.newest_by} "
            # a repeat changes nothing
            f"AND ({history.table}.{f', {history.table}.'.join(values)}) "
            f"IS DISTINCT FROM (EXCLUDED.{', EXCLUDED.'.join(values)})"
        )
    # in order of the key, so that two writers wait for each other and never both
    return f"""
        INSERT INTO {history.table} ({names})
        SELECT {casts} FROM unnest({column_arrays(sent)}) AS sent ({names}) ORDER BY {key}
        ON CONFLICT ({key}) {action}
    """  # noqa: S608 - put together from a declaration


class RowMaker:
    """Turns messages of a feed into rows of its table.

    Args:
        feed: with a history.
        history: it.
        zone: of times without an offset.
    """

    def __init__(self, feed: Feed[Any], history: History, zone: tzinfo) -> None:
        sources = [column.of or name for name, column in history.columns.items()]
        # the key stands in the place of what no field says
        self._values = attrgetter(feed.key, *(feed.key if source == RECORD_TIME else source for source in sources))
        self._of_record = [place for place, source in enumerate(sources, 1) if source == RECORD_TIME]
        self._of_time = [place for place, source in enumerate(sources, 1) if source == feed.time]
        self._names = list(history.columns)
        self._converts = [convert_of(column.type, zone) for column in history.columns.values()]
        self._timed = [
            _as_it_is if place in self._of_time else convert for place, convert in enumerate(self._converts, 1)
        ]
        places = list(history.columns).index
        self._key = [places(name) for name in history.key]
        self.newest_by = None if history.newest_by is None else places(history.newest_by)
        self.cut_by = None if history.partitioned_by is None else places(history.partitioned_by)

    def row(self, message: Any, record_us: int, time_us: int | None = None) -> Row:
        """The row of a message.

        Args:
            message: the feed's shape.
            record_us: the time of its record, microseconds since the epoch.
            time_us: what the field of its time says, likewise, where that was read already.

        Raises:
            ValueError: a column cannot hold a value, or an index the key; with the name of the column.
        """
        told = list(self._values(message))
        for place in self._of_record:
            told[place] = max(record_us, 0) / 1e6
        del told[0]
        if time_us is None or not is_event_time(time_us):
            converts = self._converts
        else:
            converts = self._timed
            stored = postgres_time(time_us)
            for place in self._of_time:
                told[place - 1] = stored
        try:
            row = tuple(
                [None if value is None else convert(value) for convert, value in zip(converts, told, strict=True)]
            )
        except MALFORMED:
            raise ValueError(self._fault(converts, told)) from None
        check_key(self.key(row))
        return row

    def _fault(self, converts: Iterable[Convert], told: Iterable[Any]) -> str:
        """Which column cannot hold its value, and why."""
        for name, convert, value in zip(self._names, converts, told, strict=True):
            try:
                if value is not None:
                    convert(value)
            except MALFORMED as error:
                return f"{name}: {error}"
        return "a value that no column holds"

    def key(self, row: Row) -> Row:
        """What no two rows have alike."""
        return tuple(row[place] for place in self._key)


def _as_it_is(value: Any) -> Any:
    return value


def partition_of(history: History, day: datetime) -> TimePartition:
    """The partition of a feed's table that a time belongs to."""
    return day_partition(history.table, day)


def kept_tables(feeds: Iterable[Feed[Any]], settings: Settings) -> list[KeptTable]:
    """The tables of feeds, each once, with how long their rows are kept."""
    found = {
        feed.history.table: KeptTable(
            feed.history.table,
            timedelta(days=number_in(feed.history.days, settings)),
            None if feed.history.partitioned_by is not None else feed.history.key,
            next(name for name, column in feed.history.columns.items() if (column.of or name) == feed.time),
        )
        for feed in feeds
        if feed.history is not None
    }
    return list(found.values())
