from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from models.alarms import Withheld
from models.alerts import AlertEvent, NewAlert, decode_new_alert, encode_alert_event, new_alert
from tests.stores.alerts.alert_messages import FAR, after_noon, news_event
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records
from trafficapp.stores.alerts.current import ACKNOWLEDGED_KEY, CurrentAlerts
from trafficapp.stores.alerts.live_sink import ALERT_PARTITIONS_KEY, LiveAlertsSink, early_key, revision_key
from trafficapp.stores.redis.event_log import EVENTS_CHANNEL, LOG_BYTES, EventLog, EventsMissed, emit
from trafficapp.stores.redis.sink import Call


def owned() -> bool:
    return True


def steps(first_offset: int, *events: AlertEvent | bytes, age_seconds: float = 0.0) -> list[ConsumerRecord]:
    values = [event if isinstance(event, bytes) else encode_alert_event(event) for event in events]
    return records([*values], first_offset, age_seconds=age_seconds)


def later(event: AlertEvent, revision: int, **changes: Any) -> AlertEvent:
    return msgspec.structs.replace(event, action="updated", revision=revision, **changes)


OPENED = news_event()
UPDATED = later(OPENED, 2, congestion_score=0.95)
ACKNOWLEDGED = later(
    OPENED, 2, congestion_score=0.95, acknowledged_by="ana", acknowledged_at=FAR
)  # at the revision it was given at
ACKNOWLEDGED = msgspec.structs.replace(ACKNOWLEDGED, action="acknowledged")
WORSE = later(OPENED, 3, congestion_score=0.99)
RESOLVED = msgspec.structs.replace(WORSE, action="resolved", revision=4, resolved_at=after_noon(60))


@pytest.fixture
async def alerts(client: Redis) -> AsyncIterator[LiveAlertsSink]:
    sink = LiveAlertsSink(client, an_hour_back)
    await sink.load([0])
    yield sink
    sink.release([0])


async def told(client: Redis, since: int) -> list[dict[str, Any]]:
    return [json.loads(one.envelope) for one in await EventLog(client).after(since, 1000)]


async def begin(client: Redis) -> int:
    return (await EventLog(client).state()).seq


async def test_a_life_from_opened_to_resolved(client: Redis, alerts: LiveAlertsSink) -> None:
    since = await begin(client)
    await alerts.apply(0, steps(100, OPENED, UPDATED), owned)
    assert await CurrentAlerts(client).all_open() == [UPDATED]
    await alerts.apply(0, steps(102, ACKNOWLEDGED, WORSE), owned)
    acknowledged = msgspec.structs.replace(WORSE, acknowledged_by="ana", acknowledged_at=FAR)
    assert await CurrentAlerts(client).all_open() == [acknowledged]
    state = await EventLog(client).state()
    assert [msgspec.json.decode(alert, type=AlertEvent) for alert in state.alerts] == [acknowledged]
    await alerts.apply(0, steps(104, RESOLVED), owned)
    assert await CurrentAlerts(client).all_open() == []
    assert not await client.exists(ACKNOWLEDGED_KEY, ALERT_PARTITIONS_KEY)
    assert 3500 < await client.ttl(revision_key(OPENED.id)) <= 3600

    events = await told(client, since)
    assert [event["seq"] - since for event in events] == [1, 2, 3, 4, 5]
    assert [event["event"] for event in events] == [
        "new_alert", "alert_updated", "alert_acknowledged", "alert_updated", "alert_resolved",
    ]  # fmt: skip
    assert [event["data"]["acknowledged_by"] for event in events] == [None, None, "ana", "ana", "ana"]
    decoded = [msgspec.convert(event["data"], AlertEvent) for event in events[1:3]]
    assert decoded == [UPDATED, ACKNOWLEDGED]
    assert msgspec.convert(events[0]["data"], NewAlert) == new_alert(OPENED)


