"""Sinks into Redis of what is told of roads: the newest document of every road.

Checked observations go to the keys of `trafficapp.stores.roads.current`, predictions to those of
`trafficapp.stores.roads.current_predictions`. A newer document is never replaced by an older one, as long as it is
there. It expires a while after it was sent to the feed: of a backlog only what is still true is put.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Struct
from redis.asyncio import Redis

from models.cameras.detections import Identifier
from models.records import MALFORMED
from models.roads.current import decode_road_observation
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from trafficapp.stores.redis.connection import scan_pairs
from trafficapp.stores.redis.read_back import ReadBack
from trafficapp.stores.redis.sink import Call, RedisSink
from trafficapp.stores.roads.current import CURRENT_SECONDS, OBSERVED_KEY, road_key

logger = logging.getLogger(__name__)

#: Roads stay in the sorted set for this long behind the newest observation of any road.
_LISTED_SECONDS = 86_400

_ROADS_PER_CALL = 250

#: A document whose time is further ahead of its record and of our clock is of a wrong clock: it would stay the newest
#: for long. Nor is a record believed that is further ahead of our clock than brokers let records be.
_AHEAD_US = 60_000_000
_RECORD_AHEAD_US = 3_600_000_000

#: KEYS: generation, offsets, listed, then a current key for each road. ARGV: generation, partition, offset that must
#: be stored at least, offset to store (or -1), seconds that a road stays listed, then for each road: road_id, time of
#: the document in epoch seconds, milliseconds to keep it, document.
#: Returns OK, or LOST when the server is not the one that took the earlier writes.
_PUT_ROADS = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local stored = tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or '-1')
if stored < tonumber(ARGV[3]) then return 'LOST' end
for i = 4, #KEYS do
  local at = 6 + (i - 4) * 4
  local known = redis.call('ZSCORE', KEYS[3], ARGV[at])
  if not known or tonumber(known) <= tonumber(ARGV[at + 1]) or redis.call('EXISTS', KEYS[i]) == 0 then
    redis.call('SET', KEYS[i], ARGV[at + 3], 'PX', ARGV[at + 2])
    redis.call('ZADD', KEYS[3], ARGV[at + 1], ARGV[at])
  end
end
local function drop(from, to)
  local roads = redis.call('ZRANGEBYSCORE', KEYS[3], from, to, 'LIMIT', 0, 500)
  if #roads > 0 then redis.call('ZREM', KEYS[3], unpack(roads)) end
end
if #KEYS > 3 then
  -- what is of a wrong clock must not make all others look old
  drop(string.format('(%.0f', redis.call('TIME')[1] + ARGV[5]), '+inf')
  local newest = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
  if newest[2] then drop('-inf', string.format('(%.0f', tonumber(newest[2]) - ARGV[5])) end
end
if tonumber(ARGV[4]) > stored then redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) end
return 'OK'
"""


class _Head(Struct):
    """What must be known of a document to place it."""

    road_id: Identifier
    timestamp: str
    record_timestamp: str = ""


_decode_head = msgspec.json.Decoder(_Head).decode


@dataclass(frozen=True, slots=True)
class RoadDocument:
    """A document to put.

    Attributes:
        time_us: what its ``timestamp`` says, microseconds since the epoch.
        expires: epoch seconds.
        document: JSON.
        sent_us: when what it says came to the feed, 0 where it does not tell.
    """

    road_id: str
    time_us: int
    expires: float
    document: bytes
    sent_us: int = 0


@dataclass(frozen=True, slots=True)
class RoadKeys:
    """Where the documents of a topic go.

    Attributes:
        what: what a document is, for the log.
        listed: the sorted set of roads, scored by the time of the newest document in epoch seconds.
        key: of a road's document.
        seconds: how long a document is kept.
        check: raises one of `models.records.MALFORMED` for a document that others could not read.
    """

    what: str
    listed: str
    key: Callable[[str], str]
    seconds: int
    check: Callable[[bytes], object]


OBSERVATIONS = RoadKeys("observation of a road", OBSERVED_KEY, road_key, CURRENT_SECONDS, check=decode_road_observation)

#: The newest document of each road.
NewestRoads: TypeAlias = dict[str, RoadDocument]


