"""Cameras are forgotten everywhere at once, by when something of them was put, and those that are live stay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from models.cameras.window_rows import WindowRow
from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records, window_row, window_rows
from tests.tasks import end
from trafficapp.stores.cameras.live_sink import CAMERA_PARTITIONS_KEY, LiveSink
from trafficapp.stores.cameras.live_upkeep import CameraUpkeep
from trafficapp.stores.redis.connection import (
    FORGOTTEN_CHANNEL,
    IN_TWO_PARTITIONS_KEY,
    LAST_SEEN_KEY,
    PUT_KEY,
    CurrentState,
    connect,
    current_key,
    partitions_key,
)
from trafficapp.stores.redis.live_script import FORGET_CAMERAS

DAY = 86_400.0


def owned() -> bool:
    return True


def upkeep_of(client: Redis, sink: LiveSink, most_cameras: int = 40_000) -> CameraUpkeep:
    return CameraUpkeep(client, sink, DAY, most_cameras)


@pytest.fixture
async def upkeep(client: Redis, sink: LiveSink) -> CameraUpkeep:
    await sink.load([0])
    return upkeep_of(client, sink)


@pytest.fixture
async def other(client: Redis) -> AsyncIterator[LiveSink]:
    """The sink of another worker."""
    sink = LiveSink(client, an_hour_back)
    yield sink
    sink.release(range(64))


async def put(sink: LiveSink, first: int, *rows: WindowRow, partition: int = 0, age_seconds: float = 0.0) -> None:
    await sink.apply(partition, records([*rows], first, partition, age_seconds), owned)


async def let_pass(client: Redis, sinks: Sequence[LiveSink], seconds: float, *but: str) -> None:
    """Let time pass for all cameras but some."""
    for camera_id, _ in await CurrentState(client).last_seen():
        if camera_id not in but:
            await client.zincrby(PUT_KEY, -seconds, camera_id)
    for window in (window for sink in sinks for memory in sink.memories() for window in memory):
        if window.camera_id not in but:
            window.told_at -= seconds


async def listed(client: Redis) -> set[str]:
    """The cameras in Redis, which are in all places or in none."""
    places: list[set[bytes]] = [set(await client.zrange(key, 0, -1)) for key in (LAST_SEEN_KEY, PUT_KEY)]
    places.append(set(await client.hkeys(CAMERA_PARTITIONS_KEY)))  # type: ignore[misc]
    places.append({key.split(b":")[1] for key in await client.keys("camera:*:current")})
    assert all(place == places[0] for place in places), places
    return {camera_id.decode() for camera_id in places[0]}


def known(*sinks: LiveSink) -> set[str]:
    return {window.camera_id for sink in sinks for memory in sink.memories() for window in memory}


async def test_what_was_put_a_day_ago_is_forgotten_everywhere(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep
) -> None:
    await put(sink, 100, *window_rows("gone", 1), *window_rows("stays", 1))
    async with client.pubsub(ignore_subscribe_messages=True) as subscription:
        await subscription.subscribe(FORGOTTEN_CHANNEL)
        await subscription.get_message(timeout=1)
        await let_pass(client, [sink], DAY - 60)
        await upkeep.look()
        assert await listed(client) == known(sink) == {"gone", "stays"}
        await put(sink, 106, *window_rows("stays", 2))
        await let_pass(client, [sink], 61, "stays")
        await upkeep.look()
        assert await listed(client) == known(sink) == {"stays"}
        message = await subscription.get_message(timeout=1)
        assert message is not None
        assert json.loads(message["data"]) == ["gone"]
    assert await client.keys("camera:gone:*") == []


async def test_it_is_when_it_was_put_that_counts_and_not_what_the_windows_say(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep
) -> None:
    """Recordings are played with their own times; and those that come of a backlog come now."""
    old = window_row("recorded", 1)
    old = WindowRow(
        **{name: getattr(old, name) for name in old.__struct_fields__}
        | {"window_start": "2019-01-01T00:00:00Z", "window_end": "2019-01-01T00:00:05Z"}
    )
    await put(sink, 100, old, age_seconds=80_000)
    await upkeep.look()
    assert await listed(client) == {"recorded"}


async def test_a_camera_that_comes_back_is_there_at_once(client: Redis, sink: LiveSink, upkeep: CameraUpkeep) -> None:
    await put(sink, 100, *window_rows("a", 50))
    await let_pass(client, [sink], DAY + 1)
    await upkeep.look()
    assert await listed(client) == known(sink) == set()
    # a recording that is played again begins with earlier times
    await put(sink, 103, *window_rows("a", 3))
    await upkeep.look()
    assert await listed(client) == known(sink) == {"a"}
    assert await CurrentState(client).last_seen() == [("a", 1768374020.0)]


async def test_a_camera_that_is_put_meanwhile_is_not_forgotten(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep
) -> None:
    """It came back after it was found to be due, and before it was to be forgotten."""
    await put(sink, 100, *window_rows("a", 1), *window_rows("b", 1))
    await let_pass(client, [sink], DAY + 1)
    seconds, _ = await client.time()
    await put(sink, 106, *window_rows("a", 2))
    keys = [PUT_KEY, LAST_SEEN_KEY, CAMERA_PARTITIONS_KEY, IN_TWO_PARTITIONS_KEY]
    for camera_id in ("a", "b"):
        keys += [current_key(camera_id), partitions_key(camera_id)]
    forgotten: Any = client.eval(FORGET_CAMERAS, len(keys), *keys, seconds - DAY, FORGOTTEN_CHANNEL, "a", "b")
    assert await forgotten == 1
    assert await listed(client) == {"a"}
    await upkeep.look()
    assert known(sink) == {"a"}


async def test_what_is_forgotten_does_not_come_back_when_the_server_loses_its_data(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep
) -> None:
    await put(sink, 100, *window_rows("gone", 1), *window_rows("late", 1), *window_rows("live", 1))
    await let_pass(client, [sink], DAY - 10, "live")
    await let_pass(client, [sink], 20, "live", "late")
    await client.flushall()
    # nobody looked yet, so it is still in memory
    assert "gone" in known(sink)
    await put(sink, 109, *window_rows("live", 2))
    assert await listed(client) == {"late", "live"}
    # nor does what is put again live for another day
    await let_pass(client, [sink], 20, "live")
    await upkeep.look()
    assert await listed(client) == known(sink) == {"live"}


async def test_a_worker_that_takes_over_knows_how_old_everything_is(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep, other: LiveSink
) -> None:
    await put(sink, 100, *window_rows("old", 1), *window_rows("live", 1))
    await let_pass(client, [sink], DAY - 10, "live")
    sink.release([0])
    await other.load([0])
    await client.flushall()
    await put(other, 106, *window_rows("live", 2))
    assert await listed(client) == {"old", "live"}
    await let_pass(client, [other], 20, "live")
    await upkeep_of(client, other).look()
    assert await listed(client) == known(other) == {"live"}


async def test_two_workers_forget_the_same_cameras(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep, other: LiveSink
) -> None:
    await other.load([1])
    await put(sink, 100, *(row for number in range(600) for row in window_rows(f"a{number}", 1)))
    await put(other, 100, *(row for number in range(600) for row in window_rows(f"b{number}", 1)), partition=1)
    await let_pass(client, [sink, other], DAY + 1, "a7", "b7")
    await asyncio.gather(upkeep.look(), upkeep_of(client, other).look())
    assert await listed(client) == known(sink, other) == {"a7", "b7"}


async def test_a_worker_that_was_killed_in_the_middle_is_no_matter(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep, other: LiveSink
) -> None:
    names = {f"a{number}" for number in range(2000)}
    await put(sink, 100, *(window_row(name, 1) for name in sorted(names)))
    await let_pass(client, [sink], DAY + 1, "a7")
    dying = asyncio.create_task(upkeep.look())
    while await client.zcard(PUT_KEY) == len(names):  # noqa: ASYNC110 - done by a task that has no event
        await asyncio.sleep(0)
    await end(dying)
    left = await listed(client)
    assert "a7" in left
    assert len(left) < len(names)
    sink.release([0])
    await other.load([0])
    await upkeep_of(client, other).look()
    assert await listed(client) == known(other) == {"a7"}


async def test_others_are_served_while_many_are_forgotten(client: Redis, sink: LiveSink, upkeep: CameraUpkeep) -> None:
    await put(sink, 100, *(window_row(f"a{number}", 1) for number in range(4000)))
    await put(sink, 5000, *(window_row(f"b{number}", 1) for number in range(4000)))
    await let_pass(client, [sink], DAY + 1)
    left = []
    looking = asyncio.create_task(upkeep.look())
    while not looking.done():
        left.append(await client.zcard(PUT_KEY))
        await asyncio.sleep(0)
    await looking
    assert len(set(left)) >= 20
    assert await listed(client) == set()


async def test_while_there_are_too_many_those_put_longest_ago_are_forgotten_but_not_within_an_hour(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep
) -> None:
    bounded = upkeep_of(client, sink, most_cameras=3)
    for number in range(6):
        await put(sink, 100 + number, window_row(f"c{number}", 1))
        await let_pass(client, [sink], 900)
    await bounded.look()
    # c2 was put an hour ago
    assert await listed(client) == known(sink) == {"c3", "c4", "c5"}
    await put(sink, 200, window_row("c6", 1), window_row("c7", 1))
    await bounded.look()
    assert await listed(client) == known(sink) == {"c3", "c4", "c5", "c6", "c7"}
    await let_pass(client, [sink], DAY - 3600)
    await bounded.look()
    assert await listed(client) == known(sink) == {"c5", "c6", "c7"}


async def test_cameras_that_an_earlier_version_put_are_forgotten_too(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep
) -> None:
    await put(sink, 100, *window_rows("a", 1), *window_rows("b", 1))
    await client.delete(PUT_KEY)
    # of a camera that there is nothing else of
    await client.hset(CAMERA_PARTITIONS_KEY, "c", "0")  # type: ignore[misc]
    await upkeep.look()
    assert set(await client.zrange(PUT_KEY, 0, -1)) == {b"a", b"b", b"c"}
    await let_pass(client, [sink], DAY + 1, "b")
    await client.zincrby(PUT_KEY, -DAY - 1, "c")
    await upkeep.look()
    assert await listed(client) == known(sink) == {"b"}


async def test_a_clock_that_was_set_back_keeps_nobody_for_long(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep
) -> None:
    await put(sink, 100, *window_rows("a", 1), *window_rows("b", 1))
    await client.zincrby(PUT_KEY, 10 * 365 * DAY, "a")
    await client.zincrby(PUT_KEY, 10 * 365 * DAY, "b")
    await put(sink, 106, *window_rows("b", 2))
    await upkeep.look()
    await let_pass(client, [sink], DAY + 1)
    await upkeep.look()
    assert await listed(client) == known(sink) == set()


async def test_it_goes_on_when_redis_was_away(
    server: RedisServer, client: Redis, sink: LiveSink, caplog: pytest.LogCaptureFixture
) -> None:
    await sink.load([0])
    await put(sink, 100, *window_rows("gone", 1), *window_rows("live", 1))
    own = connect(server.url)
    running = asyncio.create_task(CameraUpkeep(own, sink, 3600.0, 40_000).run())
    server.kill()
    await let_pass_in_memory(sink, 3601, "live")
    async with asyncio.timeout(180):
        while known(sink) != {"live"}:  # noqa: ASYNC110 - done by a task of its own
            await asyncio.sleep(0.05)
        server.start()
        while await client.zcard(PUT_KEY) == 0:  # noqa: ASYNC110 - the change comes from outside
            await asyncio.sleep(0.05)
        await client.zincrby(PUT_KEY, -3601, "live")
        while await client.zcard(PUT_KEY):  # noqa: ASYNC110 - done by a task of its own
            await asyncio.sleep(0.05)
    assert not running.done()
    await end(running)
    await own.aclose()
    assert not [entry for entry in caplog.records if entry.exc_info]


async def let_pass_in_memory(sink: LiveSink, seconds: float, *but: str) -> None:
    for window in (window for memory in sink.memories() for window in memory):
        if window.camera_id not in but:
            window.told_at -= seconds


async def test_an_older_snapshot_gives_nothing_forgotten_back_for_good(
    client: Redis, sink: LiveSink, upkeep: CameraUpkeep
) -> None:
    await put(sink, 100, *window_rows("gone", 1), *window_rows("live", 1))
    await let_pass(client, [sink], DAY + 1, "live")
    snapshot: dict[Any, Any] = {key: await client.dump(key) for key in await client.keys()}
    await upkeep.look()
    await put(sink, 106, *window_rows("live", 2))
    await client.flushall()
    for key, value in snapshot.items():
        await client.restore(key, 0, value)
    assert "gone" in await listed(client)
    await put(sink, 109, *window_rows("live", 3))
    await upkeep.look()
    assert await listed(client) == known(sink) == {"live"}
