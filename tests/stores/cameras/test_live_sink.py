from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Collection
from typing import Any

import pytest
from redis.asyncio import Redis

from models.cameras.window_rows import WindowRow
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records, window_row, window_rows
from trafficapp.engine.state_rows import UNTOLD, SourceLog
from trafficapp.stores.cameras.live_sink import LiveSink
from trafficapp.stores.redis.connection import LAST_SEEN_KEY, METRICS_CHANNEL, CurrentState, rows_of
from trafficapp.stores.redis.read_back import PartitionSpan, ReadBack


def owned() -> bool:
    return True


async def current(client: Redis, camera_id: str) -> dict[str, object]:
    value = await CurrentState(client).camera(camera_id)
    assert value is not None
    document = json.loads(value)
    assert isinstance(document, dict)
    return document


def flat(rows: list[WindowRow]) -> list[dict[str, object]]:
    return [{name: getattr(row, name) for name in row.__struct_fields__} for row in rows]


async def begins(
    client: Redis, partitions: Collection[int], log: SourceLog = UNTOLD, back: ReadBack = an_hour_back
) -> dict[int, int]:
    """Where another worker would begin; it looks at Redis no longer, as it would if nobody told it to stop."""
    sink = LiveSink(client, back)
    found = await sink.load(partitions, log)
    sink.release(partitions)
    return found


async def test_the_document_holds_camera_and_lanes(client: Redis, sink: LiveSink) -> None:
    assert await sink.load([0]) == {0: 100}
    rows = window_rows("cam_01", 3)
    await sink.apply(0, records([*rows], 100), owned)
    document = await current(client, "cam_01")
    assert document.pop("lanes") == flat(rows[1:])
    assert document == flat(rows[:1])[0]
    stored = await CurrentState(client).camera("cam_01")
    assert stored is not None
    assert json.loads(b"[" + rows_of(stored) + b"]") == flat(rows)
    # 2026-01-14T07:00:20Z
    assert await client.zrange(LAST_SEEN_KEY, 0, -1, withscores=True) == [(b"cam_01", 1768374020.0)]


