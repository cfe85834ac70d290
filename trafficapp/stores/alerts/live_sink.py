"""The sink of ``traffic.alerts`` into Redis: which alerts are open, and an event for each step that is news.

=============================  ================================================================
``alerts:open``                hash: alert id to `models.alerts.AlertEvent` as JSON
``alerts:acknowledged``        hash: alert id to who acknowledged it and when, JSON
``alert:{id}:revision``        newest revision applied; expires an hour after the alert's end
``alert:{id}:early``           acknowledgement that came before its alert; expires after an hour
``sink:traffic.alerts:*``      bookkeeping of the sink
=============================  ================================================================

A step that was applied before, at whatever offset, changes nothing and is not told again. News is what
was sent within a minute; older steps, of a backlog, leave a hole in the events instead. The times in a
step do not count: of a recording of last year that is played now, the alerts are news.

What people do and what windows lead to comes from different processes, so one may overtake the other. An
acknowledgement stands on the topic with the revision that it was given at, and is told of the alert as it is by then,
which may be a newer one: for a client nothing falls back. Behind the alert's end it is not told, and one that came
before its alert is told behind the first step.

An alert that people are not to be told of yet (``alarm_at`` is null) is a ``new_alert`` all the same: clients of the
contract hear of each at once. The step with which it becomes an alarm is an ``alert_updated``, as any.
What is shelved, suppressed or folded is no ``new_alert``: it is told as ``alert_updated``, with ``withheld``. A shelf
that ends is found by `trafficapp.stores.alarms.standing`, or here with the next step; then it is a ``new_alert``.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import msgspec
from aiokafka import ConsumerRecord
from msgspec import UNSET
from redis.asyncio import Redis

from models.alarms import Withheld
from models.alerts import AlertEvent, decode_alert_event, encode_alert_event, new_alert
from models.events import EventName
from models.records import MALFORMED
from models.timestamps import epoch_us
from trafficapp.stores.alerts.current import ACKNOWLEDGED_KEY, Acknowledgement
from trafficapp.stores.redis.event_log import EVENT_FUNCTIONS, EVENT_KEYS, KEPT_EVENTS, OPEN_KEY, event_arguments
from trafficapp.stores.redis.read_back import ReadBack
from trafficapp.stores.redis.sink import NEWS_SECONDS, Call, RedisSink
from trafficapp.topics import ALERTS

logger = logging.getLogger(__name__)

ALERT_PARTITIONS_KEY = f"sink:{ALERTS}:alerts"

#: The event that tells a step.
EVENT_OF_ACTION: dict[str, EventName] = {
    "opened": "new_alert",
    "updated": "alert_updated",
    "acknowledged": "alert_acknowledged",
    "resolved": "alert_resolved",
}

#: How long a resolved alert is remembered, so that repeats of its steps are known.
REMEMBER_RESOLVED_SECONDS = 3600

_STEPS_PER_CALL = 100

#: Acknowledgements of alerts that are not known: nearly all are of alerts that ended long ago.
_MOST_EARLY = 1000

_encode = msgspec.json.Encoder().encode

#: How a step ends that nobody acknowledged: the two fields are the last of `AlertEvent`.
_NOT_ACKNOWLEDGED = b',"acknowledged_by":null,"acknowledged_at":null}'
_NOBODY: dict[str, Any] = {"acknowledged_by": None, "acknowledged_at": None, "acknowledged_caller": UNSET}

#: KEYS: those of events, generation, offsets, open, acknowledged, partitions of alerts, then for each step the keys
#: of its revision and of an early acknowledgement.
#: ARGV: those of events, generation, partition, offset that must be stored at least, offset to store (or -1),
#: seconds to remember, end of a step that nobody acknowledged, then for each step: id, action, revision, event to
#: tell (empty: none), the step without its two last fields, the acknowledgement (empty: none), the step as a new alert
#: without its two last fields (empty: it is none), and the same if what stands is shelved and it is not (likewise).
#: Returns OK, or LOST when the server is not the one that took the earlier writes.
_PUT_STEPS = (
    EVENT_FUNCTIONS
    + """
