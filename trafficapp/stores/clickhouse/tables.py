"""Tables of feeds in ClickHouse: how they are made, and how a row of Postgres is written for them.

A table has the columns of the feed's history, and where in Kafka a row comes from. Columns are nullable but for those
of the key, since a column that is not turns null into 0; whole numbers have 64 bits, since a number that is too large
for its column is cut without a word.

It is a ReplacingMergeTree by the key of the history: of rows with one key, what Postgres keeps is what a question with
FINAL finds. That is the row that came first, or for a history of the newest the newest, as ``row_version`` says; a row
that was written twice has the same version and is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from models.timestamps import from_epoch_us
from trafficapp.feeds.declaration import Feed, History
from trafficapp.settings import Settings
from trafficapp.stores.feeds.table import Row
from trafficapp.stores.postgres.sink import POSTGRES_EPOCH_US

#: How columns of Postgres are called in ClickHouse. What is JSON, and what is an array and may be null, are texts.
_TYPES: Final = {
    "text": "String",
    "timestamptz": "DateTime64(6, 'UTC')",
    "double precision": "Float64",
    "integer": "Int64",
    "bigint": "Int64",
    "boolean": "Bool",
    "uuid": "UUID",
    "jsonb": "String",
    "double precision[]": "String",
}

#: Where a row comes from: Kafka's id of the topic, partition and offset; and which of several rows of a key counts.
PLACE_COLUMNS: Final = {
    "kafka_log": "LowCardinality(String)",
    "kafka_partition": "Int32",
    "kafka_offset": "Int64",
    "row_version": "UInt128",
}

#: How far sinks have come. The largest offset of a log counts.
OFFSETS: Final = "sink_offsets"
_OFFSETS_TABLE: Final = f"""CREATE TABLE IF NOT EXISTS {{database}}.{OFFSETS} (
    `sink` String,
    `topic` String,
    `partition` Int32,
    `kafka_log` String,
    `next_offset` Int64,
    `updated_at` DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY (sink, topic, partition, kafka_log)"""

#: Insertions that are known again by their token: a try whose answer was lost is one of the last.
_KNOWN_INSERTIONS: Final = 1000

_encode_lines = msgspec.json.Encoder().encode_lines


def kept_feeds(feeds: Iterable[Feed[Any]], settings: Settings) -> list[Feed[Any]]:
    """The feeds whose rows go to ClickHouse.

    Raises:
        ValueError: the settings name one that has no history or is not there.
    """
    with_history = {feed.name: feed for feed in feeds if feed.history is not None}
    wanted = settings.clickhouse.feeds
    if unknown := [name for name in wanted if name not in with_history]:
        raise ValueError(
            f"clickhouse.feeds names {unknown[0]}; feeds with a history are: {', '.join(sorted(with_history))}"
        )
    return [feed for name, feed in with_history.items() if not wanted or name in wanted]


def statements(feeds: Iterable[Feed[Any]], database: str) -> Iterator[str]:
    """What makes the database and its tables, or adds what they lack; run again, it changes nothing."""
    yield f"CREATE DATABASE IF NOT EXISTS {_quoted(database)}"
    yield _OFFSETS_TABLE.replace("{database}", _quoted(database))
    # feeds may share a table
    histories = {feed.history.table: feed.history for feed in feeds if feed.history is not None}
    for history in histories.values():
        table, columns = _named(history, database), _columns(history)
        yield _table(table, history, columns)
        added = (f"ADD COLUMN IF NOT EXISTS {_quoted(name)} {kind}" for name, kind in columns.items())
        yield f"ALTER TABLE {table}\n    " + ",\n    ".join(added)


def _table(table: str, history: History, columns: dict[str, str]) -> str:
    told = ",\n".join(f"    {_quoted(name)} {kind}" for name, kind in columns.items())
    key = ", ".join(map(_quoted, history.key))
    return (
        f"CREATE TABLE IF NOT EXISTS {table} (\n{told}\n)\n"
        f"ENGINE = ReplacingMergeTree(row_version)\nORDER BY ({key})\n"
        f"SETTINGS non_replicated_deduplication_window = {_KNOWN_INSERTIONS}"
    )


def _columns(history: History) -> dict[str, str]:
    never_null = {*history.key, *filter(None, (history.newest_by, history.partitioned_by))}
    of_feed = {
        name: _TYPES[column.type] if name in never_null else f"Nullable({_TYPES[column.type]})"
        for name, column in history.columns.items()
    }
    return of_feed | PLACE_COLUMNS


def insertion(history: History, database: str, token: str) -> str:
    """The statement that inserts lines of a `LineMaker`.

    Args:
        history: of the feed.
        database: of the table.
        token: of the rows; a second insertion with it changes nothing.
    """
    names = ", ".join(map(_quoted, _columns(history)))
    return (
        f"INSERT INTO {_named(history, database)} ({names}) SETTINGS async_insert = 0, "
        f"insert_deduplicate = 1, insert_deduplication_token = '{token}', "
        # null is no default, all rows are one block, and times are as they are written here
        "input_format_null_as_default = 0, input_format_parallel_parsing = 0, date_time_input_format = 'basic' "
        "FORMAT JSONCompactEachRow"
    )


def largest_offsets(history: History, database: str, log_id: str, partitions: Sequence[int]) -> str:
    """Asks for the offset after the last row of each partition."""
    return (
        f"SELECT kafka_partition AS partition, max(kafka_offset) + 1 AS next_offset FROM {_named(history, database)} "  # noqa: S608
        f"WHERE kafka_log = '{log_id}' AND kafka_partition IN ({', '.join(map(str, partitions))}) "
        "GROUP BY kafka_partition"
    )


def kept_offsets(sink: str, topic: str, database: str, partitions: Sequence[int]) -> str:
    """Asks how far a sink has come, in each log of a name."""
    return (
        f"SELECT partition, kafka_log, max(next_offset) AS next_offset FROM {_quoted(database)}.{OFFSETS} "  # noqa: S608
        f"WHERE sink = '{sink}' AND topic = '{topic}' AND partition IN ({', '.join(map(str, partitions))}) "
        "GROUP BY partition, kafka_log"
    )


def offsets_insertion(database: str) -> str:
    """Inserts lines of `offsets_lines`."""
    return (
        f"INSERT INTO {_quoted(database)}.{OFFSETS} (sink, topic, partition, kafka_log, next_offset) "
        "SETTINGS async_insert = 0 FORMAT JSONCompactEachRow"
    )


def offsets_lines(sink: str, topic: str, log_id: str, next_offsets: dict[int, int]) -> bytes:
    """How far a sink has come."""
    return _encode_lines([[sink, topic, partition, log_id, offset] for partition, offset in next_offsets.items()])


class LineMaker:
    """Writes rows of a feed for ClickHouse.

    Args:
        history: of the feed.
        newest_by: place of the column that says which row of a key is newer; None where the first one stays.
    """

    def __init__(self, history: History, newest_by: int | None) -> None:
        self._newest_by = newest_by
        self._converts: list[tuple[int, Callable[[Any], Any]]] = [
            (number, convert)
            for number, column in enumerate(history.columns.values())
            if (convert := _CONVERTS.get(column.type)) is not None
        ]

    def values(self, row: Row, log_id: str, partition: int, offset: int) -> list[Any]:
        """The values of a row, as `RowMaker` makes it, and where it comes from."""
        values = list(row)
        version = (1 << 63) - 1 - offset
        if self._newest_by is not None:
            # the later time, and of two that are the same the one that came later
            newest = row[self._newest_by]
            version = ((newest[0] if isinstance(newest, tuple) else newest) + (1 << 63) << 64) + offset
        for place, convert in self._converts:
            if (value := values[place]) is not None:
                values[place] = convert(value)
        values += (log_id, partition, offset, str(version))
        return values

    @staticmethod
    def lines(rows: Iterable[list[Any]]) -> bytes:
        """Rows, a line each."""
        return _encode_lines(rows)


def _time(value: tuple[int]) -> str:
    # a time of the calendar: the decoder refuses others
    return from_epoch_us(value[0] + POSTGRES_EPOCH_US).isoformat(" ", "microseconds")[:26]


def _array(value: str) -> str:
    """An array as Postgres reads it, as JSON."""
    return f"[{value[1:-1].replace('NULL', 'null')}]"


_CONVERTS: Final[dict[str, Callable[[Any], Any]]] = {"timestamptz": _time, "uuid": str, "double precision[]": _array}


def _named(history: History, database: str) -> str:
    return f"{_quoted(database)}.{_quoted(history.table)}"


def _quoted(name: str) -> str:
    return f"`{name}`"
