"""A camera whose rows keep coming from more than one partition is noticed; one that moved once is not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from tests.stores.redis.fixtures import an_hour_back
from tests.stores.redis.redis_server import RedisServer
from tests.stores.redis.rows import records, window_row, window_rows
from trafficapp.stores.cameras.live_sink import LiveSink
from trafficapp.stores.cameras.live_upkeep import CameraUpkeep
from trafficapp.stores.redis.connection import IN_TWO_PARTITIONS_KEY, PUT_KEY, CurrentState, connect, partitions_key
from trafficapp.stores.redis.live_script import END_TWO_PARTITIONS

MINUTES = 300.0


def owned() -> bool:
    return True


@dataclass
class Workers:
    """Two live workers: one has partition 3, the other 5 and 6."""

    client: Redis
    sinks: list[LiveSink]
    told: list[int] = field(default_factory=list)
    _offset: int = 100

    def sink_of(self, partition: int) -> LiveSink:
        return self.sinks[0 if partition == 3 else 1]

    async def put(self, partition: int, *windows: int, camera_id: str = "cam_1", age_seconds: float = 0.0) -> None:
        for window in windows:
            rows = window_rows(camera_id, window)
            run = records([*rows], self._offset, partition, age_seconds)
            await self.sink_of(partition).apply(partition, run, owned)
            self._offset += len(rows)

    async def mixed(self, first: int, windows: int = 6, camera_id: str = "cam_1") -> None:
        """Both partitions tell of each window."""
        for window in range(first, first + windows):
            await self.put(3, window, camera_id=camera_id)
            await self.put(5, window, camera_id=camera_id)

    async def noticed(self, *camera_ids: str) -> dict[str, list[int]]:
        return await CurrentState(self.client).in_two_partitions(camera_ids or ("cam_1",))

    async def look(self) -> None:
        await CameraUpkeep(self.client, self.sinks[0], 86_400.0, 40_000, on_in_two_partitions=self.told.append).look()

    async def start_again(self) -> None:
        for number, partitions in enumerate(([3], [5, 6])):
            self.sinks[number].release(partitions)
            self.sinks[number] = LiveSink(self.client, an_hour_back)
            await self.sinks[number].load(partitions)


@pytest.fixture
async def workers(client: Redis) -> AsyncIterator[Workers]:
    workers = Workers(client, [LiveSink(client, an_hour_back), LiveSink(client, an_hour_back)])
    await workers.sinks[0].load([3])
    await workers.sinks[1].load([5, 6])
    yield workers
    for sink in workers.sinks:
        sink.release(range(64))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        entry.message for entry in caplog.records if entry.levelno == logging.WARNING and "partition" in entry.message
    ]


async def test_both_tell_every_window(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    await workers.put(3, 1, camera_id="other")
    await workers.mixed(1)
    assert await workers.noticed("other", "cam_1", "none") == {"cam_1": [3, 5]}
    await workers.look()
    assert workers.told == [1]
    (warning,) = warnings(caplog)
    assert "'cam_1'" in warning
    assert "murmur2_random" in warning


async def test_they_take_turns(workers: Workers) -> None:
    for window in range(1, 9, 2):
        await workers.put(3, window)
        await workers.put(5, window + 1)
    assert await workers.noticed() == {"cam_1": [3, 5]}


async def test_one_lags_behind_the_other(workers: Workers) -> None:
    """Never is one of its windows the newest."""
    for window in range(10, 40):
        await workers.put(3, window)
        await workers.put(5, window - 4)
    assert await workers.noticed() == {"cam_1": [3, 5]}
    assert await workers.client.hget("sink:traffic.metrics:cameras", "cam_1") == b"3"  # type: ignore[misc]


async def test_three_partitions(workers: Workers) -> None:
    for window in range(1, 10):
        for partition in (6, 3, 5):
            await workers.put(partition, window)
    assert await workers.noticed() == {"cam_1": [3, 5, 6]}


@pytest.mark.parametrize("tail", [0, 1, 2])
async def test_a_camera_that_moves_is_no_sign(workers: Workers, tail: int) -> None:
    """Windows that were open in the old partition are finished when the new one tells already."""
    await workers.put(3, *range(1, 20))
    await workers.put(5, 20)
    await workers.put(3, *range(21 - tail, 21))
    await workers.put(5, *range(21, 40))
    assert await workers.noticed() == {}
    # and neither is that it moves back, and there again
    await workers.put(3, *range(40, 50))
    await workers.put(5, *range(50, 60))
    assert await workers.noticed() == {}


async def test_rows_that_are_sent_again_are_no_sign(workers: Workers) -> None:
    await workers.put(3, *range(1, 20))
    await workers.put(5, *range(20, 30))
    for window in range(30, 60):
        await workers.put(3, 18, 19)
        await workers.put(5, window)
    assert await workers.noticed() == {}


async def test_rows_that_are_sent_again_are_no_sign_when_nothing_is_known_any_more(workers: Workers) -> None:
    await workers.put(3, *range(1, 20))
    await workers.put(5, *range(20, 30))
    await workers.client.delete(partitions_key("cam_1"))
    await workers.start_again()
    for window in range(30, 60):
        await workers.put(3, 18, 19)
        await workers.put(5, window)
    assert await workers.noticed() == {}


async def test_a_move_in_a_backlog_that_is_read_side_by_side_is_no_sign(workers: Workers) -> None:
    for window in range(50):
        await workers.put(3, window, age_seconds=3600)
        await workers.put(5, 50 + window, age_seconds=3000)
    await workers.put(5, *range(100, 110))
    assert await workers.noticed() == {}


async def test_it_ends_when_only_one_tells(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await workers.mixed(1)
    await workers.put(5, 10)
    await workers.client.zincrby(IN_TWO_PARTITIONS_KEY, -MINUTES + 30, "cam_1")
    await workers.put(5, *range(11, 20))
    await workers.look()
    assert workers.told == [1]
    await workers.client.zincrby(IN_TWO_PARTITIONS_KEY, -31, "cam_1")
    await workers.put(5, *range(20, 30))
    await workers.look()
    assert workers.told == [1, 0]
    assert await workers.noticed() == {}
    assert await workers.client.exists(partitions_key("cam_1")) == 0
    assert any("one partition again" in entry.message for entry in caplog.records)
    # and it may begin again
    await workers.mixed(30)
    await workers.look()
    assert workers.told == [1, 0, 1]


async def test_it_does_not_end_while_both_tell(workers: Workers) -> None:
    await workers.mixed(1)
    await workers.client.zincrby(IN_TWO_PARTITIONS_KEY, -MINUTES - 1, "cam_1")
    await workers.mixed(7, windows=2)
    await workers.look()
    assert await workers.noticed() == {"cam_1": [3, 5]}


async def test_one_that_tells_nothing_any_more_is_not_named(workers: Workers) -> None:
    for window in range(1, 10):
        for partition in (6, 3, 5):
            await workers.put(partition, window)
    await workers.client.hset(partitions_key("cam_1"), "t:6", str(time.time() - MINUTES - 1))  # type: ignore[misc]
    await workers.mixed(10)
    assert await workers.noticed() == {"cam_1": [3, 5]}


async def test_what_is_sent_again_does_not_count_as_telling(workers: Workers) -> None:
    await workers.mixed(1)
    await workers.client.hset(partitions_key("cam_1"), "t:3", str(time.time() - MINUTES - 1))  # type: ignore[misc]
    await workers.put(5, 7)
    await workers.put(3, 6)
    assert await workers.noticed() == {}


async def test_what_both_send_again_is_not_counted(workers: Workers) -> None:
    await workers.put(3, *range(1, 20))
    await workers.put(5, 10)
    await workers.put(3, 19)
    assert await workers.client.hget(partitions_key("cam_1"), "returns") == b"0"  # type: ignore[misc]


async def test_it_does_not_end_when_it_was_seen_meanwhile(workers: Workers) -> None:
    """It was found to be over, and seen before that was noted."""
    await workers.mixed(1)
    for camera_id, until in (("cam_1", time.time() - 60), ("cam_1", time.time() + 60)):
        keys = [IN_TWO_PARTITIONS_KEY, partitions_key(camera_id)]
        ended: Any = workers.client.eval(END_TWO_PARTITIONS, len(keys), *keys, until, camera_id)
        assert await ended == ([b"cam_1"] if until > time.time() else [])


async def test_it_is_known_after_restarts_and_told_once(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    await workers.mixed(1)
    await workers.start_again()
    await workers.mixed(7)
    assert await workers.noticed() == {"cam_1": [3, 5]}
    assert len(warnings(caplog)) == 1


async def test_it_is_found_again_when_the_server_lost_its_data(workers: Workers) -> None:
    await workers.mixed(1)
    await workers.client.flushall()
    await workers.mixed(7)
    assert await workers.noticed() == {"cam_1": [3, 5]}


async def test_what_is_put_again_when_the_server_lost_its_data_is_no_sign(workers: Workers) -> None:
    await workers.put(3, *range(1, 20))
    await workers.put(5, *range(20, 30))
    for window in range(30, 40):
        await workers.client.flushall()
        await workers.put(3, window, camera_id="other")
        await workers.put(5, window)
    assert await workers.noticed() == {}


async def test_a_forgotten_camera_leaves_nothing(workers: Workers) -> None:
    await workers.mixed(1)
    await workers.client.zincrby(PUT_KEY, -86_401, "cam_1")
    await workers.look()
    assert workers.told == [0]
    assert await workers.client.keys("camera*") == []


async def test_many_are_told_in_few_lines(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    for window in range(1, 7):
        for partition in (3, 5):
            rows = [window_row(f"cam_{number}", window) for number in range(40)]
            run = records([*rows], 100 * window, partition)
            await workers.sink_of(partition).apply(partition, run, owned)
    await workers.look()
    assert workers.told == [40]
    assert len(warnings(caplog)) <= 21


@settings(deadline=None, max_examples=60)
@given(
    moves=st.lists(st.integers(1, 12), min_size=1, max_size=2),
    tails=st.lists(st.integers(0, 2), min_size=2, max_size=2),
    repeats=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3)), max_size=12),
)
def test_up_to_two_moves_with_repeats_anywhere_are_no_sign(
    moves: list[int], tails: list[int], repeats: list[tuple[int, int]]
) -> None:
    """Whatever rows are sent again, and when."""
    server = _server()
    asyncio.run(_moves(server, moves, tails, repeats))


async def _moves(server: RedisServer, moves: list[int], tails: list[int], repeats: list[tuple[int, int]]) -> None:
    client = connect(server.url)
    await client.flushall()
    workers = Workers(client, [LiveSink(client, an_hour_back), LiveSink(client, an_hour_back)])
    await workers.start_again()
    told: list[tuple[int, int]] = []
    partition, window = 3, 0
    for number, windows in enumerate([*moves, 10]):
        told += [(partition, window + one) for one in range(windows)]
        window += windows
        before, partition = partition, 8 - partition
        told.append((partition, window))
        told += [(before, window + 1 - tail) for tail in range(tails[number % 2], 0, -1)]
    for place, times in repeats:
        place %= len(told)
        told[place + 1 : place + 1] = [told[place - place % 3]] * times
    for partition, window in told:
        await workers.put(partition, window)
    noticed = await workers.noticed()
    for sink in workers.sinks:
        sink.release(range(64))
    await client.aclose()
    assert noticed == {}


_servers: list[RedisServer] = []


def _server() -> RedisServer:
    if not _servers:
        _servers.append(RedisServer())
        _servers[0].start()
    return _servers[0]


def teardown_module() -> None:
    for server in _servers:
        server.kill()
