"""The sink of ``traffic.metrics`` into Redis: the newest window of every camera, and pub/sub.

The applied offset stands in Redis beside what it covers and moves in the same script call. Rows of the
topic are JSON already: only their heads are decoded, their bytes are spliced into what is stored.

A server that comes back empty, or with an older snapshot, is recognised by its generation key or by
an offset smaller than the one written last; then the newest windows, which are kept in memory too, are
put again. A sink that starts against an empty server reads an hour of the topic back.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from redis.asyncio import Redis

from trafficapp.stores.live_script import PUT_WINDOWS
from trafficapp.stores.newest import CameraWindow, NewestWindows, decode_head
from trafficapp.stores.outage import Outage
from trafficapp.stores.read_back import PartitionSpan, ReadBack
from trafficapp.stores.redis import LAST_SEEN_KEY, METRICS_CHANNEL, UNAVAILABLE, current_key, is_outage
from trafficapp.topics import METRICS

logger = logging.getLogger(__name__)

GENERATION_KEY = f"sink:{METRICS}:generation"
OFFSETS_KEY = f"sink:{METRICS}"
CAMERA_PARTITIONS_KEY = f"sink:{METRICS}:cameras"

#: Of rows that waited longer in the topic only the newest window of a camera is published: a backlog is no news.
NEWS_SECONDS = 60.0

_CAMERAS_PER_CALL = 250
_ROWS_PER_MESSAGE = 500
_WATCH_SECONDS = 2.0


@dataclass(slots=True)
class _Partition:
    """What the sink knows of a partition it owns; ``stored`` is the offset that Redis holds, -1 for none."""

    number: int
    generation: str
    stored: int
    windows: NewestWindows = field(default_factory=NewestWindows)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class _Changes:
    """The effect of one run: windows to put, messages to publish, the offset to read on from."""

    windows: Collection[CameraWindow]
    messages: list[bytes]
    next_offset: int


@dataclass(frozen=True, slots=True)
class _Call:
    """What the script is told besides windows; ``next_offset`` -1 leaves the stored offset alone."""

    partition: int
    generation: str
    stored: int
    next_offset: int
    messages: Sequence[bytes]


class LiveSink:
    """Applies runs of ``traffic.metrics`` to Redis.

    Args:
        client: from `trafficapp.stores.redis.connect`.
        read_back: where to begin when Redis knows no offset.
        on_rows: told how many rows took effect.
    """

    def __init__(self, client: Redis, read_back: ReadBack, on_rows: Callable[[int], None] | None = None) -> None:
        self._client = client
        self._read_back = read_back
        self._on_rows = on_rows
        self._script = client.register_script(PUT_WINDOWS)
        self._partitions: dict[int, _Partition] = {}
        self._redis_outage = Outage("Redis")
        self._kafka_outage = Outage("Kafka")
        self._watcher: asyncio.Task[None] | None = None

    def is_waiting(self) -> bool:
        """Whether Redis, or at first the broker, is away."""
        return self._redis_outage.lasting or self._kafka_outage.lasting

    async def load(self, partitions: Collection[int]) -> dict[int, int]:
        """Take over partitions; waits until Redis and the broker answer.

        Returns:
            for each partition the offset of the first record still to be applied.
        """
        while True:
            try:
                spans = await self._read_back(partitions)
                self._kafka_outage.over()
                break
            except (KafkaError, OSError, TimeoutError) as error:
                self._kafka_outage.met(error)
                await self._kafka_outage.pause()
        while True:
            try:
                loaded = await self._load(partitions, spans)
                self._redis_outage.over()
                break
            except UNAVAILABLE as error:
                await self._wait(error)
        self._partitions.update(loaded)
        if self._partitions and (self._watcher is None or self._watcher.done()):
            self._watcher = asyncio.create_task(self._watch(), name="live-sink-watch")
        return {number: state.stored if state.stored >= 0 else spans[number].recent for number, state in loaded.items()}

    async def apply(self, partition: int, records: Sequence[ConsumerRecord], still_owned: Callable[[], bool]) -> None:
        """Put the newest windows of a run and publish its rows; waits while Redis is away."""
        if not records:
            return
        state = self._partitions[partition]
        async with state.writing:
            changes = _collect(state.windows, records)
            while still_owned():
                try:
                    await self._put(state, changes)
                    break
                except UNAVAILABLE as error:
                    await self._wait(error)
        if self._on_rows is not None:
            self._on_rows(len(records))

    def release(self, partitions: Collection[int]) -> None:
        """Forget partitions."""
        for number in partitions:
            self._partitions.pop(number, None)
        if not self._partitions and self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    async def _load(self, partitions: Collection[int], spans: Mapping[int, PartitionSpan]) -> dict[int, _Partition]:
        generation = await self._generation()
        loaded = {}
        for number in partitions:
            value = await self._client.hget(OFFSETS_KEY, str(number))
            stored = -1 if value is None else int(value)
            if stored > spans[number].end:
                logger.warning(
                    "%s/%d ends at %d, before the applied offset %d: it was made anew, reading all that is recent",
                    METRICS,
                    number,
                    spans[number].end,
                    stored,
                )
                await self._client.hdel(OFFSETS_KEY, str(number))
                stored = -1
            loaded[number] = _Partition(number, generation, stored)
        await self._remember(loaded)
        return loaded

    async def _put(self, state: _Partition, changes: _Changes) -> None:
        """Put what a run changed, and everything when Redis lost what was put before."""
        call = _Call(state.number, state.generation, state.stored, changes.next_offset, changes.messages)
        if not await self._run(call, changes.windows):
            await self._put_everything(state, changes.messages, changes.next_offset)
        state.stored = max(state.stored, changes.next_offset)
        self._redis_outage.over()

    async def _put_everything(self, state: _Partition, messages: Sequence[bytes], next_offset: int) -> None:
        """Build a server up again that lost what was written."""
        stored = max(state.stored, next_offset)
        while True:
            call = _Call(state.number, await self._generation(), -1, stored, messages)
            if await self._run(call, list(state.windows)):
                break
        # Only now: after a failure half way everything is put again.
        state.generation, state.stored = call.generation, stored
        logger.warning(
            "Redis had lost its data: put the current windows of %d cameras of %s/%d again",
            len(state.windows),
            METRICS,
            state.number,
        )

    async def _run(self, call: _Call, windows: Collection[CameraWindow]) -> bool:
        """Run the script, in pieces that each take Redis about a millisecond; False when Redis lost data."""
        cameras = [(window, current) for window in windows if (current := window.document()) is not None]
        pieces = [cameras[first : first + _CAMERAS_PER_CALL] for first in range(0, len(cameras), _CAMERAS_PER_CALL)]
        pieces = pieces or [[]]
        for number, piece in enumerate(pieces, 1):
            last = number == len(pieces)
            keys = [GENERATION_KEY, OFFSETS_KEY, CAMERA_PARTITIONS_KEY, LAST_SEEN_KEY]
            args: list[Any] = [call.generation, call.partition, call.stored, call.next_offset if last else -1]
            args.append(METRICS_CHANNEL)
            for window, current in piece:
                keys.append(current_key(window.camera_id))
                args += (window.camera_id, window.window_end.timestamp(), current)
            if last:
                args += call.messages
            if await self._script(keys=keys, args=args) != b"OK":
                return False
        return True

    async def _generation(self) -> str:
        """The server's generation; an empty server gets a new one."""
        await self._client.set(GENERATION_KEY, uuid.uuid4().hex, nx=True)
        value: Any = await self._client.get(GENERATION_KEY)
        return "" if value is None else str(value, "ascii")

    async def _remember(self, loaded: Mapping[int, _Partition]) -> None:
        """Read the documents of the partitions' cameras back into memory."""
        owned = {str(number).encode(): state for number, state in loaded.items()}
        cameras: Any = await self._client.hgetall(CAMERA_PARTITIONS_KEY)
        mine = [(camera_id.decode(), owned[number]) for camera_id, number in cameras.items() if number in owned]
        for first in range(0, len(mine), _CAMERAS_PER_CALL):
            piece = mine[first : first + _CAMERAS_PER_CALL]
            documents: Any = await self._client.mget([current_key(camera_id) for camera_id, _ in piece])
            for (camera_id, state), current in zip(piece, documents, strict=True):
                if current is None:
                    continue
                try:
                    state.windows.add_document(current)
                except msgspec.MsgspecError as error:
                    logger.warning("ignoring what stands in %s: %s", current_key(camera_id), error)

    async def _watch(self) -> None:
        """Notice a server that lost its data although no row comes."""
        while self._partitions:
            await asyncio.sleep(_WATCH_SECONDS)
            for state in list(self._partitions.values()):
                if state.writing.locked():
                    continue
                async with state.writing:
                    try:
                        if not await self._run(_Call(state.number, state.generation, state.stored, -1, ()), ()):
                            await self._put_everything(state, (), -1)
                        self._redis_outage.over()
                    except UNAVAILABLE as error:
                        self._redis_outage.met(error)
                        break

    async def _wait(self, error: Exception) -> None:
        if not is_outage(error):
            raise error
        self._redis_outage.met(error)
        await self._redis_outage.pause()


def _collect(windows: NewestWindows, records: Sequence[ConsumerRecord]) -> _Changes:
    """Take a run's rows into ``windows`` and say what changed."""
    news_since_ms = (time.time() - NEWS_SECONDS) * 1000
    changed: dict[str, CameraWindow] = {}
    backlog: dict[str, CameraWindow] = {}
    news: list[bytes] = []
    for record in records:
        # splicing needs the closing brace to be the last byte
        row = (record.value or b"").strip()
        try:
            head = decode_head(row)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            place = f"{METRICS} at offset {record.offset}"
            logger.error("%s is no window row and was left out: %s", place, error)
            continue
        window = windows.add(head, row)
        if window is not None:
            changed[head.camera_id] = window
        if record.timestamp >= news_since_ms:
            news.append(row)
        elif window is not None:
            backlog[head.camera_id] = window
    for window in backlog.values():
        news += [row for row in (window.camera_row, *window.lanes()) if row is not None]
    messages = [
        b"[" + b",".join(news[first : first + _ROWS_PER_MESSAGE]) + b"]"
        for first in range(0, len(news), _ROWS_PER_MESSAGE)
    ]
    return _Changes(changed.values(), messages, records[-1].offset + 1)
