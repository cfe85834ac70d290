"""Numbered events for the clients of ``/ws/events``: told on a channel, kept for those that come back.

=================================  ============================================================
``events:seq``                     number of the newest event; begins at the time in epoch
                                   milliseconds, so it never goes back when Redis comes back empty
``events:log``                     stream of the newest events: id ``{seq}-0``, fields event, ts, data
                                   (and what stands beside it: see `beside`)
``events:newest``                  hash: name of a periodic event to its newest envelope
``events:once:{key}``              that an event with this key was told; expires
``events:hole``                    that a sink that found data lost has just left a hole; expires
``events:tick:{name}:{number}``    that a worker took this turn of a periodic event; expires
``traffic:events``                 channel: whole envelopes, JSON
=================================  ============================================================

A number that stands on nothing in the log is a hole: the state changed without events, as when a
backlog is made up for. Whoever meets one takes the state anew.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from models.timestamps import rfc3339

SEQUENCE_KEY = "events:seq"
LOG_KEY = "events:log"
NEWEST_KEY = "events:newest"
EVENTS_CHANNEL = "traffic:events"
#: Hash of the open alerts: the state that a client begins with.
OPEN_KEY = "alerts:open"

#: Events that each replace the one before.
PERIODIC_EVENTS = frozenset({"traffic_metrics_update", "heatmap_update"})

#: How long an event is known to have been told.
ONCE_SECONDS = 86_400

#: Events kept unless the caller says otherwise; the default of the setting ``events.replay_events``.
KEPT_EVENTS = 1000

_TICK_SECONDS = 60
_HOLE_MS = 1000

#: Bytes of events kept, about: with so many cameras that one event would take a thousandth of it, fewer are kept.
LOG_BYTES = 64 << 20

#: Lua functions for scripts whose first KEYS are `EVENT_KEYS` and whose first ARGV are `event_arguments`.
EVENT_FUNCTIONS = """
local sequence_key, log_key, newest_key = unpack(KEYS, 1, 3)
local events_channel, kept_events, now_ms, time_of_day = unpack(ARGV, 1, 4)
local function number_event()
  if redis.call('EXISTS', sequence_key) == 0 then
    redis.call('DEL', log_key)
    redis.call('SET', sequence_key, now_ms)
  end
  return string.format('%.0f', redis.call('INCR', sequence_key))
end
local function publish(seq, event, data)
  local envelope = '{"seq":' .. seq .. ',"event":"' .. event .. '","ts":"' .. time_of_day .. '","data":' .. data .. '}'
  redis.call('PUBLISH', events_channel, envelope)
  return envelope
