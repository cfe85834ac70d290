"""The sink of ``traffic.metrics`` into Redis: the newest window of every camera, and pub/sub.

Of rows only is read what must be known; their bytes are spliced into what is stored. A camera of which nothing was put
for `CURRENT_SECONDS`, unless told otherwise, is forgotten: by `trafficapp.stores.cameras.live_upkeep`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from models.records import MALFORMED
from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.stores.cameras.newest import CameraWindow, NewestWindows, read_row
from trafficapp.stores.redis.connection import (
    IN_TWO_PARTITIONS_KEY,
    LAST_SEEN_KEY,
    METRICS_CHANNEL,
    PUT_KEY,
    current_key,
    partitions_key,
    scan_pairs,
)
from trafficapp.stores.redis.live_script import PUT_WINDOWS
from trafficapp.stores.redis.read_back import ReadBack
from trafficapp.stores.redis.sink import NEWS_SECONDS, Call, RedisSink
from trafficapp.topics import METRICS

logger = logging.getLogger(__name__)

CAMERA_PARTITIONS_KEY = f"sink:{METRICS}:cameras"

#: The defaults of ``windows.current_hours``, and of how far a window may begin ahead of its record.
CURRENT_SECONDS = 86_400.0
AHEAD_SECONDS = 120.0

_CAMERAS_PER_CALL = 250
_BYTES_PER_CALL = 1 << 20
_ROWS_PER_MESSAGE = 500
_CAMERAS_PER_TURN = 1000

#: From how many returns a camera counts as one of two partitions: a single one may follow from a move that is
#: undone, or from one that was seen in the wrong order. They count while none of them is older than this.
_RETURNS = 3
_MOVE_SECONDS = 3600

#: No record is believed that is further ahead of our clock than brokers let records be.
_RECORD_AHEAD_MS = 3_600_000

#: A window that is this much ahead of the server's clock is of a wrong clock, and is replaced by any other.
_IMPOSSIBLE_SECONDS = 86_400

#: Cameras in two partitions that a run tells of by name.
_NAMED_AT_MOST = 10


@dataclass(slots=True)
class _Changes:
    """The effect of one run: windows to put and messages to publish.

    Attributes:
        again: whether they are put into a server that lost its data. Then they are told as well, since whoever has
            heard of the emptied server knows none of them; but for those that the messages tell in their order.
        in_messages: the cameras that the messages tell of.
    """

    windows: Collection[CameraWindow]
    messages: Sequence[bytes]
    again: bool = False
    in_messages: Collection[str] = ()


class LiveSink(RedisSink[NewestWindows, _Changes]):
    """Applies runs of ``traffic.metrics`` to Redis.

    Args:
        client, read_back, on_rows: as of `RedisSink`.
        current_seconds: what was put longer ago is not put again.
        ahead_seconds: a window that begins further ahead of its record, and of our clock, is left out: it would stay
            the newest for long.
        on_dropped: told the reason of each record that is left out.
    """

    def __init__(
        self,
        client: Redis,
        read_back: ReadBack,
        on_rows: Callable[[int], None] | None = None,
        *,
        current_seconds: float = CURRENT_SECONDS,
        ahead_seconds: float = AHEAD_SECONDS,
        on_dropped: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(client, METRICS, read_back, on_rows)
        self._script = client.register_script(PUT_WINDOWS)
        self._current_seconds = current_seconds
        self._ahead_us = round(ahead_seconds * MICROSECONDS_PER_SECOND)
        self._on_dropped = on_dropped

    def new_memory(self) -> NewestWindows:
        """No window."""
        return NewestWindows()

    def no_changes(self) -> _Changes:
        """Nothing to put."""
        return _Changes((), ())

    def everything(self, memory: NewestWindows, changes: _Changes) -> _Changes:
        """All windows; they are told again as well, since whoever heard of the emptied server knows none of them."""
        in_messages = {window.camera_id for window in changes.windows}
        return _Changes(list(memory), changes.messages, again=True, in_messages=in_messages)

    def describe(self, memory: NewestWindows) -> str:
        """How many cameras."""
        return f"the current windows of {len(memory)} cameras"

    async def forget(self, told_until: float) -> None:
        """Forget the cameras of which nothing came after a time, monotonic seconds, holding nobody up."""
        for memory in self.memories():
            camera_ids = memory.camera_ids()
            for first in range(0, len(camera_ids), _CAMERAS_PER_TURN):
                memory.forget(camera_ids[first : first + _CAMERAS_PER_TURN], told_until)
                await asyncio.sleep(0)

    async def remember(self, memories: Mapping[int, NewestWindows]) -> None:
        """Read the documents of the partitions' cameras back into memory."""
        owned = {str(number): windows for number, windows in memories.items()}
        seconds, microseconds = await self.client.time()
        # what is told by the server's clock in terms of ours
        offset = time.monotonic() - seconds - microseconds / MICROSECONDS_PER_SECOND
        async for cameras in scan_pairs(self.client, "HSCAN", CAMERA_PARTITIONS_KEY):
            mine = [(camera_id, owned[number]) for camera_id, number in cameras if number in owned]
            for first in range(0, len(mine), _CAMERAS_PER_CALL):
                await self._remember(mine[first : first + _CAMERAS_PER_CALL], offset)

    async def _remember(self, cameras: Sequence[tuple[str, NewestWindows]], offset: float) -> None:
        camera_ids = [camera_id for camera_id, _ in cameras]
        pipeline = self.client.pipeline(transaction=False)
        pipeline.mget([current_key(camera_id) for camera_id in camera_ids])
        pipeline.zmscore(PUT_KEY, camera_ids)
        documents, put = await pipeline.execute()
        now = time.monotonic()
        for (camera_id, windows), current, put_at in zip(cameras, documents, put, strict=True):
            if current is None:
                continue
            try:
                windows.add_document(current, now if put_at is None else min(put_at + offset, now))
            except MALFORMED as error:
                logger.warning("ignoring what stands in %s: %s", current_key(camera_id), error)

    async def put(self, call: Call, changes: _Changes) -> bool:
        """Run the script, in pieces that each take Redis about a millisecond; False when Redis lost data."""
        # documents are made piece by piece: of a server that lost its data there may be very many
        pieces = _pieces(self._worth_putting(changes.windows))
        following: list[_Put] | None = next(pieces, [])
        while following is not None:
            piece, following = following, next(pieces, None)
            last = following is None
            keys = [self.generation_key, self.offsets_key, CAMERA_PARTITIONS_KEY, LAST_SEEN_KEY, PUT_KEY]
            keys.append(IN_TWO_PARTITIONS_KEY)
            args: list[Any] = [call.generation, call.partition, call.stored, call.next_offset if last else -1]
            args += [METRICS_CHANNEL, _RETURNS, _MOVE_SECONDS, _IMPOSSIBLE_SECONDS]
            for window, current, age_seconds in piece:
                keys += (current_key(window.camera_id), partitions_key(window.camera_id))
                told = (
                    b"[" + b",".join(_rows(window)) + b"]"
                    if changes.again and window.camera_id not in changes.in_messages
                    else b""
                )
                args += (window.camera_id, window.end_us / MICROSECONDS_PER_SECOND, current, age_seconds, told)
            if last:
                args += changes.messages
            answer, *noticed = await self._script(keys=keys, args=args)
            if answer != b"OK":
                return False
            _warn([camera_id.decode() for camera_id in noticed])
        return True

    def collect(self, memory: NewestWindows, records: Sequence[ConsumerRecord]) -> _Changes:
        """Take a run's rows in; of a backlog only the newest window of a camera is published."""
        now_ms, monotonic = round(time.time() * 1000), time.monotonic()
        news_since_ms = now_ms - NEWS_SECONDS * 1000
        changed: dict[str, CameraWindow] = {}
        backlog: dict[str, CameraWindow] = {}
        news: list[bytes] = []
        for record in records:
            try:
                head, row = read_row(record.value)
            except MALFORMED as error:
                place = f"{METRICS} at offset {record.offset}"
                logger.error("%s is no window row and was left out: %s", place, error)
                self._on_dropped("unreadable")
                continue
            newest_ms = max(now_ms, min(record.timestamp, now_ms + _RECORD_AHEAD_MS))
            if head.start_us > newest_ms * 1000 + self._ahead_us:
                logger.error("%s at offset %d is ahead of its time and was left out", METRICS, record.offset)
                self._on_dropped("future")
                continue
            window = memory.add(head, row, monotonic)
            if window is not None:
                changed[head.camera_id] = window
            if record.timestamp >= news_since_ms:
                news.append(row)
            elif window is not None:
                backlog[head.camera_id] = window
        for window in backlog.values():
            news += _rows(window)
        return _Changes(changed.values(), list(_messages(news)))

    def _worth_putting(self, windows: Iterable[CameraWindow]) -> Iterator[_Put]:
        """Windows with their documents and ages; not those that are to be forgotten."""
        now = time.monotonic()
        for window in windows:
            age_seconds = now - window.told_at
            current = window.document()
            if current is not None and age_seconds < self._current_seconds:
                yield window, current, age_seconds


