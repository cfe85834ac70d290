"""The sink of ``traffic-notifications`` into Redis: the newest ones, and each told once when it is news.

=============================  ================================================================
``traffic:notifications``      channel: each record of the topic that is news, as it is
``notifications:newest``       list: the newest records, the newest first
``notification:{id}:known``    that a notification is known; expires
``sink:traffic-notifications``  bookkeeping of the sink
=============================  ================================================================

News is what was measured within a quarter of an hour. What is older goes into the list, but is not told: after an
outage nobody is to hear of jams that may be long over. When it was sent says nothing, since then it is sent late.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRecord
from redis.asyncio import Redis

from models.records import MALFORMED
from models.roads.notifications import decode_notification
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from trafficapp.stores.redis.read_back import ReadBack
from trafficapp.stores.redis.sink import Call, RedisSink
from trafficapp.topics import NOTIFICATIONS

logger = logging.getLogger(__name__)

NOTIFICATIONS_CHANNEL = "traffic:notifications"
NEWEST_NOTIFICATIONS_KEY = "notifications:newest"

#: Notifications in the list.
KEPT_NOTIFICATIONS = 100

#: How long a repeat of a notification is known as one.
KNOWN_SECONDS = 86_400

#: What was measured longer ago is history. A feed says speeds every five minutes at the latest, and what it says may
#: have been measured a few minutes before; a quarter of an hour later most jams have changed.
NEWS_SECONDS = 900.0

_PER_CALL = 100

#: Characters of an id, which names a key.
_LONGEST_ID = 256

#: KEYS: generation, offsets, newest, then a key of knowledge for each notification. ARGV: generation, partition, offset
#: that must be stored at least, offset to store (or -1), channel, kept, seconds of knowledge, then for each
#: notification: the record, and 1 when it is to be told.
#: Returns OK, or LOST when the server is not the one that took the earlier writes.
_PUT_NOTIFICATIONS = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local stored = tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or '-1')
if stored < tonumber(ARGV[3]) then return 'LOST' end
for i = 4, #KEYS do
  local at = 8 + (i - 4) * 2
  if redis.call('SET', KEYS[i], '1', 'NX', 'EX', ARGV[7]) then
    redis.call('LPUSH', KEYS[3], ARGV[at])
    if ARGV[at + 1] == '1' then redis.call('PUBLISH', ARGV[5], ARGV[at]) end
  end
end
redis.call('LTRIM', KEYS[3], 0, ARGV[6] - 1)
if tonumber(ARGV[4]) > stored then redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) end
return 'OK'
"""


def known_key(event_id: str) -> str:
    """Key that says that a notification is known."""
    return f"notification:{event_id}:known"


@dataclass(frozen=True, slots=True)
class _Put:
    """A notification to put; ``is_news`` when the clients are to be told of it."""

    event_id: str
    record: bytes
    is_news: bool = False


@dataclass(slots=True)
class NewestNotifications:
    """The newest notifications of a partition, by id; the newest last."""

    records: OrderedDict[str, bytes] = field(default_factory=OrderedDict)

    def add(self, event_id: str, record: bytes) -> bool:
        """Take one in; False when it is a repeat."""
        if event_id in self.records:
            return False
        self.records[event_id] = record
        if len(self.records) > KEPT_NOTIFICATIONS:
            self.records.popitem(last=False)
        return True


class LiveNotificationsSink(RedisSink[NewestNotifications, list[_Put]]):
    """Applies runs of ``traffic-notifications`` to Redis.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        read_back: where to begin when Redis knows no offset.
        on_rows: told how many records took effect.
        on_dropped: told the reason of each record that is left out.
    """

    def __init__(
        self,
        client: Redis,
        read_back: ReadBack,
        on_rows: Callable[[int], None] | None = None,
        on_dropped: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(client, NOTIFICATIONS, read_back, on_rows)
        self._on_dropped = on_dropped
        self._script = client.register_script(_PUT_NOTIFICATIONS)

    def new_memory(self) -> NewestNotifications:
        """No notification."""
        return NewestNotifications()

    def no_changes(self) -> list[_Put]:
        """No notification."""
        return []

    def everything(self, memory: NewestNotifications, changes: list[_Put]) -> list[_Put]:
        """The newest ones, and what is new behind them."""
        new = {put.event_id for put in changes}
        return [*(_Put(*known) for known in memory.records.items() if known[0] not in new), *changes]

    def describe(self, memory: NewestNotifications) -> str:
        """How many."""
        return f"{len(memory.records)} notifications"

    async def remember(self, memories: Mapping[int, NewestNotifications]) -> None:
        """Read the newest back; the topic has one partition."""
        for event_id, record in await newest_notifications(self.client):
            for memory in memories.values():
                memory.add(event_id, record)

    def collect(self, memory: NewestNotifications, records: Sequence[ConsumerRecord]) -> list[_Put]:
        """Take a run in."""
        news_since_us = (time.time() - NEWS_SECONDS) * MICROSECONDS_PER_SECOND
        found = []
        for record in records:
            value = record.value or b""
            try:
                notification = decode_notification(value)
                measured_us = epoch_us(notification.timestamp)
                if not 0 < len(notification.event_id) <= _LONGEST_ID:
                    raise ValueError(f"an id has 1 to {_LONGEST_ID} characters")
            except MALFORMED as error:
                logger.error("%s at offset %d is no notification, left out: %s", self.topic, record.offset, error)
                self._on_dropped("unreadable")
                continue
            if memory.add(notification.event_id, value):
                found.append(_Put(notification.event_id, value, measured_us >= news_since_us))
        return found

    async def put(self, call: Call, changes: list[_Put]) -> bool:
        """Run the script, in pieces that each take Redis about a millisecond; False when Redis lost data."""
        pieces = [changes[first : first + _PER_CALL] for first in range(0, len(changes), _PER_CALL)]
        for number, piece in enumerate(pieces or [[]], 1):
            keys = [self.generation_key, self.offsets_key, NEWEST_NOTIFICATIONS_KEY]
            keys += [known_key(put.event_id) for put in piece]
            next_offset = call.next_offset if number >= len(pieces) else -1
            args: list[Any] = [call.generation, call.partition, call.stored, next_offset]
            args += [NOTIFICATIONS_CHANNEL, KEPT_NOTIFICATIONS, KNOWN_SECONDS]
            args += itertools.chain.from_iterable((put.record, int(put.is_news)) for put in piece)
            if await self._script(keys=keys, args=args) != b"OK":
                return False
        return True


async def newest_notifications(client: Redis) -> list[tuple[str, bytes]]:
    """The newest notifications with their ids, the newest last; what cannot be read is left out.

    Raises:
        RedisError: the server is away.
    """
    records: Any = await client.lrange(NEWEST_NOTIFICATIONS_KEY, 0, KEPT_NOTIFICATIONS - 1)
    found = []
    for record in reversed(records):
        try:
            found.append((decode_notification(record).event_id, bytes(record)))
        except MALFORMED as error:
            logger.warning("ignoring what %s holds: %s", NEWEST_NOTIFICATIONS_KEY, error)
    return found