async def test_an_alert_that_rises_is_told_as_new_and_as_updated(client: Redis, alerts: LiveAlertsSink) -> None:
    """The level is its severity, as dashboards of cameras know it."""
    opened = news_event(severity="WARNING", congestion_level="HIGH", congestion_score=0.6, values={"vehicle_count": 40})
    eased = later(opened, 2, congestion_level="MODERATE")
    risen = later(opened, 3, severity="CRITICAL", congestion_level="SEVERE", values={"risen_from": "WARNING"})
    taken = msgspec.structs.replace(eased, action="acknowledged", acknowledged_by="ana", acknowledged_at=FAR)
    since = await begin(client)
    for run in ((opened,), (eased, taken), (risen,), (risen,)):
        await alerts.apply(0, steps(100 + run[0].revision * 10, *run), owned)
    events = await told(client, since)
    assert [event["event"] for event in events] == [
        "new_alert", "alert_updated", "alert_acknowledged", "new_alert", "alert_updated",
    ]  # fmt: skip
    first, again, updated = events[0]["data"], events[3]["data"], events[4]["data"]
    assert (first["severity"], first["alert_severity"], first["id"]) == ("HIGH", "WARNING", opened.id)
    assert (first["score"], first["vehicle_count"], first["window_end"]) == (0.6, 40, opened.updated_at)
    assert (again["severity"], again["alert_severity"], again["acknowledged_by"]) == ("SEVERE", "CRITICAL", "ana")
    assert decode_new_alert(json.dumps(again).encode()) == msgspec.convert(updated, AlertEvent)
    assert updated["severity"] == "CRITICAL"


async def test_a_rise_is_seen_by_what_was_known_before(client: Redis, alerts: LiveAlertsSink) -> None:
    opened = news_event(severity="WARNING")
    since = await begin(client)
    await alerts.apply(0, steps(100, opened, later(opened, 2, severity="CRITICAL")), owned)
    assert [event["event"] for event in await told(client, since)] == ["new_alert", "new_alert", "alert_updated"]


async def test_repeats_at_other_offsets_change_nothing_and_are_not_told(client: Redis, alerts: LiveAlertsSink) -> None:
    since = await begin(client)
    await alerts.apply(0, steps(100, OPENED, UPDATED, ACKNOWLEDGED), owned)
    await alerts.apply(0, steps(103, OPENED, UPDATED, ACKNOWLEDGED), owned)
    other = LiveAlertsSink(client, an_hour_back)
    assert await other.load([0]) == {0: 106}
    await other.apply(0, steps(106, OPENED, ACKNOWLEDGED, RESOLVED, UPDATED, ACKNOWLEDGED, RESOLVED), owned)
    other.release([0])
    assert await CurrentAlerts(client).all_open() == []
    assert len(await told(client, since)) == 4


async def test_a_put_whose_answer_was_lost_is_not_told_again(client: Redis, alerts: LiveAlertsSink) -> None:
    since = await begin(client)
    changes = alerts.collect(alerts.new_memory(), steps(100, OPENED, UPDATED, ACKNOWLEDGED, WORSE))
    generation = (await client.get(alerts.generation_key)).decode()
    for _ in range(2):
        assert await alerts.put(Call(0, generation, -1, 104), changes)
    assert len(await told(client, since)) == 4
    assert [alert.revision for alert in await CurrentAlerts(client).all_open()] == [3]


async def test_every_step_is_published_as_it_is_kept(client: Redis, alerts: LiveAlertsSink) -> None:
    since = await begin(client)
    async with client.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(EVENTS_CHANNEL)
        await subscription.get_message(timeout=1)
        await alerts.apply(0, steps(100, *(news_event(str(number), "c") for number in range(250))), owned)
        received = []
        async with asyncio.timeout(180):
            while len(received) < 250:
                if (message := await subscription.get_message(timeout=1)) is not None:
                    received.append(message["data"])
    assert received == [one.envelope for one in await EventLog(client).after(since, 1000)]