#: A window, its document, and for how many seconds it is known.
_Put = tuple[CameraWindow, bytes, float]


def _rows(window: CameraWindow) -> list[bytes]:
    return [row for row in (window.camera_row, *window.lanes()) if row is not None]


def _messages(rows: Iterable[bytes]) -> Iterator[bytes]:
    """Arrays of some rows each."""
    rest = iter(rows)
    while piece := list(islice(rest, _ROWS_PER_MESSAGE)):
        yield b"[" + b",".join(piece) + b"]"


def _pieces(puts: Iterable[_Put]) -> Iterator[list[_Put]]:
    piece, size = list[_Put](), 0
    for put in puts:
        if piece and (len(piece) == _CAMERAS_PER_CALL or size + len(put[1]) > _BYTES_PER_CALL):
            yield piece
            piece, size = [], 0
        piece.append(put)
        size += len(put[1])
    if piece:
        yield piece


def _warn(camera_ids: Sequence[str]) -> None:
    for camera_id in camera_ids[:_NAMED_AT_MOST]:
        logger.warning(
            "rows of camera %r keep coming from more than one partition of %s, so its numbers are wrong: have all "
            "producers choose partitions in the same way, those built on librdkafka with partitioner=murmur2_random",
            camera_id,
            METRICS,
        )
    if len(camera_ids) > _NAMED_AT_MOST:
        logger.warning("and so do those of %d more; /cameras shows them", len(camera_ids) - _NAMED_AT_MOST)
