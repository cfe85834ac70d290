"""Finished windows for the WebSocket clients of a worker: the newest of all every 5 s, or each as it finishes.

One subscription to Redis serves all of them. New rows go out at once, but at most every 20 ms; what comes
between is gathered. Each room that has clients gets one message, and the same bytes go to all of them.
Every client has a bounded queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from redis.asyncio import Redis

from models.records import MALFORMED
from trafficapp.stores.cameras.newest import CameraWindow, NewestWindows, RowHead, decode_head, decode_rows
from trafficapp.stores.redis.connection import FORGOTTEN_CHANNEL, METRICS_CHANNEL, CurrentState
from web.sockets.broadcast import Broadcaster, Listener
from web.sockets.subscription import Subscription, Tasks

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.02
#: How often a room that does not hear of changes is sent the current rows.
SNAPSHOT_SECONDS = 5.0
#: A room of changes that heard nothing for this long is sent the current rows; checked often enough for "within 5 s".
REPEAT_SECONDS = 4.5
_REPEAT_CHECK_SECONDS = 0.25
#: How long a new client waits for the rows of a worker that has only just started.
_FIRST_ROWS_WITHIN_SECONDS = 2.0

_decode_camera_ids = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class Room:
    """What a client listens to: camera-wide rows or lane rows, of one camera or of all (None).

    Attributes:
        changes: rows as they become final; else the newest ones every `SNAPSHOT_SECONDS`.
    """

    lanes: bool
    camera_id: str | None = None
    changes: bool = True


@dataclass(slots=True)
class _Audience:
    listeners: set[Listener] = field(default_factory=set)
    sent_at: float = field(default_factory=time.monotonic)


class LiveFeed:
    """Hears of finished windows and tells the rooms.

    Args:
        connect: makes the client for the subscription; the feed closes it.
    """

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._newest = NewestWindows()
        self._loaded = asyncio.Event()
        self._rooms: dict[Room, _Audience] = {}
        self._pending: list[tuple[str, bool, bytes]] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0
        self._broadcaster = Broadcaster()
        self._subscription = Subscription(
            connect, METRICS_CHANNEL, self._reload, self._receive, {FORGOTTEN_CHANNEL: self._forget}
        )
        self._tasks = Tasks()

    def start(self) -> None:
        """Begin to listen."""
        self._tasks.start(self._subscription.run(), self._broadcaster.run(), self._repeat())

    async def stop(self) -> None:
        """Stop listening."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        await self._tasks.stop()

    async def join(self, room: Room, listener: Listener) -> None:
        """Add a listener; it is sent the current rows at once."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._loaded.wait(), _FIRST_ROWS_WITHIN_SECONDS)
        audience = self._rooms.setdefault(room, _Audience())
        # what is waiting is in the newest windows already, so flushing first spares it a repetition
        self._flush()
        listener.offer(self.snapshot(room))
        audience.listeners.add(listener)

    def leave(self, room: Room, listener: Listener) -> None:
        """Remove a listener; one that is not there is no fault."""
        audience = self._rooms.get(room)
        if audience is not None:
            audience.listeners.discard(listener)
            if not audience.listeners:
                del self._rooms[room]

    def snapshot(self, room: Room) -> bytes:
        """The current rows of a room, as a JSON array."""
        if room.camera_id is None:
            windows = self._newest.ordered()
        else:
            window = self._newest.get(room.camera_id)
            windows = [] if window is None else [window]
        return b"[" + b",".join(row for window in windows for row in _rows_for(room, window)) + b"]"

    async def _reload(self, client: Redis) -> None:
        """Take the current state over and send it to everybody: messages may have been missed."""
        state = CurrentState(client)
        camera_ids = [camera_id for camera_id, _ in await state.last_seen()]
        newest = NewestWindows()
        async for documents in state.pieces(camera_ids):
            for current in documents:
                try:
                    newest.add_document(current)
                except MALFORMED as error:
                    logger.warning("a current row in Redis cannot be read: %s", error)
        self._newest = newest
        self._loaded.set()
        self._pending.clear()
        for room in list(self._rooms):
            self._send(room, self.snapshot(room))

    async def _forget(self, _: Redis, message: bytes) -> None:
        try:
            self._newest.discard(_decode_camera_ids(message))
        except MALFORMED as error:
            logger.warning("a message on %s cannot be read: %s", FORGOTTEN_CHANNEL, error)

    async def _receive(self, _: Redis, message: bytes) -> None:
        self._take(message)
        await self._broadcaster.room()

    def _take(self, message: bytes) -> None:
        try:
            rows = [(decode_head(raw), bytes(raw)) for raw in decode_rows(message)]
        except MALFORMED as error:
            logger.warning("a message on %s cannot be read: %s", METRICS_CHANNEL, error)
            return
        # what was published while the state was read may be in it, and clients have it from there
        rows = [(head, row) for head, row in rows if not self._knows(head, row)]
        for head, row in rows:
            self._newest.add(head, row)
        if not self._rooms:
            return
        self._pending += [(head.camera_id, head.lane_id is not None, row) for head, row in rows]
        if self._flush_timer is None:
            wait_seconds = max(0.0, self._flushed_at + GATHER_SECONDS - time.monotonic())
            self._flush_timer = asyncio.get_running_loop().call_later(wait_seconds, self._flush)

    def _knows(self, head: RowHead, row: bytes) -> bool:
        window = self._newest.get(head.camera_id)
        return window is not None and window.start_us == head.start_us and window.row(head.lane_id) == row

    def _flush(self) -> None:
        if self._flush_timer is not None:
            self._flush_timer.cancel()
            self._flush_timer = None
        pending, self._pending = self._pending, []
        if not pending:
            return
        self._flushed_at = time.monotonic()
        rows: dict[Room, list[bytes]] = defaultdict(list)
        for camera_id, lane, row in pending:
            rows[Room(lane)].append(row)
            room = Room(lane, camera_id)
            if room in self._rooms:
                rows[room].append(row)
        for room, part in rows.items():
            if room in self._rooms:
                self._send(room, b"[" + b",".join(part) + b"]")

    def _send(self, room: Room, message: bytes) -> None:
        audience = self._rooms[room]
        audience.sent_at = time.monotonic()
        self._broadcaster.send(message, audience.listeners)

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(_REPEAT_CHECK_SECONDS)
            # half a check early rather than half a check late
            since = {True: time.monotonic() - REPEAT_SECONDS}
            since[False] = time.monotonic() - SNAPSHOT_SECONDS + _REPEAT_CHECK_SECONDS / 2
            for room in [room for room, audience in self._rooms.items() if audience.sent_at <= since[room.changes]]:
                self._send(room, self.snapshot(room))


def _rows_for(room: Room, window: CameraWindow) -> list[bytes]:
    if room.lanes:
        return window.lanes()
    return [] if window.camera_row is None else [window.camera_row]
