"""Whatever stands on the topics that the live sinks read, what comes behind it is put, and everybody can read it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from models.alerts import encode_alert_event
from models.cameras.registry import CameraCongestion
from models.cameras.window_rows import decode_window_row, encode_window_row
from models.roads.current import encode_road_observation
from models.roads.notifications import encode_notification
from models.roads.predictions import decode_prediction, encode_prediction
from tests.stores.alerts.alert_messages import alert_event
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.rows import records, window_row, window_rows
from tests.stores.roads.notifications import notification
from tests.stores.roads.observations import observation
from tests.stores.roads.predictions import prediction
from trafficapp.roads.feeds import NOTIFIED, PREDICTED, ROADS
from trafficapp.settings import load_settings
from trafficapp.stores.alerts.current import CurrentAlerts
from trafficapp.stores.alerts.live_sink import LiveAlertsSink
from trafficapp.stores.cameras.current import reporting_cameras
from trafficapp.stores.cameras.live_sink import LiveSink
from trafficapp.stores.cameras.periodic_events import PeriodicEvents, Surroundings
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.log_sink import LogSink, newest_records
from trafficapp.stores.redis.connection import CurrentState, rows_of
from trafficapp.stores.redis.sink import RedisSink
from trafficapp.stores.roads.current import CurrentRoads
from web.sockets.event_feed import EventFeed
from web.sockets.notification_feed import NotificationFeed
from web.sockets.window_feed import LiveFeed, Room

#: Values that are nothing on any topic.
NOTHING: list[bytes | None] = [
    *(
        None,
        b"",
        b" ",
        b"null",
        b"true",
        b"7",
        b'"text"',
        b"[]",
        b"{}",
        b"{",
        b"\xff\xfe\x00",
        b"\x00" * 50,
        b"not json",
    ),
    *(b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}", b"9" * 10_000),
]

#: Values that no field has, and one that is nothing to UTF-8; they are put into every field.
WRONG: list[bytes] = [
    *(b"null", b"[]", b"{}", b"true", b'""', b'"x"', b"-1", b"1e999", b"99999999999999999999999999", b'"\xff"'),
    *(b'"' + b"n" * 100_000 + b'"', b'"\\ud800"', b'"9999-12-31T23:59:59Z"', b'"0001-01-01T00:00:00+14:00"'),
    *(b'"2026-01-14"', b'"24:00"', b"1e308", b'["a",1]', b'{"a":{"b":[]}}', b"[" * 5000 + b"]" * 5000),
]


@dataclass
class Topic:
    """A topic with the sink that reads it.

    Attributes:
        good: a record that is one, by number.
        numbers: the numbers of those good ones that everybody can read now.
    """

    sink: RedisSink[Any, Any]
    good: Callable[[int], bytes]
    numbers: Callable[[], Awaitable[set[int]]]
    dropped: list[str]

    async def apply(self, values: list[bytes | None], first: int) -> None:
        await self.sink.apply(0, _records(values, first), lambda: True)


def _records(values: list[bytes | None], first: int) -> list[ConsumerRecord]:
    # as the consumer gives them: keys are whatever they are
    filled = records([value or b"" for value in values], first)
    return [
        replace(record, value=value, key=b"\xff\xfe", headers=(("x", b"\xff"),))
        for record, value in zip(filled, values, strict=True)
    ]


async def _metrics(client: Redis) -> Topic:
    settings = load_settings(postgres={"url": "postgresql://127.0.0.1:9/nowhere"})
    periodic = PeriodicEvents(client, settings, Surroundings(settings))

    async def numbers() -> set[int]:
        documents = await CurrentState(client).cameras([name for name, _ in await CurrentState(client).last_seen()])
        rows = json.loads(b"[" + b",".join(map(rows_of, documents)) + b"]")
        for document in documents:
            decode_window_row(document)
        names = {row.camera_id for row in await reporting_cameras(CurrentState(client))}
        update = msgspec.json.decode(b'{"data":' + await periodic.metrics_update() + b"}")
        assert {row["camera_id"] for row in update["data"]} == names
        assert {row["camera_id"] for row in update["overview"]["cameras"]} == names
        feed = LiveFeed(lambda: client)
        await feed._reload(client)
        shown = json.loads(feed.snapshot(Room(lanes=False)))
        assert {row["camera_id"] for row in shown} >= names
        assert {row["camera_id"] for row in rows} >= names
        return {int(name.removeprefix("g")) for name in names if name.startswith("g")}

    dropped: list[str] = []
    sink = LiveSink(client, an_hour_back, on_dropped=dropped.append)
    return Topic(sink, lambda number: encode_window_row(window_row(f"g{number}", 3)), numbers, dropped)


async def _alerts(client: Redis) -> Topic:
    async def numbers() -> set[int]:
        feed = EventFeed(lambda: client, client, lambda zone: None, 60)
        await feed._catch_up(client)
        found = [alert.camera_id or "" for alert in await CurrentAlerts(client).all_open()]
        assert {alert.camera_id for alert in feed._alerts.values()} == set(found)
        return {int(name.removeprefix("g")) for name in found if name.startswith("g")}

    dropped: list[str] = []
    sink = LiveAlertsSink(client, an_hour_back, on_dropped=dropped.append)
    return Topic(sink, lambda number: encode_alert_event(alert_event(f"g{number}", f"g{number}")), numbers, dropped)


async def _roads(client: Redis) -> Topic:
    async def numbers() -> set[int]:
        current = CurrentRoads(client)
        found = [road.road_id for road in await current.roads(await current.keys())]
        return {int(name.removeprefix("g")) for name in found if name.startswith("g")}

    dropped: list[str] = []
    sink = DocumentsSink(ROADS, load_settings(), client, an_hour_back, on_dropped=dropped.append)
    return Topic(sink, lambda number: encode_road_observation(observation(f"g{number}")), numbers, dropped)


async def _predictions(client: Redis) -> Topic:
    async def numbers() -> set[int]:
        current = CurrentDocuments(client, PREDICTED)
        documents = await current.documents(await current.keys())
        found = [decode_prediction(document).road_id for document in documents]
        return {int(name.removeprefix("g")) for name in found if name.startswith("g")}

    dropped: list[str] = []
    sink = DocumentsSink(PREDICTED, load_settings(), client, an_hour_back, on_dropped=dropped.append)
    return Topic(sink, lambda number: encode_prediction(prediction(f"g{number}")), numbers, dropped)


async def _notifications(client: Redis) -> Topic:
    async def numbers() -> set[int]:
        feed = NotificationFeed(lambda: client)
        await feed.catch_up(client)
        found = [json.loads(record)["road_id"] for _, record in await newest_records(client, NOTIFIED)]
        return {int(name.removeprefix("g")) for name in found if name.startswith("g")}

    dropped: list[str] = []
    sink = LogSink(NOTIFIED, load_settings(), client, an_hour_back, on_dropped=dropped.append)
    return Topic(sink, lambda number: encode_notification(notification(number, road_id=f"g{number}")), numbers, dropped)


_TOPICS = {
    "metrics": _metrics,
    "alerts": _alerts,
    "roads": _roads,
    "predictions": _predictions,
    "notifications": _notifications,
}


@pytest.fixture(params=_TOPICS)
async def topic(request: pytest.FixtureRequest, client: Redis) -> AsyncIterator[Topic]:
    topic = await _TOPICS[request.param](client)
    await topic.sink.load([0])
    yield topic
    topic.sink.release([0])


async def test_what_is_nothing_is_left_out(topic: Topic) -> None:
    values: list[bytes | None] = [topic.good(1)]
    for number, nothing in enumerate(NOTHING, 2):
        values += [nothing, topic.good(number)]
    await topic.apply(values, 100)
    assert await topic.numbers() == set(range(1, len(NOTHING) + 2))
    assert topic.dropped == ["unreadable"] * len(NOTHING)
    # and the offset is behind it
    assert await topic.sink.load([0]) == {0: 100 + len(values)}


async def test_whatever_stands_in_a_field_costs_no_neighbour(topic: Topic) -> None:
    fields = [name.encode() for name in json.loads(topic.good(0))]
    first = 100
    for field in fields:
        values: list[bytes | None] = []
        for wrong in WRONG:
            whole: dict[str, Any] = json.loads(topic.good(0))
            whole[field.decode()] = "@@"
            values.append(json.dumps(whole).encode().replace(b'"@@"', wrong))
        whole = json.loads(topic.good(0))
        del whole[field.decode()]
        values += [json.dumps(whole).encode(), topic.good(first)]
        await topic.apply(values, first)
        assert first in await topic.numbers(), field
        first += len(values)
    await topic.apply([topic.good(7)], first)
    assert 7 in await topic.numbers()
    assert topic.dropped


async def test_a_sink_that_takes_over_reads_what_is_left_of_it(topic: Topic, client: Redis) -> None:
    await topic.apply([topic.good(1), *NOTHING, topic.good(2)], 100)
    # somebody else's hand
    spoiled = [
        key
        for key in await client.keys("*:*")
        if not key.startswith((b"sink:", b"events:")) and await client.type(key) == b"string"
    ]
    for key in spoiled:
        await client.set(key, b"[" * 10_000)
    (open_alert, *_) = [*await client.hkeys("alerts:open"), b"none"]  # type: ignore[misc]
    await client.hset("alerts:open", open_alert, b"[" * 10_000)  # type: ignore[misc]
    await client.lpush("notifications:newest", "[" * 10_000)  # type: ignore[misc]
    topic.sink.release([0])
    await topic.sink.load([0])
    await client.delete(*spoiled, b"none")
    await topic.apply([topic.good(3)], 500)
    assert 3 in await topic.numbers()


async def test_a_row_of_the_year_9999_is_not_the_newest_for_ever(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    far = msgspec.structs.replace(
        window_row("a", 1), window_start="9999-12-31T23:59:50Z", window_end="9999-12-31T23:59:55Z"
    )
    long = msgspec.structs.replace(window_row("a", 1), window_end="9999-12-31T23:59:55Z")
    await sink.apply(0, records([far, long, *window_rows("a", 2)], 100), lambda: True)
    assert [row.window_end for row in await reporting_cameras(CurrentState(client))] == ["2026-01-14T07:00:15Z"]
    # nor is one that an earlier version put
    await client.zadd("cameras:last_seen", {"a": 253_402_300_799})
    await sink.apply(0, records([*window_rows("a", 3)], 105), lambda: True)
    assert await CurrentState(client).last_seen() == [("a", 1768374020.0)]


async def test_a_road_of_the_year_9999_does_not_make_all_others_old(client: Redis) -> None:
    topic = await _roads(client)
    await topic.sink.load([0])
    far = observation("far", timestamp="9999-12-31T00:00:00Z", record_timestamp="9999-12-31T00:00:00Z")
    await topic.apply([topic.good(1), encode_road_observation(far), topic.good(2)], 100)
    assert await topic.numbers() == {1, 2}
    assert topic.dropped == ["future"]
    await client.zadd("roads:observed", {"far": 253_402_300_799})
    await topic.apply([topic.good(3)], 110)
    assert await CurrentRoads(client).keys() == ["g1", "g2", "g3"]
    topic.sink.release([0])


async def test_a_row_with_fields_of_its_own_cannot_break_what_stands_beside_it(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    good = encode_window_row(window_row("a", 1, lane_id=0))
    odd = [
        good[:-1] + b',"lanes":[1,2,{"x":"' + b'"}]}',
        good[:-1] + b',"text":"\xff\xfe"}',
        good[:-1] + b',"camera_id":"a","more":{"lanes":[]}}' + b"\n",
    ]
    for number, row in enumerate(odd):
        camera_wide = row.replace(b'"lane_id":0', b'"lane_id":null')
        await sink.apply(0, records([camera_wide, row, *window_rows("b", 1)], 100 + 10 * number), lambda: True)
        documents = await CurrentState(client).cameras(["a", "b"])
        rows = json.loads(b"[" + b",".join(map(rows_of, documents)) + b"]")
        assert {tuple(row) for row in rows} == {tuple(window_row("a", 1).__struct_fields__)}
        assert [row["camera_id"] for row in rows] == ["a", "a", "b", "b", "b"]
        for document in documents:
            msgspec.json.decode(document, type=CameraCongestion)
