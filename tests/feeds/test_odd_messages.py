"""What a store could not keep is refused when it comes in, with a reason; what is accepted is kept by all."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Annotated, Any

import asyncpg
import msgspec
import pytest
from msgspec import Meta, Struct

from models.cameras.detections import Rejected
from models.records import PlainRecord
from models.timestamps import epoch_us
from tests.stores.postgres.fixtures import Connection
from trafficapp.feeds.declaration import Column, Current, Feed, History, NewestLog
from trafficapp.feeds.decoder import Accepted, FeedDecoder
from trafficapp.feeds.incoming import incoming_of
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.rows_sink import RowsSink
from trafficapp.stores.postgres.rows import columns_of

NOON = "2026-07-01T12:00:00Z"
NOON_US = epoch_us(NOON)
DEEPEST = json.loads("[" * 100 + "]" * 100)


class Heading(Struct, frozen=True):
    name: str


class Odd(Struct, frozen=True, kw_only=True, rename={"odd_id": "oddId", "timestamp": "time"}):
    """A message with a value of each kind of column, declared as wide as people declare them."""

    odd_id: str
    timestamp: str | int | float | None = None
    event_id: str = "event"
    sent: str | None = None
    direction: str | float | bool | Heading = "north"
    also: Any = None
    count: int = 0
    large: int = 0
    ratio: Any = 0.5
    free: Any = True
    uid: Any = None
    parts: Any = None
    shape: Heading | None = None
    more: Any = None


HISTORY = History(
    table="odd",
    columns={
        "odd_id": Column("text"),
        "observed_at": Column("timestamptz", of="timestamp"),
        "event_id": Column("text"),
        "direction": Column("text"),
        "also": Column("timestamptz"),
        "count": Column("integer"),
        "large": Column("bigint"),
        "ratio": Column("double precision"),
        "free": Column("boolean"),
        "uid": Column("uuid"),
        "parts": Column("double precision[]"),
        "shape": Column("jsonb"),
        "more": Column("jsonb"),
    },
    key=("odd_id", "event_id"),
    newest_by="observed_at",
    partitioned_by=None,
    days=3,
)
ODD = Feed(
    name="odd",
    summary="Odd.",
    topic="odd",
    shape=Odd,
    sample=Odd(odd_id="a", timestamp=NOON),
    key="odd_id",
    rekey=True,
    history=HISTORY,
    current=Current(document="odd:{key}", listed="odd", seconds=60, sent="sent"),
)
LOG = NewestLog(
    list="odd:newest", known="odd:{id}", id="event_id", kept=9, known_seconds=9, channel="odd", news_seconds=9
)
TABLE = """
    CREATE TEMPORARY TABLE odd (
        odd_id text NOT NULL, observed_at timestamptz NOT NULL, event_id text NOT NULL, direction text NOT NULL,
        also timestamptz, count integer NOT NULL, large bigint NOT NULL, ratio double precision, free boolean,
        uid uuid, parts double precision[], shape jsonb, more jsonb, PRIMARY KEY (odd_id, event_id)
    )
