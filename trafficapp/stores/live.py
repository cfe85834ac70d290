"""The sink of ``traffic.metrics`` into Redis: the newest window of every camera, and pub/sub.

Rows of the topic are JSON already: only their heads are decoded, their bytes are spliced into what is stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from trafficapp.stores.live_script import PUT_WINDOWS
from trafficapp.stores.newest import CameraWindow, NewestWindows, decode_head
from trafficapp.stores.read_back import ReadBack
from trafficapp.stores.redis import LAST_SEEN_KEY, METRICS_CHANNEL, current_key
from trafficapp.stores.redis_sink import NEWS_SECONDS, Call, RedisSink
from trafficapp.topics import METRICS

logger = logging.getLogger(__name__)

CAMERA_PARTITIONS_KEY = f"sink:{METRICS}:cameras"

_CAMERAS_PER_CALL = 250
_ROWS_PER_MESSAGE = 500


@dataclass(slots=True)
class _Changes:
    """The effect of one run: windows to put and messages to publish."""

    windows: Collection[CameraWindow]
    messages: Sequence[bytes]


class LiveSink(RedisSink[NewestWindows, _Changes]):
    """Applies runs of ``traffic.metrics`` to Redis. Arguments as of `RedisSink`."""

    def __init__(self, client: Redis, read_back: ReadBack, on_rows: Callable[[int], None] | None = None) -> None:
        super().__init__(client, METRICS, read_back, on_rows)
        self._script = client.register_script(PUT_WINDOWS)

    def new_memory(self) -> NewestWindows:
        """No window."""
        return NewestWindows()

    def no_changes(self) -> _Changes:
        """Nothing to put."""
        return _Changes((), ())

    def everything(self, memory: NewestWindows, changes: _Changes) -> _Changes:
        """All windows."""
        return _Changes(list(memory), changes.messages)

    def describe(self, memory: NewestWindows) -> str:
        """How many cameras."""
        return f"the current windows of {len(memory)} cameras"

    async def remember(self, memories: Mapping[int, NewestWindows]) -> None:
        """Read the documents of the partitions' cameras back into memory."""
        owned = {str(number).encode(): windows for number, windows in memories.items()}
        cameras: Any = await self.client.hgetall(CAMERA_PARTITIONS_KEY)
        mine = [(camera_id.decode(), owned[number]) for camera_id, number in cameras.items() if number in owned]
        for first in range(0, len(mine), _CAMERAS_PER_CALL):
            piece = mine[first : first + _CAMERAS_PER_CALL]
            documents: Any = await self.client.mget([current_key(camera_id) for camera_id, _ in piece])
            for (camera_id, windows), current in zip(piece, documents, strict=True):
                if current is None:
                    continue
                try:
                    windows.add_document(current)
                except msgspec.MsgspecError as error:
                    logger.warning("ignoring what stands in %s: %s", current_key(camera_id), error)

    async def put(self, call: Call, changes: _Changes) -> bool:
        """Run the script, in pieces that each take Redis about a millisecond; False when Redis lost data."""
        cameras = [(window, current) for window in changes.windows if (current := window.document()) is not None]
        pieces = [cameras[first : first + _CAMERAS_PER_CALL] for first in range(0, len(cameras), _CAMERAS_PER_CALL)]
        pieces = pieces or [[]]
        for number, piece in enumerate(pieces, 1):
            last = number == len(pieces)
            keys = [self.generation_key, self.offsets_key, CAMERA_PARTITIONS_KEY, LAST_SEEN_KEY]
            args: list[Any] = [call.generation, call.partition, call.stored, call.next_offset if last else -1]
            args.append(METRICS_CHANNEL)
            for window, current in piece:
                keys.append(current_key(window.camera_id))
                args += (window.camera_id, window.window_end.timestamp(), current)
            if last:
                args += changes.messages
            if await self._script(keys=keys, args=args) != b"OK":
                return False
        return True

    def collect(self, memory: NewestWindows, records: Sequence[ConsumerRecord]) -> _Changes:
        """Take a run's rows in; of a backlog only the newest window of a camera is published."""
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
            window = memory.add(head, row)
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
        return _Changes(changed.values(), messages)