async def test_a_backlog_changes_the_state_and_leaves_a_hole_instead_of_news(
    client: Redis, alerts: LiveAlertsSink
) -> None:
    since = await begin(client)
    await emit(client, "admin_broadcast", b"{}")
    over = news_event("over")
    ended = msgspec.structs.replace(over, action="resolved", revision=2, resolved_at=after_noon(5))
    backlog = steps(100, OPENED, over, ACKNOWLEDGED, WORSE, ended, age_seconds=300)
    await alerts.apply(0, backlog, owned)
    (alert,) = await CurrentAlerts(client).all_open()
    assert (alert.revision, alert.acknowledged_by) == (3, "ana")
    with pytest.raises(EventsMissed):
        await EventLog(client).after(since, 1000)
    # what follows the hole is whole again
    after_hole = (await EventLog(client).state()).seq
    await alerts.apply(0, steps(105, RESOLVED), owned)
    assert [event["event"] for event in await told(client, after_hole)] == ["alert_resolved"]
    # a repeat of the backlog changes nothing, so it leaves no hole
    await alerts.apply(0, steps(106, OPENED, over, age_seconds=300), owned)
    assert len(await told(client, after_hole)) == 1


async def test_an_emptied_server_is_built_up_without_telling_old_alerts(client: Redis, alerts: LiveAlertsSink) -> None:
    gone = news_event("gone")
    await alerts.apply(0, steps(100, OPENED, gone, ACKNOWLEDGED, WORSE), owned)
    end = msgspec.structs.replace(gone, action="resolved", revision=2, resolved_at=after_noon(9))
    await alerts.apply(0, steps(104, end), owned)
    before = await begin(client)
    await asyncio.sleep(0.02)  # numbers run ahead of the clock while there are more than one in a millisecond
    await client.flushall()
    fresh = news_event("fresh")
    await alerts.apply(0, steps(105, fresh, gone), owned)
    found = await CurrentAlerts(client).all_open()
    assert sorted((alert.id, alert.revision, alert.acknowledged_by) for alert in found) == sorted(
        [(OPENED.id, 3, "ana"), (fresh.id, 1, None)]
    )
    entries: Any = await client.xrange("events:log")
    assert [json.loads(fields[b"data"])["id"] for _, fields in entries] == [fresh.id]
    assert int(entries[0][0].partition(b"-")[0]) > before
    # nor does the next owner, who starts from what is there, tell anything again
    alerts.release([0])
    other = LiveAlertsSink(client, an_hour_back)
    assert await other.load([0]) == {0: 107}
    await client.flushall()
    await other.apply(0, steps(107, OPENED, gone, age_seconds=300), owned)
    assert {alert.id for alert in await CurrentAlerts(client).all_open()} >= {OPENED.id, fresh.id}
    assert not await client.exists("events:log")
    other.release([0])


async def test_an_acknowledgement_in_another_partition_reaches_its_alert_as_it_is_by_then(
    client: Redis, alerts: LiveAlertsSink
) -> None:
    await alerts.load([1])
    await alerts.apply(0, steps(100, OPENED, WORSE), owned)
    since = await begin(client)
    await alerts.apply(1, steps(100, ACKNOWLEDGED), owned)
    acknowledged = msgspec.structs.replace(WORSE, acknowledged_by="ana", acknowledged_at=FAR)
    assert await CurrentAlerts(client).one(OPENED.id) == acknowledged
    (event,) = await told(client, since)
    assert event["event"] == "alert_acknowledged"
    told_of = msgspec.convert(event["data"], AlertEvent)
    assert told_of == msgspec.structs.replace(acknowledged, action="acknowledged")
    await client.flushall()
    await alerts.apply(0, steps(102, WORSE), owned)
    assert await CurrentAlerts(client).one(OPENED.id) == acknowledged
    alerts.release([1])


async def test_an_acknowledgement_that_the_alarm_overtook_is_told_of_the_alarm(
    client: Redis, alerts: LiveAlertsSink
) -> None:
    """It was given to an alert that was no alarm yet; whoever keeps what he was told last must not lose the alarm."""
    opened = news_event(alarm_at=None)
    alarm = later(opened, 2, alarm_at=FAR, congestion_score=0.95)
    taken = msgspec.structs.replace(opened, action="acknowledged", acknowledged_by="ana", acknowledged_at=FAR)
    since = await begin(client)
    await alerts.apply(0, steps(100, opened, alarm, taken), owned)
    events = [event["data"] for event in await told(client, since)]
    assert [(event["action"], event["revision"], event["alarm_at"], event["acknowledged_by"]) for event in events] == [
        ("opened", 1, None, None),
        ("updated", 2, FAR, None),
        ("acknowledged", 2, FAR, "ana"),
    ]


