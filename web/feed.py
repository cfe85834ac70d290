"""Newly finished windows for the WebSocket clients of a worker.

One subscription to Redis serves all of them. Rows go out at once, but at most every 50 ms; what comes
between is gathered. Each room that has clients gets one message, and the same bytes go to all of them.
Every client has a bounded queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from redis.asyncio import Redis

from trafficapp.stores.newest import CameraWindow, NewestWindows, decode_head, decode_rows
from trafficapp.stores.outage import Outage
from trafficapp.stores.redis import METRICS_CHANNEL, UNAVAILABLE, CurrentState

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.02
#: A room that heard nothing for this long is sent the current rows; checked often enough for "within 5 s".
REPEAT_SECONDS = 4.5
_REPEAT_CHECK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Room:
    """What a client listens to: camera-wide rows or lane rows, of one camera or of all (None)."""

    lanes: bool
    camera_id: str | None = None


class Listener(Protocol):
    """A client as the feed sees it."""

    def offer(self, message: bytes) -> bool:
        """Take a message without waiting; False when there is no room for it."""
        ...

    def cut(self) -> None:
        """End the connection: the client reads too slowly."""
        ...


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
        self._connect = connect
        self._newest = NewestWindows()
        self._rooms: dict[Room, _Audience] = {}
        self._pending: list[tuple[str, bool, bytes]] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushed_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._outage = Outage("Redis (pub/sub)")

    def start(self) -> None:
        """Begin to listen."""
        self._tasks = [
            asyncio.create_task(self._listen(), name="live-feed"),
            asyncio.create_task(self._repeat(), name="live-feed-repeat"),
        ]

    async def stop(self) -> None:
        """Stop listening."""
        if self._flush_timer is not None:
            self._flush_timer.cancel()
        tasks = set(self._tasks)
        while tasks:
            # Up to Python 3.11 `asyncio.wait_for`, which the client uses, may swallow a cancellation.
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=0.2)
        self._tasks = []

    def join(self, room: Room, listener: Listener) -> None:
        """Add a listener; it is sent the current rows at once."""
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

    async def _listen(self) -> None:
        while True:
            client = self._connect()
            try:
                async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                    await subscription.subscribe(METRICS_CHANNEL)
                    # subscribed first: what is published while the state is read is heard afterwards
                    await self._reload(CurrentState(client))
                    self._outage.over()
                    while True:
                        message = await subscription.get_message(timeout=10.0)
                        if message is not None:
                            self._receive(message["data"])
            except UNAVAILABLE as error:
                self._outage.met(error)
            except Exception:
                logger.exception("the live feed failed; starting it again")
            finally:
                await client.aclose()
            await self._outage.pause()

    async def _reload(self, state: CurrentState) -> None:
        """Take the current state over and send it to everybody: messages may have been missed."""
        camera_ids = [camera_id for camera_id, _ in await state.last_seen()]
        newest = NewestWindows()
        for current in await state.cameras(camera_ids):
            try:
                newest.add_document(current)
            except msgspec.MsgspecError as error:
                logger.warning("a current row in Redis cannot be read: %s", error)
        self._newest = newest
        self._pending.clear()
        for room in list(self._rooms):
            self._send(room, self.snapshot(room))

    def _receive(self, message: bytes) -> None:
        try:
            rows = [(decode_head(raw), bytes(raw)) for raw in decode_rows(message)]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            logger.warning("a message on %s cannot be read: %s", METRICS_CHANNEL, error)
            return
        for head, row in rows:
            self._newest.add(head, row)
        if not self._rooms:
            return
        self._pending += [(head.camera_id, head.lane_id is not None, row) for head, row in rows]
        if self._flush_timer is None:
            wait_seconds = max(0.0, self._flushed_at + GATHER_SECONDS - time.monotonic())
            self._flush_timer = asyncio.get_running_loop().call_later(wait_seconds, self._flush)

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
        for listener in [listener for listener in audience.listeners if not listener.offer(message)]:
            self.leave(room, listener)
            listener.cut()

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(_REPEAT_CHECK_SECONDS)
            due = time.monotonic() - REPEAT_SECONDS
            for room in [room for room, audience in self._rooms.items() if audience.sent_at <= due]:
                self._send(room, self.snapshot(room))


def _rows_for(room: Room, window: CameraWindow) -> list[bytes]:
    if room.lanes:
        return window.lanes()
    return [] if window.camera_row is None else [window.camera_row]