"""


def message(**changes: Any) -> bytes:
    told = {"oddId": "a", "time": NOON} | changes
    return json.dumps({name: one for name, one in told.items() if one is not ...}).encode()


def check(feed: Feed[Any] = ODD, **changes: Any) -> Accepted:
    return FeedDecoder(feed, load_settings()).check(None, message(**changes), NOON_US)


def row(**changes: Any) -> dict[str, Any]:
    return dict(zip(HISTORY.columns, check(**changes).row or (), strict=True))


# ---------------------------------------------------------------------- what is refused

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("missing_field", {"time": ...}),
    ("missing_field", {"time": None}),
    ("invalid_timestamp", {"time": "yesterday"}),
    ("invalid_timestamp", {"sent": "yesterday"}),
    *(
        ("invalid_field", changes)
        for changes in (
            {"also": "yesterday"},
            {"also": [1]},
            {"also": "0001-01-01T00:00:00Z"},
            {"count": 2**31},
            {"count": -(2**31) - 1},
            {"large": 2**63},
            {"large": 10**400},
            {"ratio": "half"},
            {"ratio": {}},
            {"ratio": 10**400},
            {"free": "yes"},
            {"free": 1},
            {"uid": "zz"},
            {"uid": 7},
            {"uid": ["a"]},
            {"parts": "12"},
            {"parts": [1, "2}"]},
            {"parts": [[1.0]]},
            {"parts": [10**400]},
            {"more": [DEEPEST]},
            {"event_id": "é" * 2000},
        )
    ),
]


@pytest.mark.parametrize(("reason", "changes"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_the_stores_cannot_keep_is_refused(reason: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as refused:
        check(**changes)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("told", "count"), [("12", 12), ("12.0", 12), (12.0, 12), ("1e2", 100), ("12.5", None), ("", None), (True, None)]
)
def test_numbers_that_are_written_as_text_are_numbers(told: Any, count: int | None) -> None:
    if count is None:
        with pytest.raises(Rejected, match="count"):
            check(count=told)
    else:
        assert row(count=told)["count"] == count


@pytest.mark.parametrize("event_id", ["", "x" * 257])
def test_an_id_that_cannot_name_a_key_is_refused(event_id: str) -> None:
    feed = replace(ODD, current=LOG, history=None)
    assert check(feed, event_id="x" * 256)
    with pytest.raises(Rejected, match="event_id: 1 to 256 characters"):
        check(feed, event_id=event_id)


def test_a_message_whose_document_is_too_large_is_refused() -> None:
    value = message().decode().replace("}", ', "more": [' + "1e15, " * 100_000 + "0]}").encode()
    feed = replace(ODD, history=None)
    with pytest.raises(Rejected, match="too_large: in full it has"):
        FeedDecoder(feed, load_settings()).check(None, value, NOON_US)


@pytest.mark.parametrize("error", [TypeError, KeyError, AttributeError, ZeroDivisionError, RecursionError])
def test_whatever_a_rule_of_the_feeds_own_meets_is_a_letter(error: type[Exception]) -> None:
    def fails(key: bytes | None, value: bytes | None, record_us: int) -> Any:
        raise error("odd")

    with pytest.raises(Rejected, match=f"{error.__name__}: '?odd"):
        check(replace(ODD, checks=lambda settings: fails))


def test_a_key_that_rules_of_the_feeds_own_accept_has_the_same_length_as_others() -> None:
    class Told(Struct):
        message: Odd
        time_us: int = NOON_US

    def accepts(key: bytes | None, value: bytes | None, record_us: int) -> Told:
        return Told(Odd(odd_id="", timestamp=NOON))

    with pytest.raises(Rejected, match="odd_id: 1 to 256 characters"):
        check(replace(ODD, checks=lambda settings: accepts))


# ---------------------------------------------------------------------- what is accepted

KEPT: list[dict[str, Any]] = [
    {},
    {"direction": 90},
    {"direction": True},
    {"direction": {"name": "n\0rth"}},
    {"direction": "n\0rth"},
    {"also": NOON_US // 1000},
    {"count": 2**31 - 1, "large": 2**63 - 1},
    {"count": -(2**31), "large": -(2**63)},
    {"ratio": 1},
    {"ratio": 1e308},
    {"ratio": None, "free": None},
    {"uid": str(uuid.UUID(int=7))},
    {"parts": [1, 2.5, None]},
    {"parts": []},
    {"shape": {"name": "a\0b"}},
    {"more": {"a\0": ["\0", {"b": "\0"}]}},
    {"more": DEEPEST},
    {"more": 10**30},
    {"oddId": 17},
    {"event_id": "é" * 1000},
]


def test_values_are_as_the_columns_have_them() -> None:
    assert row(direction=90)["direction"] == "90.0"
    assert row(direction=True)["direction"] == "true"
    assert row(shape={"name": "a\0b"})["shape"] == '{"name":"a\ufffdb"}'
    assert row(more={"a\0": "\0"})["more"] == '{"a\ufffd":"\ufffd"}'
    assert row(parts=[1, None])["parts"] == "{1.0,NULL}"


async def connected(database_url: str) -> Connection:
    """A connection as sinks have it, with the table."""
    database = await asyncpg.connect(database_url)
    await database.set_type_codec("timestamptz", schema="pg_catalog", encoder=tuple, decoder=tuple, format="tuple")
    await database.execute(TABLE)
    return database


async def test_postgres_keeps_whatever_is_accepted(database_url: str) -> None:
    settings = load_settings(postgres={"url": database_url})
    sink = RowsSink(ODD, settings)
    records: Any = [
        PlainRecord(number, NOON_US // 1000, 1, None, message(**({"oddId": f"k{number}"} | changes)))
        for number, changes in enumerate([*KEPT, *(changes for _, changes in REFUSED)])
    ]
    batch, counters = sink.decode(records)
    assert (len(batch.rows), counters.unreadable) == (len(KEPT), len(REFUSED))
    database = await connected(database_url)
    await database.execute(sink._statement, *columns_of(list(batch.rows.values())))
    assert await database.fetchval("SELECT count(*) FROM odd") == len(KEPT)
    await database.close()


async def test_of_two_with_the_same_time_the_later_one_is_kept_and_a_repeat_changes_nothing(database_url: str) -> None:
    sink = RowsSink(ODD, load_settings(postgres={"url": database_url}))
    database = await connected(database_url)
    done = []
    for runs in ([1], [2], [2], [4, 3]):
        records: Any = [PlainRecord(0, NOON_US // 1000, 1, None, message(count=count)) for count in runs]
        batch, _ = sink.decode(records)
        written = await database.execute(sink._statement, *columns_of(list(batch.rows.values())))
        done.append((written, await database.fetchval("SELECT count FROM odd")))
    assert done == [("INSERT 0 1", 1), ("INSERT 0 1", 2), ("INSERT 0 0", 2), ("INSERT 0 1", 3)]
    await database.close()


# ---------------------------------------------------------------------- what is refused when it is declared


class FloatTime(Odd, frozen=True, kw_only=True):
    timestamp: float


class ShortTime(Odd, frozen=True, kw_only=True):
    timestamp: Annotated[str, Meta(max_length=20)]


class NumberKey(Odd, frozen=True, kw_only=True):
    odd_id: str | int


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"shape": FloatTime, "sample": FloatTime(odd_id="a", timestamp=0.0)}, "timestamp must take a text"),
        ({"shape": ShortTime, "sample": ShortTime(odd_id="a", timestamp=NOON)}, "timestamp must take a text"),
        ({"shape": NumberKey, "sample": NumberKey(odd_id="a", timestamp=NOON)}, "odd_id of NumberKey must be a text"),
        ({"key": "count"}, "count of Odd must be a text"),
        ({"history": replace(HISTORY, newest_by="also")}, "also of Odd must not be null"),
        ({"history": replace(HISTORY, partitioned_by="also")}, "also of Odd must not be null"),
        ({"history": replace(HISTORY, key=("odd_id", "shape"))}, "shape of Odd must not be null"),
        ({"history": replace(HISTORY, columns={**HISTORY.columns, "more": Column("money")})}, "cannot be money"),
        ({"current": replace(LOG, id="nothing")}, "has no field nothing"),
        ({"current": replace(LOG, id="count")}, "count of Odd must be a text"),
        ({"current": replace(ODD.current, sent="nothing")}, "has no field nothing"),  # type: ignore[type-var]
    ],
)
def test_a_shape_that_could_not_be_kept_is_refused_when_it_is_declared(change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=f"odd: .*{wrong}"):
        replace(ODD, **change)


# ---------------------------------------------------------------------- what the settings say


def test_zone_and_guard_may_be_in_the_settings() -> None:
    feed = replace(
        ODD,
        zone=lambda settings: settings.roads.zone,
        future_seconds=lambda settings: settings.roads.future_guard_seconds,
    )
    settings = load_settings(roads={"zone": "America/New_York", "future_guard_seconds": 7})
    decoder = FeedDecoder(feed, settings)
    assert decoder.check(None, message(time="2026-07-01T08:00:07"), NOON_US).time_us == NOON_US + 7_000_000
    with pytest.raises(Rejected, match=r"future: .* more than 7 s ahead"):
        decoder.check(None, message(time="2026-07-01T08:00:08"), NOON_US)
    without = FeedDecoder(replace(ODD, future_seconds=lambda settings: None), settings)
    assert without.check(None, message(time="2027-07-01T12:00:00Z"), NOON_US)


# ---------------------------------------------------------------------- names that messages have otherwise


def test_a_renamed_key_and_time_are_found_where_producers_write_them() -> None:
    settings = load_settings()
    incoming = incoming_of(replace(ODD, rekey=False), settings)
    example = incoming.examples(settings)[0]
    assert (incoming.key, example.time) == ("oddId", "time")
    told = msgspec.json.encode(example.as_of(NOON_US))
    assert set(json.loads(told)) == set(Odd.__struct_encode_fields__)
    verdict = incoming.judge(settings).judge(told, NOON_US)
    assert (verdict.accepted, verdict.refused) == (True, ())
    assert check(oddId=17).key == "17"
