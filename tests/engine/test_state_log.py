"""The changelog of camera states: merged by the largest source offset, read on from where it was read."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.structs import RecordMetadata, TopicPartition

from tests.batching.raw_batches import CODECS, Raw, batch_bytes, produce_bytes
from trafficapp.engine.kafka import create_topics, groupless_consumer
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state import StateLog
from trafficapp.engine.state_rows import forgotten_row, partition_key
from trafficapp.settings import Settings, load_settings
from trafficapp.state_logs import alert_state_log, camera_state_log, road_feed_state_log, road_forecast_state_log
from trafficapp.topics import camera_state_changelog, declared_topics


def row(offset: int, text: str) -> bytes:
    return struct.pack(">q", offset) + text.encode()


def decode(key: bytes, row: bytes) -> None:
    """What these tests write is text, and none that cannot be read."""
    if b"unreadable" in row:
        raise ValueError("no row")


@asynccontextmanager
async def state_log(settings: Settings) -> AsyncIterator[StateLog]:
    outbox = Outbox(settings)
    try:
        yield StateLog(settings, outbox, camera_state_changelog(settings), settings.kafka.partitions, decode)
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
        await write(owner, 0, (b"a", row(5, "a")), (b"b", row(6, "b")), (b"c", row(2, "c")), (b"e", row(7, "e")))
        assert len((await standby.load([0]))[0]) == 4
        await zombie.load([0])
        await write(owner, 0, (b"d", row(7, "d")), *((key, forgotten_row(7)) for key in (b"a", b"c", b"e")))
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
    assert found[:3] == [b"a", b"c", b"e"]


def encoded(offset: int, state: Any) -> bytes:
    return struct.pack(">q", offset) + msgspec.msgpack.encode(state)


#: Records that no owner writes: key, value, headers.
STRANGERS: dict[str, tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]] = {
    "nothing": (b"a", b"", []),
    "a few bytes": (b"a", b"abc", []),
    "an offset without a state": (b"a", struct.pack(">q", 99), []),
    "a tombstone of nobody": (b"a", None, []),
    "a tombstone without an offset": (b"a", None, [("forgotten-at", None)]),
    "a tombstone with a short offset": (b"a", None, [("forgotten-at", b"\x00\x00\x63")]),
    "a tombstone with text": (b"a", None, [("forgotten-at", b"yesterday, or so")]),
    "a row that cannot be read": (b"a", row(99, "unreadable"), []),
    "a row of a key that nobody has": (b"z", row(99, "unreadable"), []),
    "the row of another partition": (partition_key(5), row(99, "x"), []),
    "headers": (b"a", b"", [("forgotten-at", b""), ("", None)]),
}


@pytest.mark.parametrize("stranger", STRANGERS.values(), ids=list(STRANGERS))
async def test_what_a_stranger_wrote_is_skipped_and_takes_no_row_away(
    kafka_bootstrap: str, stranger: tuple[Any, ...], caplog: pytest.LogCaptureFixture
) -> None:
    settings = await with_changelog(kafka_bootstrap)
    key, value, headers = stranger
    async with state_log(settings) as owner, state_log(settings) as standby:
        await write(owner, 0, (b"a", row(5, "a")))
        await standby.load([0])
        producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait(owner.topic, value, key, partition=0, headers=headers)
        finally:
            await producer.stop()
        await write(owner, 0, (b"b", row(6, "b")))
        async with state_log(settings) as fresh:
            for log in (standby, fresh):
                assert (await log.load([0]))[0] == {b"a": row(5, "a"), b"b": row(6, "b")}
    assert "is no state row, skipped" in caplog.text or stranger is STRANGERS["a tombstone of nobody"]


async def test_a_row_that_cannot_be_unpacked_is_skipped(kafka_bootstrap: str) -> None:
    settings = await with_changelog(kafka_bootstrap)
    async with state_log(settings) as owner, state_log(settings) as successor:
        await write(owner, 0, (b"a", row(5, "a")))
        bad = batch_bytes([Raw(row(99, "x"), b"a", [(b"\xff", b"")]), Raw(row(7, "c"), b"c")], codec=CODECS["lz4"])
        await produce_bytes(kafka_bootstrap, owner.topic, 0, bad)
        assert (await successor.load([0]))[0] == {b"a": row(5, "a"), b"c": row(7, "c")}


@pytest.mark.parametrize("log_of", [camera_state_log, alert_state_log, road_feed_state_log, road_forecast_state_log])
@pytest.mark.parametrize("state", [{"a": 1}, "text", 5, [], ["text", {}], [[[]]], None, b"\xff" * 9])
def test_each_log_knows_its_rows(log_of: Callable[..., StateLog], state: Any) -> None:
    log = log_of(load_settings(), None)
    for key in (b"a", b"\xff\xfe", partition_key(0), b"\x00notifications-x", b"\x00notifications-0"):
        log.rows[0] = {key: encoded(1, state)}
        sound = log._is_sound(0)
        assert isinstance(sound, bool)
        if key != partition_key(0) and state != []:
            assert not sound
    log.rows[0] = {b"a": row(1, "\x93\x92 not msgpack")}
    assert not log._is_sound(0)


class SlowOutbox:
    """An outbox whose producer has no room until it is told so."""

    def __init__(self) -> None:
        self.room = asyncio.Event()
        self.sent: list[bytes] = []

    async def send(
        self, topic: str, partition: int, records: Iterable[tuple[bytes, bytes]], headers: Sequence[Any] = ()
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
