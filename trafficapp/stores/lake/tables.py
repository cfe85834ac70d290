"""The one schema that all files of a topic have, and how records become rows of it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any, Final

import pyarrow as pa
from aiokafka import ConsumerRecord

from models.cameras.detections import Rejected
from models.records import MALFORMED
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.decoder import FeedDecoder
from trafficapp.settings import Settings
from trafficapp.stores.feeds.table import RowMaker
from trafficapp.stores.postgres.sink import POSTGRES_EPOCH_US

logger = logging.getLogger(__name__)

_TIME: Final = pa.timestamp("us", "UTC")
_DAY_US: Final = 86_400_000_000
_EPOCH: Final = date(1970, 1, 1)

#: How columns of Postgres are called in Arrow. What is JSON is a text.
_TYPES: Final = {
    "text": pa.string(),
    "timestamptz": _TIME,
    "double precision": pa.float64(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "uuid": pa.string(),
    "jsonb": pa.string(),
    "double precision[]": pa.list_(pa.float64()),
}

#: Where a row comes from, and its record as it stood in Kafka: what reads the topic can be fed with it again.
_OF_RECORD: Final = (
    ("kafka_partition", pa.int32()),
    ("kafka_offset", pa.int64()),
    ("kafka_time", _TIME),
    ("kafka_key", pa.binary()),
    ("kafka_value", pa.binary()),
)

#: A flush has files of so many days at most: producers may claim any.
MOST_DAYS = 32


class LakeTable:
    """Rows of a feed with a history: the columns of its table in Postgres, and those of the record.

    Args:
        feed: the declaration.
        settings: of the process.
    """

    def __init__(self, feed: Feed[Any], settings: Settings) -> None:
        if feed.history is None:
            raise ValueError(f"the feed {feed.name} has no history")
        self.topic = feed.kept_topic_in(settings)
        self._feed = feed
        self._decoder = FeedDecoder(feed, settings)
        self._maker = RowMaker(feed, feed.history, self._decoder.zone)
        columns = feed.history.columns
        self._converts = [_CONVERTS.get(column.type) for column in columns.values()]
        fields = [pa.field(name, _TYPES[column.type]) for name, column in columns.items()]
        fields += [pa.field(name, kind, nullable=kind == pa.binary()) for name, kind in _OF_RECORD]
        self.schema = pa.schema(fields)

    def tables(self, records: Sequence[ConsumerRecord], partition: int) -> tuple[dict[date, pa.Table], int]:
        """Tables of the first records, by the day in UTC on which these happened.

        Records that are none of the feed are left out: who checks the feed has told why.

        Returns:
            the tables, of `MOST_DAYS` days at most; and how many of the records they are of.
        """
        days: dict[int, list[list[Any]]] = defaultdict(list)
        count = 0
        for count, record in enumerate(records, 1):
            try:
                accepted = self._decoder.check(record.key, record.value, record.timestamp * 1000)
                row = accepted.row or self._maker.row(accepted.message, record.timestamp * 1000, accepted.time_us)
            except (Rejected, *MALFORMED) as error:
                level = logging.ERROR if self._feed.is_ours else logging.DEBUG
                place = (self.topic, record.offset, self._feed.name)
                logger.log(level, "%s at offset %d is none of %s and was left out: %s", *place, error)
                continue
            day = accepted.time_us // _DAY_US
            if day not in days and len(days) == MOST_DAYS:
                count -= 1
                break
            values = [
                value if value is None or convert is None else convert(value)
                for convert, value in zip(self._converts, row, strict=True)
            ]
            values += (partition, record.offset, record.timestamp * 1000, record.key, record.value)
            days[day].append(values)
        return {_EPOCH + timedelta(days=day): self._table(rows) for day, rows in sorted(days.items())}, count

    def _table(self, rows: list[list[Any]]) -> pa.Table:
        by_column = zip(zip(*rows, strict=True), self.schema, strict=True)
        return pa.Table.from_arrays([pa.array(one, column.type) for one, column in by_column], schema=self.schema)


def _reals(value: str) -> list[float | None]:
    """An array as Postgres reads it."""
    return [None if one == "NULL" else float(one) for one in value[1:-1].split(",") if one]


_CONVERTS: Final[dict[str, Callable[[Any], Any]]] = {
    "timestamptz": lambda value: value[0] + POSTGRES_EPOCH_US,
    "uuid": str,
    "double precision[]": _reals,
}