end
local function tell(event, data)
  local seq = number_event()
  local kept = math.min(kept_events, math.max(1, math.floor(LOG_BYTES / #data)))
  redis.call('XADD', log_key, 'MAXLEN', kept, seq .. '-0', 'event', event, 'ts', time_of_day, 'data', data)
  return seq, publish(seq, event, data)
end
local function leave_hole()
  local seq = number_event()
  if tonumber(seq) < tonumber(now_ms) then
    seq = now_ms
    redis.call('SET', sequence_key, seq)
  end
  publish(seq, 'resync', '{}')
end
""".replace("LOG_BYTES", str(LOG_BYTES))
EVENT_KEYS = (SEQUENCE_KEY, LOG_KEY, NEWEST_KEY)

#: KEYS: `EVENT_KEYS`, once key. ARGV: `event_arguments`, event, data, periodic (1 or 0), once seconds (0: always).
#: Returns the number of the event, or 0 when it was told before.
_EMIT = (
    EVENT_FUNCTIONS
    + """
local once_key = KEYS[4]
local event, data, is_periodic, once_seconds = unpack(ARGV, 5, 8)
if once_seconds ~= '0' and not redis.call('SET', once_key, '1', 'NX', 'EX', once_seconds) then return 0 end
local seq, envelope = tell(event, data)
if is_periodic == '1' then redis.call('HSET', newest_key, event, envelope) end
return tonumber(seq)
"""
)

#: KEYS: `EVENT_KEYS`, that a hole was left just now. ARGV: `event_arguments`, for how many milliseconds it is just now.
_LEAVE_HOLE = (
    EVENT_FUNCTIONS
    + """
local just_now_key, just_now_ms = KEYS[4], ARGV[5]
if redis.call('SET', just_now_key, '1', 'NX', 'PX', just_now_ms) then leave_hole() end
"""
)

#: KEYS: `EVENT_KEYS`, open alerts. ARGV: epoch milliseconds. Returns number, open alerts, newest periodic events.
_STATE = """
local sequence_key, log_key, newest_key, open_key = unpack(KEYS, 1, 4)
local now_ms = ARGV[1]
if redis.call('EXISTS', sequence_key) == 0 then
  redis.call('DEL', log_key)
  redis.call('SET', sequence_key, now_ms)
end
return {redis.call('GET', sequence_key), redis.call('HVALS', open_key), redis.call('HGETALL', newest_key)}
"""


def event_arguments(kept_events: int) -> list[Any]:
    """What `EVENT_FUNCTIONS` expect first in ARGV: channel, events kept, epoch milliseconds, time of day."""
    now_us = time.time_ns() // 1000
    return [EVENTS_CHANNEL, kept_events, now_us // 1000, rfc3339(now_us)]


def beside(data: bytes, **others: bytes) -> bytes:
    """Data of an event with further fields of its envelope behind it: it is spliced in where the envelope ends.

    Args:
        data: JSON.
        others: JSON by the name of the field.
    """
    return b"".join([data, *(b',"%b":%b' % (name.encode(), other) for name, other in others.items())])


async def emit(
    redis: Redis, event: str, data: bytes, *, once_key: str | None = None, kept_events: int = KEPT_EVENTS
) -> int:
    """Tell an event to all clients of all workers.

    Args:
        redis: where the workers listen.
        event: its name.
        data: JSON.
        once_key: with the same key it is told once a day, however often this is called.
        kept_events: how many events are kept.

    Returns:
        the number of the event; 0 when it was told before.

    Raises:
        RedisError: the server is away.
    """
    keys = [*EVENT_KEYS, f"events:once:{once_key}"]
    seconds = 0 if once_key is None else ONCE_SECONDS
    arguments = [*event_arguments(kept_events), event, data, int(event in PERIODIC_EVENTS), seconds]
    seq: Any = await redis.eval(_EMIT, len(keys), *keys, *arguments)
    return int(seq)


async def leave_hole(redis: Redis) -> None:
    """Let everybody take the state anew, with a number beyond all that were ever given; once a second at most.

    Raises:
        RedisError: the server is away.
    """
    keys = [*EVENT_KEYS, "events:hole"]
    await redis.eval(_LEAVE_HOLE, len(keys), *keys, *event_arguments(KEPT_EVENTS), _HOLE_MS)


async def take_turn(redis: Redis, name: str, number: int) -> bool:
    """Whether it is this worker that tells a periodic event this time: the first who asks.

    Raises:
        RedisError: the server is away.
    """
    return bool(await redis.set(f"events:tick:{name}:{number}", "1", nx=True, ex=_TICK_SECONDS))


class EventHead(Struct, frozen=True, gc=False):
    """What must be known of an envelope to pass it on."""

    seq: int
    event: str


decode_event_head = msgspec.json.Decoder(EventHead).decode


@dataclass(frozen=True, slots=True)
class Told:
    """An event that was told; ``envelope`` is JSON as it went over the channel."""

    seq: int
    event: str
    envelope: bytes


@dataclass(frozen=True, slots=True)
class LiveState:
    """What there is to know, all of one moment.

    Attributes:
        seq: number of the newest event.
        alerts: open alerts, each an `models.alerts.AlertEvent` as JSON.
        newest: envelope of the newest periodic event of each name.
    """

    seq: int
    alerts: list[bytes]
    newest: dict[str, bytes]


class EventsMissed(Exception):
    """The log does not hold all events since the one that was asked for."""


class EventLog:
    """Reads the events of the past and the state they led to.

    Every method raises one of `trafficapp.stores.redis.connection.UNAVAILABLE` when Redis is away.
    """

    def __init__(self, client: Redis) -> None:
        self.client = client

    async def state(self) -> LiveState:
        """The state; an empty server begins to count."""
        keys = [*EVENT_KEYS, OPEN_KEY]
        found: Any = await self.client.eval(_STATE, len(keys), *keys, time.time_ns() // 1_000_000)
        seq, alerts, newest = found
        return LiveState(int(seq), alerts, {name.decode(): value for name, value in _pairs(newest)})

    async def after(self, seq: int, limit: int) -> list[Told]:
        """The first events after a number, without a gap; none when there is no newer one.

        Raises:
            EventsMissed: there are gaps, or no event ever had this number.
        """
        pipeline = self.client.pipeline(transaction=True)
        pipeline.get(SEQUENCE_KEY)
        pipeline.xrange(LOG_KEY, min=f"({seq}-0", max="+", count=limit)
        number, entries = await pipeline.execute()
        found = [_told(entry_id, fields) for entry_id, fields in entries]
        newest = found[-1].seq if found else seq
        complete = len(found) == limit or newest == int(number or 0)
        if not complete or newest - seq != len(found):
            raise EventsMissed
        return found


def _told(entry_id: bytes, fields: dict[bytes, bytes]) -> Told:
    number = entry_id.partition(b"-")[0]
    event = fields[b"event"]
    envelope = b'{"seq":%b,"event":"%b","ts":"%b","data":%b}' % (number, event, fields[b"ts"], fields[b"data"])
    return Told(int(number), event.decode(), envelope)


def _pairs(flat: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
