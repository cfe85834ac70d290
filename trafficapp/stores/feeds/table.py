"""The table of a feed's history: a statement that writes rows, and how a message becomes one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, tzinfo
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

from models.cameras.detections import is_event_time
from models.records import MALFORMED
from trafficapp.feeds.declaration import RECORD_TIME, Feed, History, number_in
from trafficapp.feeds.shapes import only_types
from trafficapp.settings import Settings
from trafficapp.stores.feeds.column_values import check_key, convert_of, takes_as_it_is
from trafficapp.stores.postgres.retention import KeptTable
from trafficapp.stores.postgres.rows import NUL, column_arrays
from trafficapp.stores.postgres.sink import postgres_time
from trafficapp.stores.postgres.time_partitions import TimePartition, day_partition

Row: TypeAlias = tuple[Any, ...]

#: Types that are sent as another one: an array of arrays cannot be unnested by rows, and JSON is a text to us.
_SENT_AS = {"jsonb": "text", "double precision[]": "text"}


def _sent_as(history: History) -> dict[str, str]:
    """Types in which the columns are sent, by name."""
    return {name: _SENT_AS.get(column.type, column.type) for name, column in history.columns.items()}


def sent_table(history: History) -> str:
    """The table of a connection that rows are copied to: to encode them as arrays costs us four times as much."""
    return f"sent_{history.table}"


def make_sent_table(history: History) -> str:
    """Makes it, for as long as the connection is there; every transaction finds it empty."""
    columns = ", ".join(f"{name} {kind}" for name, kind in _sent_as(history).items())
    return f"CREATE TEMPORARY TABLE {sent_table(history)} ({columns}) ON COMMIT DELETE ROWS"


def statement(history: History, *, copied: bool = False) -> str:
    """Writes rows; leaves alone what is there already, or is newer.

    Of two rows of a key with the same time the one that came later is kept, like everywhere.

    Args:
        history: whose table it is.
        copied: whether the rows stand in `sent_table`; else they come as arrays, one a column.
    """
    names, key, sent = ", ".join(history.columns), ", ".join(history.key), _sent_as(history)
    source = sent_table(history) if copied else f"unnest({column_arrays(sent)}) AS sent ({names})"
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
        SELECT {casts} FROM {source} ORDER BY {key}
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
        # the key stands in the place of what no field says; and behind them all, as one field alone makes no tuple
        self._values = attrgetter(*(feed.key if source == RECORD_TIME else source for source in sources), feed.key)
        #: Fields that become columns.
        self.sources = frozenset(sources) - {RECORD_TIME}
        self._of_record = [place for place, source in enumerate(sources) if source == RECORD_TIME]
        self._of_time = [place for place, source in enumerate(sources) if source == feed.time]
        self._names = list(history.columns)
        # who checks messages by rules of his own may have made them, of whatever types
        types = {} if feed.checks is not None else only_types(feed.shape)
        converts = [
            (place, convert_of(column.type, zone))
            for place, (column, source) in enumerate(zip(history.columns.values(), sources, strict=True))
            if source != RECORD_TIME and not takes_as_it_is(column.type, types.get(source))
        ]
        #: Of texts nearly all fit as they are: those are looked at here and not each by a call.
        texts = {place for place, column in enumerate(history.columns.values()) if column.type == "text"}
        self._texts = [place for place, _ in converts if place in texts and place not in self._of_time]
        self._text = convert_of("text", zone)
        converts = [(place, convert) for place, convert in converts if place not in self._texts]
        self._converts = converts
        self._timed = [(place, convert) for place, convert in converts if place not in self._of_time]
        places = self._names.index
        key = [places(name) for name in history.key]
        self.key: Callable[[Row], Row] = itemgetter(*key) if len(key) > 1 else lambda row: (row[key[0]],)
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
        row = list(self._values(message))
        row.pop()
        converts, place = self._converts, 0
        if time_us is not None and is_event_time(time_us):
            converts = self._timed
            for place in self._of_time:
                row[place] = postgres_time(time_us)
        try:
            for place in self._of_record:
                row[place] = postgres_time(max(record_us, 0))
            for place in self._texts:
                value = row[place]
                if value is not None and (type(value) is not str or NUL in value):
                    row[place] = self._text(value)
            for place, convert in converts:
                if (value := row[place]) is not None:
                    row[place] = convert(value)
        except MALFORMED as error:
            raise ValueError(f"{self._names[place]}: {error}") from None
        made = tuple(row)
        check_key(self.key(made))
        return made


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
