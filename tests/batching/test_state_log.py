"""The changelog of camera states: merged by the largest source offset, read on from where it was read."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.structs import RecordMetadata, TopicPartition

from trafficapp.kafka import create_topics, groupless_consumer
from trafficapp.outbox import Outbox
from trafficapp.settings import Settings, load_settings
from trafficapp.state import StateLog, camera_state_log
from trafficapp.state_rows import forgotten_row
from trafficapp.topics import camera_state_changelog, declared_topics


def row(offset: int, text: str) -> bytes:
    return struct.pack(">q", offset) + text.encode()


@asynccontextmanager
async def state_log(settings: Settings) -> AsyncIterator[StateLog]:
    outbox = Outbox(settings)
    try:
        yield camera_state_log(settings, outbox)
    finally:
        await outbox.stop()


async def with_changelog(bootstrap_servers: str) -> Settings:
    """Settings under which a changelog of our own exists, empty."""
    settings = load_settings(app_id=f"t-{secrets.token_hex(4)}", kafka={"bootstrap_servers": bootstrap_servers})
    await create_topics(settings, [t for t in declared_topics(settings) if t.name == camera_state_changelog(settings)])
    return settings


async def write(log: StateLog, partition: int, *rows: tuple[bytes, bytes]) -> None:
    await log.write(partition, rows)
    await log.flush()


async def test_the_largest_source_offset_wins_whoever_wrote_last(kafka_bootstrap: str) -> None:
    settings = await with_changelog(kafka_bootstrap)
    async with state_log(settings) as owner, state_log(settings) as zombie, state_log(settings) as successor:
        await write(owner, 0, (b"a", row(5, "owner")), (b"b", row(2, "owner")))
        await write(zombie, 0, (b"a", row(3, "zombie")), (b"b", row(4, "zombie")), (b"c", row(0, "zombie")))
        await write(owner, 1, (b"a", row(1, "other partition")))
        loaded = await successor.load([0, 1])
        assert loaded[0] == {b"a": row(5, "owner"), b"b": row(4, "zombie"), b"c": row(0, "zombie")}
        assert loaded[1] == {b"a": row(1, "other partition")}


async def test_only_what_is_new_is_read_and_own_rows_are_not_read_again(kafka_bootstrap: str) -> None:
    settings = await with_changelog(kafka_bootstrap)
    async with state_log(settings) as ours, state_log(settings) as other:
        await write(other, 0, (b"a", row(1, "other")), (b"b", row(1, "other")))
        assert await ours._read([0]) == 2
        assert await ours._read([0]) == 0
        await write(ours, 0, (b"a", row(2, "ours")), (b"b", row(2, "ours")), (b"c", row(2, "ours")))
        await write(ours, 0, (b"a", row(3, "ours")))
        assert await ours._read([0]) == 0
        await write(other, 0, (b"a", row(4, "other")))
        assert await ours._read([0]) == 1
        await write(other, 0, (b"a", row(5, "other")))
        await write(ours, 0, (b"b", row(6, "ours")))
        assert await ours._read([0]) == 2
        assert (await ours.load([0]))[0] == {b"a": row(5, "other"), b"b": row(6, "ours"), b"c": row(2, "ours")}


async def test_many_rows_arrive_whole(kafka_bootstrap: str) -> None:
    settings = await with_changelog(kafka_bootstrap)
    rows = [(f"cam_{number}".encode(), row(number, "x" * 3000)) for number in range(1000)]
    async with state_log(settings) as ours, state_log(settings) as other:
        await write(ours, 3, *rows)
        assert (await other.load([3]))[3] == dict(rows)
        assert await ours._read([3]) in (0, 1000)


async def test_a_tombstone_removes_what_it_covers_and_nothing_beyond(kafka_bootstrap: str) -> None:
    settings = await with_changelog(kafka_bootstrap)
    async with state_log(settings) as owner, state_log(settings) as zombie, state_log(settings) as standby:
        await write(owner, 0, (b"a", row(5, "a")), (b"b", row(6, "b")), (b"c", row(2, "c")))
        assert len((await standby.load([0]))[0]) == 3
        await zombie.load([0])
        await write(owner, 0, (b"d", row(7, "d")), (b"a", forgotten_row(7)), (b"c", forgotten_row(7)))
        expected = {b"b": row(6, "b"), b"d": row(7, "d")}
        assert owner.rows[0] == expected
        # c comes back; then a frozen process writes its tombstones of long ago
        await write(owner, 0, (b"c", row(9, "again")))
        await write(zombie, 0, (b"b", forgotten_row(5)), (b"c", forgotten_row(7)))
        assert zombie.rows[0][b"b"] == row(6, "b")
        expected[b"c"] = row(9, "again")
        async with state_log(settings) as fresh:
            for log in (fresh, standby, owner):
                assert (await log.load([0]))[0] == expected
    async with groupless_consumer(settings, auto_offset_reset="earliest") as consumer:
        tp = TopicPartition(camera_state_changelog(settings), 0)
        consumer.assign([tp])
        found = [one.key for one in (await consumer.getmany(tp, timeout_ms=5000))[tp] if one.value is None]
    assert found[:2] == [b"a", b"c"]


class SlowOutbox:
    """An outbox whose producer has no room until it is told so."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.sent: list[bytes] = []

    async def send(
        self, topic: str, partition: int, records: Iterable[tuple[bytes, bytes]]
    ) -> list[asyncio.Future[RecordMetadata]]:
        records = list(records)
        await self.room.wait()
        self.sent += [value for _, value in records]
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(RecordMetadata(topic, partition, None, 0, 0, 0, 0))
        return [done]


async def test_rows_are_written_in_order_even_when_the_partition_is_taken_away_meanwhile() -> None:
    outbox = SlowOutbox()
    log = camera_state_log(load_settings(), outbox)  # type: ignore[arg-type]
    writing = asyncio.create_task(log.write(0, [(b"a", row(1, "first"))]))
    await asyncio.sleep(0)
    writing.cancel()
    again = asyncio.create_task(log.write(0, [(b"a", row(2, "second"))]))
    await asyncio.sleep(0)
    outbox.room.set()
    await again
    await log.flush()
    assert writing.cancelled()
    assert outbox.sent == [row(1, "first"), row(2, "second")]
    assert log.rows[0] == {b"a": row(2, "second")}
