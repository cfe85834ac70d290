"""A message as a row: whichever way its time comes, and with the column's name where it does not fit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

import msgspec
import pytest

from models.records import PlainRecord
from models.timestamps import epoch_us, from_epoch_us
from trafficapp.feeds.declaration import RECORD_TIME, Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.decoder import FeedDecoder, sample_of
from trafficapp.settings import load_settings
from trafficapp.stores.clickhouse.sink import ClickHouseSink
from trafficapp.stores.feeds.column_values import LONGEST_KEY_BYTES, check_key, convert_of
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.feeds.table import Row, RowMaker
from trafficapp.stores.lake.tables import FeedTable
from trafficapp.stores.postgres.sink import postgres_time

RECORD_US = 1_768_392_000_123_456
KEPT = [feed for feed in FEEDS if feed.history is not None]


@pytest.mark.parametrize("feed", KEPT, ids=[feed.name for feed in KEPT])
def test_a_time_that_was_read_already_makes_the_same_row(feed: Feed[Any]) -> None:
    settings = load_settings()
    decoder = FeedDecoder(feed, settings)
    _, value = sample_of(feed, from_epoch_us(RECORD_US))
    read = decoder.read(value, RECORD_US)
    assert feed.history is not None
    maker = RowMaker(feed, feed.history, decoder.zone)
    assert maker.row(read.message, RECORD_US, read.time_us) == maker.row(read.message, RECORD_US)


def test_what_does_not_fit_is_told_by_its_column() -> None:
    feed = next(feed for feed in KEPT if feed.name == "vehicle-locations")
    assert feed.history is not None
    maker = RowMaker(feed, feed.history, UTC)
    odd = msgspec.structs.replace(feed.sample, passenger_count=1 << 40)
    for time_us in (None, RECORD_US):
        with pytest.raises(ValueError, match=r"^passenger_count: "):
            maker.row(odd, RECORD_US, time_us)


@pytest.mark.parametrize("time", ["1969-12-31T23:59:59Z", "9999-12-31T00:00:00Z"])
def test_a_time_that_nothing_can_be_of_makes_no_row(time: str) -> None:
    feed = next(feed for feed in KEPT if feed.name == "vehicle-locations")
    assert feed.history is not None
    maker = RowMaker(feed, feed.history, UTC)
    for time_us in (None, epoch_us(time)):
        with pytest.raises(ValueError, match=r"^observed_at: "):
            maker.row(msgspec.structs.replace(feed.sample, timestamp=time), RECORD_US, time_us)


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("text", "a\0b", "a\ufffdb"),
        ("text", "plain", "plain"),
        ("text", 7, "7"),
        ("double precision", 3, 3.0),
        ("double precision", 2.5, 2.5),
        ("integer", 2**31 - 1, 2**31 - 1),
        ("integer", -(2**31), -(2**31)),
        ("integer", 3.0, 3),
        ("bigint", 2**31, 2**31),
    ],
)
def test_values_that_a_column_holds(kind: str, value: Any, stored: Any) -> None:
    found = convert_of(kind, UTC)(value)
    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("integer", 2**31), ("integer", -(2**31) - 1), ("integer", 2.5), ("double precision", "3"), ("bigint", 2**63)],
)
def test_values_that_a_column_does_not_hold(kind: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"number|bits"):
        convert_of(kind, UTC)(value)


def test_a_key_is_measured_in_bytes() -> None:
    check_key(("ü" * (LONGEST_KEY_BYTES // 2), 1))
    check_key(("u" * LONGEST_KEY_BYTES,))
    with pytest.raises(ValueError, match="2,050 bytes"):
        check_key(("ü" * (LONGEST_KEY_BYTES // 2 + 1), 1))


@pytest.mark.parametrize("feed", KEPT, ids=[feed.name for feed in KEPT])
def test_what_a_column_takes_as_it_is_needs_no_conversion(feed: Feed[Any]) -> None:
    """A row is the same whether its values are looked at one by one or not."""
    settings = load_settings()
    decoder = FeedDecoder(feed, settings)
    _, value = sample_of(feed, from_epoch_us(RECORD_US))
    read = decoder.read(value, RECORD_US)
    assert feed.history is not None
    row = RowMaker(feed, feed.history, decoder.zone).row(read.message, RECORD_US, read.time_us)
    for (name, column), stored in zip(feed.history.columns.items(), row, strict=True):
        if column.of == RECORD_TIME:
            assert stored == postgres_time(RECORD_US), name
        elif (told := getattr(read.message, column.of or name)) is None:
            assert stored is None, name
        else:
            assert stored == convert_of(column.type, decoder.zone)(told), name


READERS: dict[str, Callable[[Feed[Any], Any], Any]] = {
    "Postgres": lambda feed, records: RowsSink(feed, load_settings()).decode(records),
    "ClickHouse": lambda feed, records: ClickHouseSink(feed, IN_CLICKHOUSE)._rows(0, records),
    "lake": lambda feed, records: FeedTable(feed, load_settings()).tables(records, 0),
}
IN_CLICKHOUSE = load_settings(clickhouse={"url": "http://127.0.0.1:1"})


@pytest.mark.parametrize("store", READERS)
async def test_a_fault_of_ours_is_no_fault_of_a_message(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = next(feed for feed in KEPT if feed.is_ours)
    key, value = sample_of(feed, from_epoch_us(RECORD_US))
    records: Any = [PlainRecord(offset, RECORD_US // 1000, 1, key, value) for offset, value in enumerate([value, b"?"])]
    READERS[store](feed, records)

    def broken(*_: Any) -> Row:
        raise TypeError("a fault of ours")

    monkeypatch.setattr(RowMaker, "row", broken)
    with pytest.raises(TypeError, match="a fault of ours"):
        READERS[store](feed, records)