local generation_key, offsets_key, open, acknowledged, partitions = unpack(KEYS, 4, 8)
local generation, partition, least_offset, offset, remember_seconds, unread = unpack(ARGV, 5, 10)
local FIRST_KEY, KEYS_A_STEP, FIRST_ARGUMENT, ARGUMENTS_A_STEP = 9, 2, 11, 8
if redis.call('GET', generation_key) ~= generation then return 'LOST' end
local stored = tonumber(redis.call('HGET', offsets_key, partition) or '-1')
if stored < tonumber(least_offset) then return 'LOST' end
local untold = false

local function acknowledge(id, by)
  if redis.call('HEXISTS', open, id) == 0 or redis.call('HSETNX', acknowledged, id, by) == 0 then return nil end
  local step = redis.call('HGET', open, id)
  if string.sub(step, -#unread) == unread then
    step = string.sub(step, 1, -#unread - 1) .. ',' .. string.sub(by, 2)
    redis.call('HSET', open, id, step)
  end
  return step
end

-- what is told is the newest step: the acknowledgement may have been given to an older one
local function told_as_acknowledged(step)
  return (string.gsub(step, '"action":"%a+"', '"action":"acknowledged"', 1))
end

local function advance(id, action, revision, revision_key, head)
  local known = tonumber(redis.call('GET', revision_key) or '0')
  if tonumber(revision) <= known then return nil end
  local by = redis.call('HGET', acknowledged, id)
  local step = head .. (by and ',' .. string.sub(by, 2) or unread)
  if action == 'resolved' then
    redis.call('SET', revision_key, revision, 'EX', remember_seconds)
    redis.call('HDEL', acknowledged, id)
    redis.call('HDEL', partitions, id)
    return step, redis.call('HDEL', open, id) == 1
  end
  redis.call('SET', revision_key, revision)
  local before = redis.call('HGET', open, id)
  redis.call('HSET', open, id, step)
  redis.call('HSET', partitions, id, partition)
  return step, true, before and string.find(before, '"withheld":{"how":"shelved"', 1, true)
end

local at = FIRST_ARGUMENT
for i = FIRST_KEY, #KEYS, KEYS_A_STEP do
  local revision_key, early_key = KEYS[i], KEYS[i + 1]
  local id, action, revision, event, head, by, news, again = unpack(ARGV, at, at + ARGUMENTS_A_STEP - 1)
  at = at + ARGUMENTS_A_STEP
  local step, changed, was_shelved, early
  if action == 'acknowledged' then
    step = acknowledge(id, by)
    changed = step ~= nil
    if changed then step = told_as_acknowledged(step)
    elseif redis.call('EXISTS', revision_key) == 0 then
      redis.call('SET', early_key, by, 'EX', remember_seconds, 'NX')
    end
  else
    early = action ~= 'resolved' and redis.call('EXISTS', revision_key) == 0 and redis.call('GET', early_key)
    step, changed, was_shelved = advance(id, action, revision, revision_key, head)
    if by ~= '' and acknowledge(id, by) then changed = true end
  end
  if was_shelved and news == '' then news = again end
  if step and event ~= '' then
    if news ~= '' then tell('new_alert', news .. string.sub(step, #head + 1)) end
    if event ~= 'new_alert' then tell(event, step) end
  elseif changed then untold = true end
  if early then
    redis.call('DEL', early_key)
    local taken = acknowledge(id, early)
    if taken and event ~= '' then tell('alert_acknowledged', told_as_acknowledged(taken))
    elseif taken then untold = true end
  end
end
if untold then leave_hole() end
if tonumber(offset) > stored then redis.call('HSET', offsets_key, partition, offset) end
return 'OK'
"""
)


def revision_key(alert_id: str) -> str:
    """Key of the newest revision applied."""
    return f"alert:{alert_id}:revision"


def early_key(alert_id: str) -> str:
    """Key of an acknowledgement that came before its alert."""
    return f"alert:{alert_id}:early"


@dataclass(slots=True)
class _Step:
    """A step to put.

    Attributes:
        is_news: the clients are to be told of it.
        is_rise: it raises the severity of an alert that is open.
        is_withheld: people are not told of it: lists show it, and nothing else.
    """

    event: AlertEvent
    is_news: bool = False
    is_rise: bool = False
    is_withheld: bool = False


@dataclass(slots=True)
class KnownAlerts:
    """The newest step of each alert of a partition: of open ones, and for a while of resolved ones.

    Attributes:
        resolved: with the time (monotonic seconds) after which they are forgotten, earliest first.
        early: acknowledgements of alerts that are not known, by their ids.
    """

    open: dict[str, AlertEvent] = field(default_factory=dict)
    resolved: OrderedDict[str, tuple[float, AlertEvent]] = field(default_factory=OrderedDict)
    early: OrderedDict[str, AlertEvent] = field(default_factory=OrderedDict)

    def add(self, event: AlertEvent) -> bool:
        """Take a step in; False when it is a repeat, which changes nothing."""
        known = self.open.get(event.id)
        if event.action == "acknowledged":
            if known is None and event.id not in self.resolved:
                self.early.setdefault(event.id, event)
                if len(self.early) > _MOST_EARLY:
                    self.early.popitem(last=False)
            if known is None or known.acknowledged_at is not None:
                return False
            self.open[event.id] = _acknowledged(known, event)
            return True
        if event.id in self.resolved or (known is not None and known.revision >= event.revision):
            return False
        by = self.early.pop(event.id, None) if known is None else known
        if by is not None and by.acknowledged_at is not None:
            event = _acknowledged(event, by)
        if event.action == "resolved":
            self.open.pop(event.id, None)
            self.resolved[event.id] = (time.monotonic() + REMEMBER_RESOLVED_SECONDS, event)
        else:
            self.open[event.id] = event
        return True

    def forget_old(self) -> None:
        """Forget the alerts whose end is long ago."""
        now = time.monotonic()
        while self.resolved and next(iter(self.resolved.values()))[0] < now:
            self.resolved.popitem(last=False)


class LiveAlertsSink(RedisSink[KnownAlerts, list[_Step]]):
    """Applies runs of ``traffic.alerts`` to Redis.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        read_back: where to begin when Redis knows no offset.
        on_rows: told how many records took effect.
        kept_events: how many events stay in the log.
        on_dropped: told the reason of each record that is left out.
        withheld: why people are not to be told of a step; None tells it.
    """

    def __init__(
        self,
        client: Redis,
        read_back: ReadBack,
        on_rows: Callable[[int], None] | None = None,
        kept_events: int = KEPT_EVENTS,
        on_dropped: Callable[[str], None] = lambda _: None,
        withheld: Callable[[AlertEvent], Withheld | None] = lambda _: None,
    ) -> None:
        self._withheld = withheld
        super().__init__(client, ALERTS, read_back, on_rows)
        self._on_dropped = on_dropped
        self._kept_events = kept_events
        self._script = client.register_script(_PUT_STEPS)

    def new_memory(self) -> KnownAlerts:
        """No alert."""
        return KnownAlerts()

    def no_changes(self) -> list[_Step]:
        """No step."""
        return []

    def everything(self, memory: KnownAlerts, changes: list[_Step]) -> list[_Step]:
        """Every alert as it is, untold; steps that are news are told before that, on the way to it."""
        known = [*memory.open.values(), *(event for _, event in memory.resolved.values())]
        return [*(step for step in changes if step.is_news), *map(_Step, known)]

    def describe(self, memory: KnownAlerts) -> str:
        """How many alerts."""
        return f"{len(memory.open)} open alerts"

    async def remember(self, memories: Mapping[int, KnownAlerts]) -> None:
        """Read the partitions' open alerts back into memory."""
        owned = {str(number).encode(): memory for number, memory in memories.items()}
        partitions: Any = await self.client.hgetall(ALERT_PARTITIONS_KEY)
        mine = [(alert_id, owned[number]) for alert_id, number in partitions.items() if number in owned]
        for first in range(0, len(mine), _STEPS_PER_CALL):
            piece = mine[first : first + _STEPS_PER_CALL]
            steps: Any = await self.client.hmget(OPEN_KEY, [alert_id for alert_id, _ in piece])
            for (alert_id, memory), step in zip(piece, steps, strict=True):
                try:
                    if step is not None:
                        memory.add(decode_alert_event(step))
                except MALFORMED as error:
                    logger.warning("ignoring what %s holds of %s: %s", OPEN_KEY, alert_id.decode(), error)

    def collect(self, memory: KnownAlerts, records: Sequence[ConsumerRecord]) -> list[_Step]:
        """Take a run's steps in; of a backlog only where each alert has come to is put."""
        news_since_ms = (time.time() - NEWS_SECONDS) * 1000
        backlog: dict[str, _Step] = {}
        following: list[_Step] = []
        for record in records:
            try:
                event = _read(record.value)
            except MALFORMED as error:
                logger.error("%s at offset %d is no alert and was left out: %s", ALERTS, record.offset, error)
                self._on_dropped("unreadable")
                continue
            is_news = record.timestamp >= news_since_ms
            if event.action == "acknowledged":
                # its alert may be of another partition, when cameras are partitioned in another way than people's words
                for known in (memory, *self.memories()):
                    known.add(event)
                if event.acknowledged_by is not None and event.acknowledged_at is not None:
                    following.append(_Step(event, is_news))
                continue
            before = memory.open.get(event.id)
            if not memory.add(event):
                continue
            if is_news:
                why = self._withheld(event)
                marked = event if why is None else msgspec.structs.replace(event, withheld=why)
                following.append(_Step(marked, True, _rises(event, before), why is not None))
            else:
                backlog[event.id] = _Step(event)
        memory.forget_old()
        return [*backlog.values(), *following]

    async def put(self, call: Call, changes: list[_Step]) -> bool:
        """Run the script, in pieces that each take Redis about a millisecond; False when Redis lost data."""
        pieces = [changes[first : first + _STEPS_PER_CALL] for first in range(0, len(changes), _STEPS_PER_CALL)]
        for number, piece in enumerate(pieces or [[]], 1):
            next_offset = call.next_offset if number >= len(pieces) else -1
            keys = [*EVENT_KEYS, self.generation_key, self.offsets_key]
            keys += [OPEN_KEY, ACKNOWLEDGED_KEY, ALERT_PARTITIONS_KEY]
            keys += [key(step.event.id) for step in piece for key in (revision_key, early_key)]
            args = event_arguments(self._kept_events)
            args += [call.generation, call.partition, call.stored, next_offset]
            args += [REMEMBER_RESOLVED_SECONDS, _NOT_ACKNOWLEDGED, *_arguments(piece)]
            if await self._script(keys=keys, args=args) != b"OK":
                return False
        return True


def _arguments(steps: Iterable[_Step]) -> Iterable[Any]:
    for step in steps:
        event = step.event
        by, at = event.acknowledged_by, event.acknowledged_at
        unread = msgspec.structs.replace(event, **_NOBODY)
        bare = encode_alert_event(unread)
        told = EVENT_OF_ACTION[event.action] if step.is_news else ""
        if step.is_withheld and told == "new_alert":
            told = "alert_updated"
        as_new = _encode(new_alert(unread)).removesuffix(_NOT_ACKNOWLEDGED) if told and not step.is_withheld else b""
        is_new = told == "new_alert" or step.is_rise
        acknowledgement = b""
        if by is not None and at is not None:
            acknowledgement = msgspec.json.encode(Acknowledgement(by, at, event.acknowledged_caller))
        yield from (event.id, event.action, event.revision, told, bare.removesuffix(_NOT_ACKNOWLEDGED), acknowledgement)
        # a shelf that ended since the step before: people are told of the alert with this one
        yield from (as_new if is_new else b"", as_new if told == "alert_updated" else b"")


def _rises(event: AlertEvent, before: AlertEvent | None) -> bool:
    """Whether a step raises the severity; what the step says of it counts when the one before is not known."""
    if event.action != "updated":
        return False
    return event.rises or (before is not None and before.severity != event.severity)


def _read(value: bytes | None) -> AlertEvent:
    """A step whose id, times and acknowledgement are such: who reads the open alerts relies on that.

    Raises:
        Exception: it is none: one of `MALFORMED`.
    """
    event = decode_alert_event(value or b"")
    UUID(event.id)
    if (event.acknowledged_by is None) != (event.acknowledged_at is None):
        raise ValueError("an acknowledgement says who and when")
    acknowledged_at, alarm_at = event.acknowledged_at, event.alarm_at
    for time_of in (event.since, event.triggered_at, event.updated_at, event.resolved_at, acknowledged_at, alarm_at):
        if time_of is not None:
            epoch_us(time_of)
    return event


def _acknowledged(event: AlertEvent, by: AlertEvent) -> AlertEvent:
    return msgspec.structs.replace(event, **{name: getattr(by, name) for name in _NOBODY})