async def test_an_acknowledgement_behind_the_end_of_its_alert_is_not_told(
    client: Redis, alerts: LiveAlertsSink
) -> None:
    since = await begin(client)
    await alerts.apply(0, steps(100, OPENED, UPDATED, WORSE, RESOLVED, ACKNOWLEDGED), owned)
    assert [event["event"] for event in await told(client, since)][-2:] == ["alert_updated", "alert_resolved"]
    assert not await client.exists(ACKNOWLEDGED_KEY, early_key(OPENED.id))


@pytest.mark.parametrize("is_lost", [False, True])
async def test_an_acknowledgement_that_came_before_its_alert_is_told_behind_its_first_step(
    client: Redis, alerts: LiveAlertsSink, is_lost: bool
) -> None:
    """As when the process that raised the alert died before it told it."""
    taken = msgspec.structs.replace(OPENED, action="acknowledged", acknowledged_by="ana", acknowledged_at=FAR)
    since = await begin(client)
    await alerts.apply(0, steps(100, taken), owned)
    if is_lost:
        await client.flushall()
    await alerts.apply(0, steps(101, OPENED, taken, WORSE), owned)
    acknowledged = msgspec.structs.replace(WORSE, acknowledged_by="ana", acknowledged_at=FAR)
    assert await CurrentAlerts(client).all_open() == [acknowledged]
    if is_lost:
        return  # whoever listens begins anew
    assert not await client.exists(early_key(OPENED.id))
    events = await told(client, since)
    assert [(event["event"], event["data"]["revision"], event["data"]["acknowledged_by"]) for event in events] == [
        ("new_alert", 1, None),
        ("alert_acknowledged", 1, "ana"),
        ("alert_updated", 3, "ana"),
    ]


async def test_a_server_that_returns_with_an_older_snapshot_lets_nobody_go_on_from_before(
    client: Redis, alerts: LiveAlertsSink
) -> None:
    await alerts.apply(0, steps(100, OPENED), owned)
    snapshot: dict[Any, Any] = {key: await client.dump(key) for key in await client.keys("*")}
    for _ in range(3):
        seen = await emit(client, "admin_broadcast", b"{}")
    await alerts.apply(0, steps(101, WORSE), owned)
    await client.flushall()
    for key, value in snapshot.items():
        await client.restore(key, 0, value)
    await alerts.apply(0, steps(102, news_event("meanwhile")), owned)
    for _ in range(5):
        await emit(client, "admin_broadcast", b"{}")
    with pytest.raises(EventsMissed):
        await EventLog(client).after(seen, 1000)
    assert {alert.revision for alert in await CurrentAlerts(client).all_open()} == {1, 3}


async def test_a_killed_server_is_built_up_by_itself(
    server: RedisServer, client: Redis, alerts: LiveAlertsSink
) -> None:
    await alerts.apply(0, steps(100, OPENED), owned)
    server.kill()
    server.start()
    async with asyncio.timeout(180):
        while not await CurrentAlerts(client).all_open():  # noqa: ASYNC110 - the change comes from the server
            await asyncio.sleep(0.05)
    assert await LiveAlertsSink(client, an_hour_back).load([0]) == {0: 101}


async def test_an_empty_server_is_filled_from_the_topic(client: Redis, alerts: LiveAlertsSink) -> None:
    """A new process against an empty server: it is given the recent past."""
    await alerts.apply(0, steps(100, OPENED, UPDATED, WORSE, age_seconds=1800), owned)
    assert [alert.revision for alert in await CurrentAlerts(client).all_open()] == [3]
    assert not await client.exists("events:log")


