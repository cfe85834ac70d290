"""What is declared: it contradicts neither itself nor the topics, and whether a message is accepted follows from it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from models.cameras.detections import Rejected
from models.timestamps import epoch_us, rfc3339
from tests.feeds.parking_bays import PARKING_BAYS
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.decoder import FeedDecoder, sample_of
from trafficapp.roads.feeds import NOTIFICATION_LOG, NOTIFIED, PREDICTED, ROAD_SPEEDS, ROADS
from trafficapp.settings import load_settings
from trafficapp.stores.feeds.table import kept_tables, statement
from trafficapp.stores.postgres.retention import KeptTable
from trafficapp.topics import GPS_DATA, MAX_RECORD_BYTES, TIMESTAMP_TYPE, declared_topics, topics_of

NOON_US = epoch_us("2026-07-01T12:00:00Z")


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_a_sample_of_every_feed_is_accepted(feed: Feed[Any]) -> None:
    now = datetime.now(UTC)
    assert FeedDecoder(feed, load_settings()).check(*sample_of(feed, now), epoch_us(now)).time_us == epoch_us(now)


@pytest.mark.parametrize("feed", [ROAD_SPEEDS, ROADS, PREDICTED, NOTIFIED], ids=lambda feed: feed.name)
def test_the_topics_of_roads_are_those_of_their_feeds(feed: Feed[Any]) -> None:
    settings = load_settings(retention={"topic_hours": 7, "alert_topic_days": 3}, kafka={"partitions": 5})
    declared = {topic.name: topic for topic in declared_topics(settings)}
    for topic in topics_of(feed, settings):
        assert topic == declared[topic.name]


def test_no_topic_is_declared_twice() -> None:
    names = Counter(topic.name for topic in declared_topics(load_settings(), [*FEEDS, PARKING_BAYS]))
    assert set(names.values()) == {1}
    assert {"parking-bays", "trafficapp-parking-bays-by-key"} <= set(names)


def test_a_feed_declares_its_topic_whoever_knew_it_before() -> None:
    settings = load_settings()
    feed = replace(PARKING_BAYS, topic=GPS_DATA, partitions=7, retention_hours=3)
    declared = {topic.name: topic for topic in declared_topics(settings, [*FEEDS, feed])}
    assert declared[GPS_DATA] == topics_of(feed, settings)[0]
    assert (declared[GPS_DATA].partitions, declared[GPS_DATA].config["retention.ms"]) == (7, "10800000")
    assert declared[GPS_DATA].config[TIMESTAMP_TYPE] == "LogAppendTime"


def test_an_inner_topic_takes_what_came_compressed() -> None:
    _, inner = topics_of(PARKING_BAYS, load_settings())
    assert inner.config["max.message.bytes"] == str(MAX_RECORD_BYTES)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"key": "bay"}, "has no field bay"),
        ({"time": "observed"}, "no column of the table has the observed"),
        ({"history": replace(PARKING_BAYS.history, key=("bay",))}, "the table has no column bay"),  # type: ignore[type-var]
    ],
)
def test_a_contradiction_is_told_when_a_feed_is_declared(change: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        replace(PARKING_BAYS, **change)


def check(feed: Feed[Any], **changes: Any) -> int:
    message = {"bay_id": "a", "occupied": True, "timestamp": "2026-07-01T12:00:00Z", "lat": 1, "lon": 2} | changes
    value = json.dumps({name: one for name, one in message.items() if one is not ...}).encode()
    return FeedDecoder(feed, load_settings()).check(b"a", value, NOON_US).time_us


def test_a_time_without_an_offset_is_of_the_zone_and_others_are_not() -> None:
    assert check(PARKING_BAYS, timestamp="2026-07-01T14:00:00") == NOON_US
    assert check(PARKING_BAYS, timestamp="2026-07-01T13:00:00+01:00") == NOON_US
    assert check(PARKING_BAYS, timestamp=NOON_US // 1000) == NOON_US
    assert check(PARKING_BAYS, timestamp="2026-01-14 08:00:00") == epoch_us("2026-01-14T07:00:00Z")
    # of an hour that comes twice the first one, as the standard library has it
    assert check(PARKING_BAYS, timestamp="2025-10-26T02:30:00") == epoch_us("2025-10-26T00:30:00Z")


def test_the_guard_of_the_future_is_as_wide_as_declared() -> None:
    for seconds in (60, 3600):
        feed = replace(PARKING_BAYS, future_seconds=float(seconds))
        assert check(feed, timestamp=rfc3339(NOON_US + seconds * 1_000_000))
        with pytest.raises(Rejected, match="future"):
            check(feed, timestamp=rfc3339(NOON_US + seconds * 1_000_000 + 1))


def test_a_key_may_be_a_number_and_is_the_record_key_unless_messages_are_keyed_anew() -> None:
    strict = replace(PARKING_BAYS, rekey=False)
    assert check(strict)
    assert check(PARKING_BAYS, bay_id=17)
    for feed, bay_id, reason in ((strict, "b", "key_mismatch"), (PARKING_BAYS, True, "invalid_field")):
        with pytest.raises(Rejected) as refused:
            check(feed, bay_id=bay_id)
        assert refused.value.reason == reason


def test_how_long_rows_are_kept_is_declared() -> None:
    settings = load_settings(retention={"notifications_days": 11})
    tables = {table.name: table for table in kept_tables([*FEEDS, PARKING_BAYS], settings)}
    assert tables["notifications"] == KeptTable("notifications", timedelta(days=11), ("event_id",), "notified_at")
    assert tables["parking_bays"] == KeptTable("parking_bays", timedelta(days=30), None, "observed_at")
    assert set(tables) >= {"notifications", "predictions", "road_observations", "parking_bays"}


def test_only_the_newest_row_is_kept_where_that_is_declared() -> None:
    assert ROADS.history is not None
    assert "DO NOTHING" in statement(ROADS.history)
    newest = statement(replace(ROADS.history, newest_by="event_id"))
    assert "WHERE road_observations.event_id <= EXCLUDED.event_id" in newest


def test_what_is_current_of_notifications_reaches_a_day_back() -> None:
    assert NOTIFICATION_LOG.reaches_back_seconds == 86_400
