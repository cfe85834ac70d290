"""The one schema that all files of a topic have, and how records become rows of it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from operator import attrgetter
from typing import Any, Final, TypeAlias

import pyarrow as pa
from aiokafka import ConsumerRecord

from trafficapp.feeds.declaration import Feed
from trafficapp.settings import Settings
from trafficapp.stores.alerts import history_sink as alerts
from trafficapp.stores.cameras import event_rows, windows_sink
from trafficapp.stores.feeds.message_rows import MessageRows
from trafficapp.stores.measures.sketches import counts_of
from trafficapp.stores.postgres.sink import POSTGRES_EPOCH_US, SinkCounters
from trafficapp.stores.postgres.time_partitions import EVENTS_TABLE, METRICS_TABLE
from trafficapp.topics import CAMERAS_IN_LAKE
from trafficapp.windows.rules import acceptance_of

logger = logging.getLogger(__name__)

_TIME: Final = pa.timestamp("us", "UTC")
_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)

#: How columns of Postgres are called in Arrow. What is JSON is a text.
_TYPES: Final = {
    "text": pa.string(),
    "timestamptz": _TIME,
    "double precision": pa.float64(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "uuid": pa.string(),
    "jsonb": pa.string(),
    "double precision[]": pa.list_(pa.float64()),
    "smallint[]": pa.list_(pa.int16()),
    "integer[]": pa.list_(pa.int32()),
}

#: What folders say of their files: readers take it for columns, in the place of those of the files. A day is a date to
#: every reader that is told so.
FOLDERS: Final = pa.schema([("topic", pa.string()), ("date", pa.date32())])

#: Where a row comes from.
_PLACE: Final = (("kafka_partition", pa.int32()), ("kafka_offset", pa.int64()), ("kafka_time", _TIME))

#: Its record as it stood in Kafka: what reads the topic can be fed with it again.
_MESSAGE: Final = (("kafka_key", pa.binary()), ("kafka_value", pa.binary()))

#: The sketch of a window's speeds, for whoever asks with SQL: its buckets, and how many speeds are in each.
_SKETCH: Final = {"speed_buckets": "smallint[]", "speed_counts": "integer[]"}

#: A flush has files of so many days at most: producers may claim any.
MOST_DAYS = 32

#: So many rows are made before they become columns: more do not fit the caches, and cost twice as much (measured).
_ROWS_AT_ONCE = 1_000

Row: TypeAlias = tuple[Any, ...]

_offset_of = attrgetter("offset")


class LakeTable(ABC):
    """What of a topic goes to the lake: rows with columns as the history in Postgres has them, and where they are from.

    Args:
        name: in ``lake.feeds``.
        topic: of the records.
        table: what it is called in questions, as in Postgres.
        columns: types of Postgres by name. One that is called as what folders say is called ``message_…`` in the lake.
        with_messages: whether the record as it came stands beside its row. A row that says all that it said needs none.

    Attributes:
        schema: of every file.
    """

    def __init__(
        self, name: str, topic: str, table: str, columns: Mapping[str, str], *, with_messages: bool = True
    ) -> None:
        self.name, self.topic, self.table = name, topic, table
        self._with_messages = with_messages
        self._converts = [_CONVERTS.get(kind) for kind in columns.values()]
        names = [f"message_{column}" if column in FOLDERS.names else column for column in columns]
        fields = [pa.field(name, _TYPES[kind]) for name, kind in zip(names, columns.values(), strict=True)]
        fields += [pa.field(column, kind, nullable=False) for column, kind in _PLACE]
        fields += [pa.field(column, kind) for column, kind in _MESSAGE if with_messages]
        self.schema = pa.schema(fields)

    @abstractmethod
    def rows(self, records: Sequence[ConsumerRecord]) -> Iterator[tuple[int, Sequence[ConsumerRecord], Sequence[Row]]]:
        """What records come to, in the order of the log: a day in UTC, since 1970; the record of each row; the rows.

        Records that come to nothing are left out: who checks the topic has told why.
        """

    def tables(self, records: Sequence[ConsumerRecord], partition: int) -> tuple[dict[date, pa.Table], int]:
        """Tables of the first records, by the day in UTC on which these happened.

        Returns:
            the tables, of `MOST_DAYS` days at most; and how many of the records they are of.
        """
        waiting: dict[int, tuple[list[ConsumerRecord], list[Row]]] = {}
        parts: dict[int, list[pa.Table]] = defaultdict(list)
        count = len(records)
        for day, of_rows, rows in self.rows(records):
            if day not in waiting:
                if len(waiting) == MOST_DAYS:
                    count = bisect_left(records, of_rows[0].offset, key=_offset_of)
                    break
                waiting[day] = [], []
            all_records, all_rows = waiting[day]
            all_records += of_rows
            all_rows += rows
            if len(all_rows) >= _ROWS_AT_ONCE:
                parts[day] += self._fitting(all_records, all_rows, partition)
                waiting[day] = [], []
        for day, (all_records, all_rows) in waiting.items():
            if all_rows:
                parts[day] += self._fitting(all_records, all_rows, partition)
        return {_EPOCH + timedelta(days=day): pa.concat_tables(parts[day]) for day in sorted(parts)}, count

    def _fitting(self, records: Sequence[ConsumerRecord], rows: Sequence[Row], partition: int) -> Iterator[pa.Table]:
        """Tables of rows, without those whose values do not fit: halved until these stand alone."""
        try:
            yield self._table(records, rows, partition)
        except (ValueError, OverflowError) as error:
            if len(rows) == 1:
                told = (self.topic, records[0].offset, error, rows[0])
                logger.error("%s at offset %d was left out of the lake (%s): %.500r", *told)
                yield self.schema.empty_table()
                return
            middle = len(rows) // 2
            yield from self._fitting(records[:middle], rows[:middle], partition)
            yield from self._fitting(records[middle:], rows[middle:], partition)

    def _table(self, records: Sequence[ConsumerRecord], rows: Sequence[Row], partition: int) -> pa.Table:
        columns: list[Sequence[Any]] = [
            column if convert is None else [None if value is None else convert(value) for value in column]
            for column, convert in zip(zip(*rows, strict=True), self._converts, strict=True)
        ]
        columns += ([partition] * len(rows), [record.offset for record in records])
        columns += ([record.timestamp * 1000 for record in records],)
        if self._with_messages:
            columns += ([record.key for record in records], [record.value for record in records])
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self.schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=self.schema)


class FeedTable(LakeTable):
    """Messages of a feed with a history.

    Args:
        feed: the declaration.
        settings: of the process.
    """

    def __init__(self, feed: Feed[Any], settings: Settings) -> None:
        self._messages = MessageRows(feed, settings)
        history = self._messages.history
        columns = {name: column.type for name, column in history.columns.items()}
        super().__init__(feed.name, feed.kept_topic_in(settings), history.table, columns)

    def rows(self, records: Sequence[ConsumerRecord]) -> Iterator[tuple[int, Sequence[ConsumerRecord], Sequence[Row]]]:
        """A row each."""
        for record, (accepted, row) in self._messages.records.of(records, SinkCounters()):
            yield accepted.time_us // _DAY_US, (record,), (row,)


class EventsTable(LakeTable):
    """Detections of cameras that were accepted, a row each, in all of which a message's columns are.

    Args:
        settings: of the process.
        topic: where they are read.
    """

    def __init__(self, settings: Settings, topic: str = CAMERAS_IN_LAKE["events"]) -> None:
        super().__init__("events", topic, EVENTS_TABLE, event_rows.COLUMNS, with_messages=False)
        self._rows = event_rows.EventRows(acceptance_of(settings))

    def rows(self, records: Sequence[ConsumerRecord]) -> Iterator[tuple[int, Sequence[ConsumerRecord], Sequence[Row]]]:
        """Those of a picture together."""
        for picture, rows in self._rows.pictures(records):
            # a record each, or one frame
            of_rows = picture.records if len(picture.records) > 1 else picture.records * len(rows)
            yield picture.time_us // _DAY_US, of_rows, rows


class WindowsTable(LakeTable):
    """Finished windows of cameras, as often as they were sent."""

    def __init__(self, topic: str = CAMERAS_IN_LAKE["metrics"]) -> None:
        columns = {name: kind for name, kind in windows_sink.COLUMNS.items() if name != "speed_sketch"}
        super().__init__("metrics", topic, METRICS_TABLE, {**columns, **_SKETCH})
        self._start = list(windows_sink.COLUMNS).index("window_start")

    def rows(self, records: Sequence[ConsumerRecord]) -> Iterator[tuple[int, Sequence[ConsumerRecord], Sequence[Row]]]:
        """A row each, on the day on which the window began."""
        for record, row in windows_sink.window_rows(self.topic).of(records, SinkCounters()):
            counts = counts_of(row[-1]) if row[-1] else None
            sketch = (None, None) if counts is None else (list(counts), list(counts.values()))
            yield _day_of(row[self._start]), (record,), ((*row[:-1], *sketch),)


class AlertsTable(LakeTable):
    """Alerts, a row a step; Postgres has the newest step of each, and acknowledgements in a table of their own."""

    def __init__(self, topic: str = CAMERAS_IN_LAKE["alerts"]) -> None:
        taken_on = {"acknowledged_by": "text", "acknowledged_at": "timestamptz"}
        super().__init__("alerts", topic, "alerts", {"action": "text", **alerts.COLUMNS, **taken_on})
        self._updated = list(alerts.COLUMNS).index("updated_at")

    def rows(self, records: Sequence[ConsumerRecord]) -> Iterator[tuple[int, Sequence[ConsumerRecord], Sequence[Row]]]:
        """A row each, on the day of the step."""
        for record, step in alerts.alert_steps(self.topic).of(records, SinkCounters()):
            _, by, at, _ = step.acknowledgement or (None, None, None, None)
            yield _day_of(step.alert[self._updated]), (record,), ((step.action, *step.alert, by, at),)


def _day_of(time: Any) -> int:
    """The day of a time as `postgres_time` makes it."""
    return int(time[0] + POSTGRES_EPOCH_US) // _DAY_US


def _reals(value: str) -> list[float | None]:
    """An array as Postgres reads it."""
    return [None if one == "NULL" else float(one) for one in value[1:-1].split(",") if one]


_CONVERTS: Final[dict[str, Callable[[Any], Any]]] = {
    "timestamptz": lambda value: value[0] + POSTGRES_EPOCH_US,
    "uuid": str,
    "double precision[]": _reals,
}