async def test_rows_of_one_window_may_be_torn_apart_by_runs_and_by_a_restart(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    rows = window_rows("cam_01", 3, lanes=3)
    await sink.apply(0, records([*rows[:2]], 100), owned)
    await sink.apply(0, records([*rows[2:3]], 102), owned)
    sink.release([0])
    second = LiveSink(client, an_hour_back)
    assert await second.load([0]) == {0: 103}
    await second.apply(0, records([*rows[3:]], 103), owned)
    second.release([0])
    assert (await current(client, "cam_01"))["lanes"] == flat(rows[1:])


async def test_an_older_window_never_replaces_a_newer(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    await sink.apply(0, records([*window_rows("cam_01", 5)], 100), owned)
    await sink.apply(0, records([*window_rows("cam_01", 4)], 103), owned)
    assert (await current(client, "cam_01"))["window_start"] == "2026-01-14T07:00:25Z"
    # nor when the sink has forgotten what it wrote
    other = LiveSink(client, an_hour_back)
    await other.load([7])
    await other.apply(7, records([*window_rows("cam_01", 2)], 100, partition=7), owned)
    other.release([7])
    assert (await current(client, "cam_01"))["window_start"] == "2026-01-14T07:00:25Z"


async def test_a_fraction_of_a_second_orders_right(client: Redis, sink: LiveSink) -> None:
    """As text 07:00:05.5Z sorts before 07:00:05Z."""
    await sink.load([0])
    early, late = window_row("cam_01", 1), window_row("cam_01", 1)
    late = WindowRow(**{**flat([late])[0], "window_start": "2026-01-14T07:00:05.500000Z"})  # type: ignore[arg-type]
    await sink.apply(0, records([late, early], 100), owned)
    assert (await current(client, "cam_01"))["window_start"] == "2026-01-14T07:00:05.500000Z"


async def test_the_offset_is_taken_up_again(client: Redis, sink: LiveSink) -> None:
    await sink.load([0, 1])
    await sink.apply(1, records([*window_rows("cam_01", 1)], 500, partition=1), owned)
    assert await begins(client, [0, 1]) == {0: 100, 1: 503}


async def test_an_offset_beyond_the_topic_is_not_believed(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    await sink.apply(0, records([*window_rows("cam_01", 1)], 500), owned)

    async def anew(partitions: Collection[int]) -> dict[int, PartitionSpan]:
        return {partition: PartitionSpan(recent=4, end=9) for partition in partitions}

    second = LiveSink(client, anew)
    assert await second.load([0]) == {0: 4}
    await second.apply(0, records([*window_rows("cam_01", 2)], 4), owned)
    second.release([0])
    assert await begins(client, [0], back=anew) == {0: 7}


async def test_what_is_no_row_is_left_out(client: Redis, sink: LiveSink, caplog: pytest.LogCaptureFixture) -> None:
    await sink.load([0])
    bad = [b"", b"{", b'{"camera_id":1}', b'{"camera_id":"x","window_start":"2026-01-14T07:00:05"}', b"\xff"]
    with_newline = json.dumps(flat([window_row("cam_02", 1)])[0]).encode() + b" \n"
    await sink.apply(0, records([*bad, with_newline], 100), owned)
    assert (await current(client, "cam_02"))["lanes"] == []
    assert await client.zcard(LAST_SEEN_KEY) == 1
    assert len([entry for entry in caplog.records if "no window row" in entry.message]) == len(bad)
    assert await begins(client, [0]) == {0: 106}


async def test_every_row_is_published(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    async with client.pubsub() as subscription:
        await subscription.subscribe(METRICS_CHANNEL)
        await subscription.get_message(timeout=1)
        rows = [row for window in range(400) for row in window_rows("cam_01", window)]
        await sink.apply(0, records([*rows], 100), owned)
        received: list[dict[str, object]] = []
        while len(received) < len(rows):
            message = await subscription.get_message(timeout=2)
            assert message is not None
            received += json.loads(message["data"])
    assert received == flat(rows)


async def test_of_a_backlog_only_the_newest_windows_are_published(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    async with client.pubsub() as subscription:
        await subscription.subscribe(METRICS_CHANNEL)
        await subscription.get_message(timeout=1)
        rows = [row for window in range(50) for camera in ("a", "b") for row in window_rows(camera, window)]
        await sink.apply(0, records([*rows], 100, age_seconds=300), owned)
        message = await subscription.get_message(timeout=2)
        assert message is not None
        assert json.loads(message["data"]) == flat([*window_rows("a", 49), *window_rows("b", 49)])
        assert await subscription.get_message(timeout=0.2) is None


async def test_a_flushed_server_is_built_up_again(client: Redis, sink: LiveSink) -> None:
    await sink.load([0, 1])
    await sink.apply(0, records([*window_rows("cam_01", 1)], 100), owned)
    await sink.apply(0, records([*window_rows("cam_02", 1)], 103), owned)
    await sink.apply(1, records([*window_rows("cam_03", 1)], 100, partition=1), owned)
    await client.flushall()
    # a row of one camera brings its whole partition back at once, the others follow by themselves
    await sink.apply(0, records([*window_rows("cam_02", 2)], 106), owned)
    assert (await current(client, "cam_01"))["window_start"] == "2026-01-14T07:00:05Z"
    assert (await current(client, "cam_02"))["window_start"] == "2026-01-14T07:00:10Z"
    async with asyncio.timeout(180):
        # the change comes from outside this process, so there is no event to wait for
        while not await client.zscore(LAST_SEEN_KEY, "cam_03"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await begins(client, [0, 1]) == {0: 109, 1: 103}


async def test_what_is_put_into_an_emptied_server_is_told_once_in_order_and_never_older_than_what_is_there(
    client: Redis, sink: LiveSink
) -> None:
    await sink.load([0, 1])
    await sink.apply(0, records([*window_rows("quiet", 1)], 100), owned)
    # a camera that has moved: the partition that it came from still remembers an older window of it
    await sink.apply(0, records([*window_rows("moved", 1)], 103), owned)
    await sink.apply(1, records([*window_rows("moved", 3)], 100, partition=1), owned)
    await client.flushall()
    async with client.pubsub() as subscription:
        await subscription.subscribe(METRICS_CHANNEL)
        await sink.apply(1, records([*window_rows("moved", 4), *window_rows("moved", 5)], 103, partition=1), owned)
        await sink.apply(0, records([*window_rows("busy", 5), *window_rows("busy", 6)], 106), owned)
        told: list[dict[str, Any]] = []
        while message := await subscription.get_message(timeout=1):
            if message["type"] == "message":
                told += json.loads(message["data"])
    in_order = [
        *(row for number in (4, 5) for row in window_rows("moved", number)),
        *window_rows("quiet", 1),
        *(row for number in (5, 6) for row in window_rows("busy", number)),
    ]
    assert told == flat(in_order)


async def test_a_killed_server_that_returns_empty(
    server: RedisServer, client: Redis, sink: LiveSink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await sink.load([0])
    await sink.apply(0, records([*window_rows("cam_01", 1)], 100), owned)
    server.kill()
    waiting = asyncio.create_task(sink.apply(0, records([*window_rows("cam_02", 1)], 103), owned))
    await asyncio.sleep(1.0)
    assert not waiting.done()
    assert sink.is_waiting()
    server.start()
    async with asyncio.timeout(10):
        await waiting
    assert not sink.is_waiting()
    assert (await current(client, "cam_01"))["camera_id"] == "cam_01"
    assert (await current(client, "cam_02"))["camera_id"] == "cam_02"
    messages = [entry.message for entry in caplog.records if entry.name == "trafficapp.stores.outage"]
    assert len(messages) == 2
    assert messages[0].startswith("Redis is away")
    assert messages[1].startswith("Redis is back")


async def test_an_older_snapshot_is_noticed(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    await sink.apply(0, records([*window_rows("cam_01", 1)], 100), owned)
    snapshot: dict[Any, Any] = {key: await client.dump(key) for key in await client.keys()}
    await sink.apply(0, records([*window_rows("cam_02", 1)], 103), owned)
    await client.flushall()
    for key, value in snapshot.items():
        await client.restore(key, 0, value)
    await sink.apply(0, records([*window_rows("cam_01", 2)], 106), owned)
    assert (await current(client, "cam_02"))["camera_id"] == "cam_02"


async def test_scripts_that_the_server_forgot_are_sent_again(client: Redis, sink: LiveSink) -> None:
    await sink.load([0])
    await client.script_flush()
    await sink.apply(0, records([*window_rows("cam_01", 1)], 100), owned)
    assert (await current(client, "cam_01"))["camera_id"] == "cam_01"


async def test_waiting_ends_when_the_partition_is_taken_away_or_the_process_stops(
    server: RedisServer, sink: LiveSink
) -> None:
    await sink.load([0, 1])
    server.kill()
    answers = iter([True])
    async with asyncio.timeout(5):
        await sink.apply(0, records([*window_rows("cam_01", 1)], 100), lambda: next(answers, False))
    stuck = asyncio.create_task(sink.apply(1, records([*window_rows("cam_01", 1)], 100, partition=1), owned))
    await asyncio.sleep(0.3)
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck


async def test_load_waits_for_the_server(server: RedisServer, sink: LiveSink) -> None:
    server.kill()
    loading = asyncio.create_task(sink.load([0]))
    await asyncio.sleep(0.5)
    assert not loading.done()
    server.start()
    async with asyncio.timeout(10):
        assert await loading == {0: 100}


async def test_a_topic_that_was_made_anew_and_has_outgrown_the_offset_is_read_from_the_recent_past(
    client: Redis, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = SourceLog("before", 8), SourceLog("after", 8)
    first = LiveSink(client, an_hour_back)
    # what was applied before ids were kept agrees with any
    await first.load([0, 1])
    await first.apply(0, records([*window_rows("cam_01", 1)], 500), owned)
    first.release([0, 1])
    second = LiveSink(client, an_hour_back)
    assert await second.load([0, 1], before) == {0: 503, 1: 100}
    await second.apply(1, records([*window_rows("cam_02", 1)], 100, 1), owned)
    for log in (before, UNTOLD, before):
        assert await begins(client, [0, 1], log) == {0: 503, 1: 103}
    # a server that has lost its data gets the id again, too
    await client.flushdb()
    await second.apply(0, records([*window_rows("cam_01", 2)], 503), owned)
    second.release([0, 1])
    assert "made anew" not in caplog.text
    third = LiveSink(client, an_hour_back)
    assert await third.load([0, 1], after) == {0: 100, 1: 100}
    assert "made anew" in caplog.text
    await third.apply(0, records([*window_rows("cam_01", 3)], 100), owned)
    third.release([0, 1])
    assert await begins(client, [0, 1], after) == {0: 103, 1: 100}