class LiveRoadsSink(RedisSink[NewestRoads, list[RoadDocument]]):
    """Applies runs of documents of roads to Redis: of checked observations, unless other keys are given.

    Other arguments as of `RedisSink`; ``on_dropped`` is told the reason of each document that is left out.
    """

    def __init__(
        self,
        client: Redis,
        topic: str,
        read_back: ReadBack,
        on_rows: Callable[[int], None] | None = None,
        keys: RoadKeys = OBSERVATIONS,
        on_dropped: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(client, topic, read_back, on_rows)
        self._on_dropped = on_dropped
        self._keys = keys
        self._script = client.register_script(_PUT_ROADS)

    def new_memory(self) -> NewestRoads:
        """No road."""
        return {}

    def no_changes(self) -> list[RoadDocument]:
        """No road."""
        return []

    def everything(self, memory: NewestRoads, changes: list[RoadDocument]) -> list[RoadDocument]:
        """All roads; what changed is among them."""
        return list(memory.values())

    def describe(self, memory: NewestRoads) -> str:
        """How many roads."""
        return f"the newest documents of {len(memory)} roads"

    async def remember(self, memories: Mapping[int, NewestRoads]) -> None:
        """Read the documents back; the topic has one partition."""
        now = time.time()
        async for listed in scan_pairs(self.client, "ZSCAN", self._keys.listed):
            for first in range(0, len(listed), _ROADS_PER_CALL):
                keys = [self._keys.key(road_id) for road_id, _ in listed[first : first + _ROADS_PER_CALL]]
                for found in await self._stored(keys, now):
                    for memory in memories.values():
                        memory[found.road_id] = found

    async def _stored(self, keys: Sequence[str], now: float) -> list[RoadDocument]:
        """What stands in keys; what has expired or cannot be read is left out."""
        async with self.client.pipeline(transaction=False) as pipeline:
            pipeline.mget(keys)
            for key in keys:
                pipeline.pttl(key)
            documents, *left_ms = await pipeline.execute()
        found = [
            self._read(document, now + ms / 1000, key)
            for key, document, ms in zip(keys, documents, left_ms, strict=True)
            if document is not None and ms > 0
        ]
        return [one for one in found if one is not None]

    def collect(self, memory: NewestRoads, records: Sequence[ConsumerRecord]) -> list[RoadDocument]:
        """Take a run in: the newest document of each road that it has."""
        changed: NewestRoads = {}
        now = time.time()
        for record in records:
            where = f"{self.topic} at offset {record.offset}"
            found = self._read(record.value or b"", 0.0, where)
            if found is None:
                self._on_dropped("unreadable")
                continue
            now_us = round(now * MICROSECONDS_PER_SECOND)
            newest_us = max(now_us, min(record.timestamp * 1000, now_us + _RECORD_AHEAD_US))
            # what is told of the feed's record counts: the worker that sent this one may have a clock that is wrong
            sent_us = found.sent_us or record.timestamp * 1000
            if max(sent_us - newest_us, found.time_us - max(sent_us, now_us)) > _AHEAD_US:
                logger.error("%s is ahead of its time and was left out", where)
                self._on_dropped("future")
                continue
            # and that clock may be ahead of ours
            found = replace(found, expires=min(sent_us / MICROSECONDS_PER_SECOND, now) + self._keys.seconds)
            known = memory.get(found.road_id)
            if known is None or known.time_us <= found.time_us:
                memory[found.road_id] = changed[found.road_id] = found
        for road_id in [road_id for road_id, one in memory.items() if one.expires <= now]:
            del memory[road_id]
        return list(changed.values())

    async def put(self, call: Call, changes: list[RoadDocument]) -> bool:
        """Run the script, in pieces that each take Redis about a millisecond; False when Redis lost data."""
        now = time.time()
        # what has expired meanwhile may not replace, and need not be kept from being replaced
        current = [one for one in changes if one.expires > now]
        pieces = [current[first : first + _ROADS_PER_CALL] for first in range(0, len(current), _ROADS_PER_CALL)]
        for number, piece in enumerate(pieces or [[]], 1):
            keys = [self.generation_key, self.offsets_key, self._keys.listed]
            keys += [self._keys.key(one.road_id) for one in piece]
            next_offset = call.next_offset if number >= len(pieces) else -1
            args: list[Any] = [call.generation, call.partition, call.stored, next_offset, _LISTED_SECONDS]
            args += itertools.chain.from_iterable(
                (
                    one.road_id,
                    one.time_us / MICROSECONDS_PER_SECOND,
                    max(1, round((one.expires - now) * 1000)),
                    one.document,
                )
                for one in piece
            )
            if await self._script(keys=keys, args=args) != b"OK":
                return False
        return True

    def _read(self, document: bytes, expires: float, where: str) -> RoadDocument | None:
        try:
            head = _decode_head(document)
            self._keys.check(document)
            sent_us = epoch_us(head.record_timestamp) if head.record_timestamp else 0
            return RoadDocument(head.road_id, epoch_us(head.timestamp), expires, document, sent_us)
        except MALFORMED as error:
            logger.error("%s is no %s and was left out: %s", where, self._keys.what, error)
            return None
