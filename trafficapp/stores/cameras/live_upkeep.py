"""Looking after the cameras that the live sink keeps: forgetting them, and those of two partitions.

Every live worker does so, for all cameras in Redis and for what it has in memory itself. Each step is one script that
looks again before it does anything, so it does not matter who does it, how often, or where somebody is killed. Time is
by the server's clock; of what is in memory it is known how long ago it came.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from redis.asyncio import Redis

from models.timestamps import MICROSECONDS_PER_SECOND
from trafficapp.stores.cameras.live_sink import CAMERA_PARTITIONS_KEY, LiveSink
from trafficapp.stores.redis.connection import (
    FORGOTTEN_CHANNEL,
    IN_TWO_PARTITIONS_KEY,
    LAST_SEEN_KEY,
    PUT_KEY,
    TELLS_SECONDS,
    UNAVAILABLE,
    current_key,
    partitions_key,
    scan_pairs,
)
from trafficapp.stores.redis.live_script import END_TWO_PARTITIONS, FORGET_CAMERAS

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 2.0

#: Cameras in one script call, which then takes Redis a millisecond or two, and a pause for others to be served.
_CAMERAS_PER_CALL = 100
_BREATH_SECONDS = 0.002

#: A camera that was put so far ahead of the server's clock was put before the clock was set back.
_AHEAD_SECONDS = 60.0

#: Cameras that come from one partition again and are told by name at once.
_NAMED_AT_MOST = 10


class CameraUpkeep:
    """Forgets cameras, and notes how many come from two partitions.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        sink: what it has in memory is forgotten, too.
        current_seconds: a camera of which nothing was put for this long is forgotten.
        most_cameras: while there are more, those that were put longest ago are forgotten earlier.
        kept_seconds: but none within this time.
        on_in_two_partitions: told how many cameras come from more than one partition.
    """

    def __init__(
        self,
        client: Redis,
        sink: LiveSink,
        current_seconds: float,
        most_cameras: int,
        kept_seconds: float = 3600.0,
        on_in_two_partitions: Callable[[int], Any] = lambda _: None,
    ) -> None:
        self._client, self._sink = client, sink
        self._current_seconds, self._most_cameras, self._kept_seconds = current_seconds, most_cameras, kept_seconds
        self._on_in_two_partitions = on_in_two_partitions
        self._forget = client.register_script(FORGET_CAMERAS)
        self._end = client.register_script(END_TWO_PARTITIONS)

    async def run(self) -> None:
        """Look after the cameras until cancelled."""
        pause_seconds = min(_PAUSE_SECONDS, self._current_seconds / 4)
        while True:
            try:
                await self.look()
            except UNAVAILABLE:
                pass  # the sinks tell that Redis is away
            except Exception:
                logger.exception("cameras cannot be forgotten now")
            await asyncio.sleep(pause_seconds)

    async def look(self) -> None:
        """Do what is due.

        Raises:
            Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
        """
        await self._sink.forget(time.monotonic() - self._current_seconds)
        await self._adopt()
        await self._forget_cameras()
        await self._end_two_partitions()

    async def _now(self) -> float:
        seconds, microseconds = await self._client.time()
        return float(seconds + microseconds / MICROSECONDS_PER_SECOND)

    async def _adopt(self) -> None:
        """Give those a time that have none, as what a former version put, or one that is yet to come."""
        now = await self._now()
        async for camera_ids in self._by_score(PUT_KEY, f"({now + _AHEAD_SECONDS}", "+inf"):
            await self._client.zadd(PUT_KEY, dict.fromkeys(camera_ids, now), xx=True)
        pipeline = self._client.pipeline(transaction=False)
        pipeline.zcard(LAST_SEEN_KEY)
        pipeline.hlen(CAMERA_PARTITIONS_KEY)
        pipeline.zcard(PUT_KEY)
        *listed, put = await pipeline.execute()
        if max(listed) <= put:
            return
        async for pairs in scan_pairs(self._client, "ZSCAN", LAST_SEEN_KEY):
            await self._date([camera_id for camera_id, _ in pairs], now)
        async for pairs in scan_pairs(self._client, "HSCAN", CAMERA_PARTITIONS_KEY):
            await self._date([camera_id for camera_id, _ in pairs], now)

    async def _date(self, camera_ids: Sequence[str], now: float) -> None:
        if camera_ids:
            await self._client.zadd(PUT_KEY, dict.fromkeys(camera_ids, now), nx=True)

    async def _forget_cameras(self) -> None:
        now = await self._now()
        put_until = await self._put_until(now)
        await self._sink.forget(time.monotonic() - (now - put_until))
        forgotten = 0
        async for camera_ids in self._by_score(PUT_KEY, "-inf", put_until):
            keys: list[Any] = [PUT_KEY, LAST_SEEN_KEY, CAMERA_PARTITIONS_KEY, IN_TWO_PARTITIONS_KEY]
            for camera_id in camera_ids:
                keys += (current_key(camera_id), partitions_key(camera_id))
            forgotten += await self._forget(keys=keys, args=[put_until, FORGOTTEN_CHANNEL, *camera_ids])
        if forgotten:
            logger.info("forgot %d cameras of which nothing came for %.1f h", forgotten, (now - put_until) / 3600)

    async def _put_until(self, now: float) -> float:
        """Cameras that were put until then are to be forgotten."""
        put_until = now - self._current_seconds
        too_many = await self._client.zcard(PUT_KEY) - self._most_cameras
        if too_many > 0:
            found: Any = await self._client.zrange(PUT_KEY, too_many - 1, too_many - 1, withscores=True)
            for _, newest in found:
                put_until = max(put_until, min(newest, now - self._kept_seconds))
        return put_until

    async def _end_two_partitions(self) -> None:
        until = await self._now() - TELLS_SECONDS
        async for camera_ids in self._by_score(IN_TWO_PARTITIONS_KEY, "-inf", until):
            keys = [IN_TWO_PARTITIONS_KEY, *map(partitions_key, camera_ids)]
            ended = await self._end(keys=keys, args=[until, *camera_ids])
            for camera_id in ended[:_NAMED_AT_MOST]:
                logger.info("rows of camera %r come from one partition again", camera_id.decode())
        self._on_in_two_partitions(await self._client.zcard(IN_TWO_PARTITIONS_KEY))

    async def _by_score(self, key: str, lowest: float | str, highest: float | str) -> AsyncIterator[list[str]]:
        """Members of a sorted set in pieces, for as long as there are any: whoever gets them takes them away."""
        while True:
            found: Any = await self._client.zrange(key, lowest, highest, byscore=True, offset=0, num=_CAMERAS_PER_CALL)
            if not found:
                return
            yield [member.decode() for member in found]
            await asyncio.sleep(_BREATH_SECONDS)
