"""Shelves that end while their alarms stand: on each channel people are told once more, and of what is shelved not."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import msgspec
import pytest
from msgspec import structs
from redis.asyncio import Redis

from agents.alarms import marked_city_alert, marked_notification, withheld_alert
from models.alerts import encode_alert_event
from models.records import PlainRecord
from models.timestamps import epoch_us, rfc3339
from tests.stores.alerts.alert_messages import news_event
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.rows import records
from tests.stores.roads.notifications import notification, notification_records
from tests.web.sockets.test_feeds import Reader
from trafficapp.alarms.withholding import RULES_OF_OUTAGES, Fold, ShelvedAlarms, Withholding
from trafficapp.feeds.city_alerts import is_alert_feed
from trafficapp.feeds.declaration import Current, Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.roads.feeds import CONGESTION, NOTIFICATION_LOG, NOTIFIED
from trafficapp.settings import load_settings
from trafficapp.stores.alarms.standing import StandingAlarms, StandingAlerts, StandingCityAlerts, StandingCongestion
from trafficapp.stores.alerts.live_sink import LiveAlertsSink
from trafficapp.stores.feeds.current import current_of
from trafficapp.stores.feeds.documents_sink import DocumentsSink
from trafficapp.stores.feeds.log_sink import LogSink, newest_records
from trafficapp.stores.redis.event_log import OPEN_KEY, EventLog
from web.feeds.socket import DocumentFeed
from web.sockets.clients import SocketClient
from web.sockets.notification_feed import NotificationFeed

ALERT_FEEDS = [feed for feed in FEEDS if is_alert_feed(feed)]
#: Of shelves the whole time counts; the steps of tests are of any.
BEGIN, END = 0, 4_200_000_000_000_000
NOBODY = Withholding()


def shelved(rule: str, source_kind: str, source: str) -> Withholding:
    return Withholding(
        [ShelvedAlarms(7, "timed", None, rule, source_kind, frozenset({source}), "known", BEGIN, END, END)]  # type: ignore[arg-type]
    )


def owned() -> bool:
    return True


def record(offset: int, message: msgspec.Struct) -> PlainRecord:
    return PlainRecord(offset, time.time_ns() // 1_000_000, 1, b"key", msgspec.json.encode(message))


@pytest.mark.parametrize("feed", ALERT_FEEDS, ids=lambda feed: feed.name)
async def test_the_socket_of_a_feed(client: Redis, feed: Feed[Any]) -> None:
    now = rfc3339(time.time_ns() // 1000)
    alert = structs.replace(feed.sample, state="opened", timestamp=now, opened_at=now, resolved_at=None)
    known, current = shelved(alert.alert_type, "subject", alert.subject), current_of(feed)
    sink = DocumentsSink(feed, load_settings(), client, an_hour_back)
    sink.withheld = lambda message: marked_city_alert(known, message)
    await sink.load([0])
    socket = DocumentFeed(feed, current, current.channel or "", load_settings(), lambda: cast(Redis, None))
    heard: list[Any] = []
    socket._broadcaster.send = lambda message, listeners: heard.append(json.loads(message))  # type: ignore[method-assign]
    place = StandingCityAlerts(client, feed)
    async with client.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.subscribe(current.channel or "")
        await channel.get_message(timeout=1)

        async def hear() -> list[str]:
            """States that a client is told of, now."""
            await client.publish(current.channel or "", "[]")
            while (message := await channel.get_message(timeout=5)) is not None and message["data"] != b"[]":
                socket.take(message["data"])
            told, heard[:] = [one["state"] for one in heard], []
            return told

        async def begins_with() -> int:
            reader = Reader()
            socket._loaded.set()
            await socket.join(cast(SocketClient, reader), snapshot=True)
            return len(reader.messages)

        await sink.apply(0, [record(100, alert)], owned)
        assert (await hear(), await begins_with()) == ([], 0)
        assert b'"how":"shelved"' in (await client.get(current.key_of(alert.alert_id)) or b"")
        # nothing ends, then the shelf ends
        assert await place.look(known, END - 1) == 0
        assert await hear() == []
        assert [await place.look(NOBODY, END) for _ in range(2)] == [1, 0]
        assert (await hear(), await begins_with()) == (["opened"], 1)
        # shelved again while it stands, and over beneath: who was told of it is told of its end
        assert await place.look(known, END - 1) == 0
        assert (await hear(), await begins_with()) == ([], 0)
        over = structs.replace(alert, state="resolved", revision=9, resolved_at=now)
        await sink.apply(0, [record(101, over)], owned)
        assert await hear() == ["resolved"]
        assert await place.look(NOBODY, END) == 0
    sink.release([0])


@pytest.mark.parametrize("next_step_first", [False, True], ids=["by a look", "by the next step"])
async def test_events(client: Redis, next_step_first: bool) -> None:
    opened = news_event()
    known = [shelved("congestion", "camera", "cam_1")]
    sink = LiveAlertsSink(client, an_hour_back, withheld=lambda step: withheld_alert(known[0], step))
    await sink.load([0])
    since = (await EventLog(client).state()).seq
    place = StandingAlerts(client)
    # triggered while shelved, updated later than any shelf: marked by its opening alone
    await sink.apply(0, records([encode_alert_event(opened)], 100), owned)
    known[0] = NOBODY
    updated = structs.replace(opened, action="updated", revision=2)
    if not next_step_first:
        assert [await place.look(NOBODY, END) for _ in range(2)] == [1, 0]
    await sink.apply(0, records([encode_alert_event(updated)], 101), owned)
    assert await place.look(NOBODY, END) == 0
    told = [json.loads(one.envelope) for one in await EventLog(client).after(since, 100)]
    assert [one["event"] for one in told] == ["alert_updated", "new_alert", "alert_updated"]
    assert ["withheld" in one["data"] for one in told] == [True, False, False]
    # a shelf that begins while it stands
    assert await place.look(shelved("congestion", "camera", "cam_1"), END - 1) == 0
    (told_last,) = (await EventLog(client).after(since, 100))[3:]
    assert told_last.event == "alert_updated"
    assert b'"how":"shelved"' in told_last.envelope
    assert b'"how":"shelved"' in (await client.hget(OPEN_KEY, opened.id) or b"")
    sink.release([0])


@pytest.mark.parametrize("is_regional", [True, False])
async def test_a_silent_camera_is_held_and_then_folded_or_told(client: Redis, is_regional: bool) -> None:
    opened = news_event(alert_type="camera_silent", congestion_level=None, congestion_score=None)
    raised_us = epoch_us(opened.triggered_at)
    fold = Fold("cam_1", "outage", "regional outage: cam_1", raised_us, None, RULES_OF_OUTAGES)
    sink = LiveAlertsSink(client, an_hour_back, withheld=lambda step: withheld_alert(NOBODY, step, 15_000_000))
    await sink.load([0])
    since = (await EventLog(client).state()).seq
    await sink.apply(0, records([encode_alert_event(opened)], 100), owned)
    place, known = StandingAlerts(client), Withholding(folds=[fold] if is_regional else [])

    looks = [await place.look(known, raised_us + seconds * 1_000_000) for seconds in (14, 14, 15, 16)]

    told = [json.loads(one.envelope) for one in await EventLog(client).after(since, 100)]
    found = [(one["event"], one["data"].get("withheld", {}).get("how")) for one in told]
    if is_regional:
        assert found == [("alert_updated", "held"), ("alert_updated", "folded")]
        assert looks == [0, 0, 0, 0]
        # the outage is over, and it is silent still: its end has named it
        assert await place.look(NOBODY, raised_us + 60_000_000) == 0
        (last,) = (await EventLog(client).after(since, 100))[2:]
        assert (last.event, b'"withheld"' in last.envelope) == ("alert_updated", False)
    else:
        assert found == [("alert_updated", "held"), ("new_alert", None)]
        assert looks == [0, 0, 1, 0]
    sink.release([0])


@pytest.mark.parametrize("goes_on", [True, False])
async def test_notifications_of_congestion_that_goes_on(client: Redis, goes_on: bool) -> None:
    begun, changed = (
        structs.replace(
            notification(number, timestamp=rfc3339(time.time_ns() // 1000)),
            alert_type="congestion",
            road_id="r0",
            congestion_event_id="event",
            change=change,
        )
        for number, change in enumerate(("begun", "changed"))
    )
    known = shelved("congestion", "road", "r0")
    sink = LogSink(NOTIFIED, load_settings(), client, an_hour_back)
    sink.withheld = lambda message: marked_notification(known, message)
    await sink.load([0])
    await sink.apply(0, notification_records(100, begun, changed), owned)
    event = structs.replace(CONGESTION.sample, ended_at=None if goes_on else begun.timestamp)
    assert isinstance(CONGESTION.current, Current)
    await client.set(CONGESTION.current.key_of("event"), msgspec.json.encode(event))
    socket = NotificationFeed(lambda: cast(Redis, None))
    heard: list[Any] = []
    socket._broadcaster.send = lambda message, listeners: heard.append(json.loads(message))  # type: ignore[method-assign]
    await socket.catch_up(client)
    place = StandingCongestion(client)

    assert [await place.look(one, END - 1) for one in (known, NOBODY, NOBODY)] == [0, int(goes_on), 0]

    await socket.catch_up(client)
    assert [one["change"] for one in heard] == ["changed"] * goes_on
    assert len(await newest_records(client, NOTIFIED)) == 2
    assert await client.llen(NOTIFICATION_LOG.list) == 2
    sink.release([0])


async def test_it_is_looked_while_shelves_change_and_now_and_then() -> None:
    class Looks:
        count = 0

        async def look(self, known: Withholding, now_us: int) -> int:
            self.count += 1
            return 0

    place = Looks()
    standing, known = StandingAlarms([place]), shelved("congestion", "camera", "cam_1")
    counts = []
    for number in range(50):
        await standing.look(known, END if number >= 10 else END - 1)
        counts.append(place.count)
    assert (counts[4], counts[9]) == (3, 3)
    assert (counts[10], counts[12], counts[42]) == (4, 6, 6)
    assert counts[43] == 7
    # while something is held
    standing.look_until(END + 1)
    for _ in range(5):
        await standing.look(known, END)
    assert place.count == 12