async def test_what_is_no_alert_is_left_out(
    client: Redis, alerts: LiveAlertsSink, caplog: pytest.LogCaptureFixture
) -> None:
    bad = [b"", b"{", b'{"id":1}', b"\xff"]
    odd = news_event("odd", 'c"\\\u2028é', title='a "quoted" title', values={"x": None, "y": 1.0})
    await alerts.apply(0, steps(100, *bad, odd), owned)
    assert await CurrentAlerts(client).all_open() == [odd]
    assert len([entry for entry in caplog.records if "is no alert" in entry.message]) == len(bad)


async def test_the_log_is_bounded_and_says_what_it_misses(client: Redis) -> None:
    since = await begin(client)
    for _ in range(15):
        await emit(client, "admin_broadcast", b"{}", kept_events=10)
    log = EventLog(client)
    assert [one.seq - since for one in await log.after(since + 5, 100)] == list(range(6, 16))
    assert [one.seq - since for one in await log.after(since + 5, 3)] == [6, 7, 8]
    assert await log.after(since + 15, 10) == []
    for unknown in (since + 4, since, since + 16, 0):
        with pytest.raises(EventsMissed):
            await log.after(unknown, 100)
    await client.flushall()
    with pytest.raises(EventsMissed):
        await log.after(since + 15, 10)


async def test_the_log_is_bounded_in_bytes_too(client: Redis) -> None:
    """With very many cameras, one event of the clock is megabytes."""
    large = b'"' + b"x" * (1 << 20) + b'"'
    for number in range(150):
        await emit(client, "traffic_metrics_update" if number % 2 else "admin_broadcast", large if number % 2 else b"1")
    assert await client.memory_usage("events:log", samples=0) <= LOG_BYTES + (4 << 20)
    newest = (await EventLog(client).state()).seq
    assert len(await EventLog(client).after(newest - 40, 100)) == 40
    with pytest.raises(EventsMissed):
        await EventLog(client).after(newest - 140, 200)


async def test_an_event_with_a_key_is_told_once(client: Redis) -> None:
    since = await begin(client)
    assert await emit(client, "admin_broadcast", b'{"n":1}', once_key="publication:1") == since + 1
    assert await emit(client, "admin_broadcast", b'{"n":1}', once_key="publication:1") == 0
    assert await emit(client, "admin_broadcast", b'{"n":2}', once_key="publication:2") == since + 2
    assert [event["data"] for event in await told(client, since)] == [{"n": 1}, {"n": 2}]


async def test_what_is_withheld_is_listed_and_not_told_as_new(client: Redis) -> None:
    why = Withheld(how="shelved", by="7", reason="road works", until=FAR)
    sink = LiveAlertsSink(client, an_hour_back, withheld=lambda step: why if step.id == OPENED.id else None)
    await sink.load([0])
    other = news_event("b")
    risen = later(OPENED, 2, values={"risen_from": "WARNING"})
    since = await begin(client)

    await sink.apply(0, steps(100, OPENED, other, risen, ACKNOWLEDGED, RESOLVED), owned)

    events = await told(client, since)
    assert [(event["event"], event["data"]["id"] == OPENED.id) for event in events] == [
        ("alert_updated", True),
        ("new_alert", False),
        ("alert_updated", True),
        ("alert_acknowledged", True),
        ("alert_resolved", True),
    ]
    assert [event["data"].get("withheld") for event in events[:3]] == [
        msgspec.to_builtins(why),
        None,
        msgspec.to_builtins(why),
    ]
    sink.release([0])


async def test_an_alert_that_is_no_alarm_yet_is_told_as_new_and_its_alarm_as_an_update(client: Redis) -> None:
    sink = LiveAlertsSink(client, an_hour_back)
    await sink.load([0])
    held = msgspec.structs.replace(OPENED, severity="WARNING", alarm_at=None)
    alarm = later(held, 2, alarm_at=FAR)
    since = await begin(client)

    await sink.apply(0, steps(100, held, alarm), owned)

    events = await told(client, since)
    assert [(event["event"], event["data"]["alarm_at"]) for event in events] == [
        ("new_alert", None),
        ("alert_updated", FAR),
    ]
    (standing,) = await CurrentAlerts(client).all_open()
    assert standing.alarm_at == FAR
    sink.release([0])
