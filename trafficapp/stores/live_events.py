"""Numbered events for the clients of ``/ws/events``: told on a channel, kept for those that come back.

=================================  ============================================================
``events:seq``                     number of the newest event; begins at the time in epoch
                                   milliseconds, so it never goes back when Redis comes back empty
``events:log``                     stream of the newest events: id ``{seq}-0``, fields event, ts, data
``events:once:{key}``              that an event with this key was told; expires
``traffic:events``                 channel: whole envelopes, JSON
=================================  ============================================================
"""

from __future__ import annotations

import time
from typing import Any

from redis.asyncio import Redis

from models.timestamps import rfc3339

SEQUENCE_KEY = "events:seq"
LOG_KEY = "events:log"
EVENTS_CHANNEL = "traffic:events"

#: How long an event is known to have been told.
ONCE_SECONDS = 86_400

#: Events kept unless the caller says otherwise; the default of the setting ``events.replay_events``.
KEPT_EVENTS = 1000

#: KEYS: sequence, log, once key. ARGV: channel, event, time of day, data, events kept, epoch milliseconds,
#: once seconds (0: always). Returns the number of the event, or 0 when it was told before.
_EMIT = """
if ARGV[7] ~= '0' and not redis.call('SET', KEYS[3], '1', 'NX', 'EX', ARGV[7]) then return 0 end
redis.call('SET', KEYS[1], ARGV[6], 'NX')
local seq = string.format('%.0f', redis.call('INCR', KEYS[1]))
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[5], seq .. '-0', 'event', ARGV[2], 'ts', ARGV[3], 'data', ARGV[4])
local envelope = '{"seq":' .. seq .. ',"event":"' .. ARGV[2] .. '","ts":"' .. ARGV[3] .. '","data":' .. ARGV[4] .. '}'
redis.call('PUBLISH', ARGV[1], envelope)
return tonumber(seq)
"""


async def emit(
    redis: Redis, event: str, data: bytes, *, once_key: str | None = None, kept_events: int = KEPT_EVENTS
) -> int:
    """Tell an event to all clients of all workers.

    Args:
        redis: where the workers listen.
        event: its name.
        data: JSON.
        once_key: with the same key it is told once a day, however often this is called.
        kept_events: how many events are kept at least.

    Returns:
        the number of the event; 0 when it was told before.

    Raises:
        RedisError: the server is away.
    """
    now_us = time.time_ns() // 1000
    keys = [SEQUENCE_KEY, LOG_KEY, f"events:once:{once_key}"]
    seconds = 0 if once_key is None else ONCE_SECONDS
    arguments: list[Any] = [EVENTS_CHANNEL, event, rfc3339(now_us), data, kept_events, now_us // 1000, seconds]
    seq: Any = await redis.eval(_EMIT, len(keys), *keys, *arguments)
    return int(seq)
