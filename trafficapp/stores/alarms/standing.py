"""Alarms that stand in Redis, and shelves that begin and end meanwhile.

Sinks mark a step by what is shelved when it comes. What changes between two steps is found here, by looking at what
stands: it is marked when it is shelved by now, and when its shelf has ended the mark is taken off and people are told
of it, as of one that has just been raised. Alerts of silent cameras are held for a moment, and told or folded
likewise. The mark in Redis says that this is still to be done, and each change is made only where that which was read
still stands: so it is told once, whoever looks, however often, and whoever died.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, Struct, structs
from redis.asyncio import Redis

from models.alarms import Withheld
from models.alerts import AlertEvent, decode_alert_event, encode_alert_event, new_alert
from models.city_alerts import CityAlert
from models.records import MALFORMED
from models.roads.notifications import RoadNotification, decode_notification, encode_notification
from models.timestamps import epoch_us
from trafficapp.alarms.withholding import Withholding
from trafficapp.feeds.declaration import Feed
from trafficapp.roads.feeds import CONGESTION, NOTIFICATION_LOG
from trafficapp.stores.feeds.current import CurrentDocuments, current_of
from trafficapp.stores.redis.event_log import EVENT_FUNCTIONS, EVENT_KEYS, KEPT_EVENTS, OPEN_KEY, event_arguments

logger = logging.getLogger(__name__)

#: After a change of shelves it is looked so often: a step may have been on its way with what was known before.
_LOOKS_AFTER_CHANGE = 3
#: And once in so many looks anyway: a server that lost its data was filled with what sinks remember.
_LOOKS_BETWEEN = 30

_encode = msgspec.json.Encoder().encode

#: KEYS: `EVENT_KEYS`, open alerts. ARGV: `event_arguments`, id, what was read, what is to stand, event, its data.
_CHANGE_ALERT = (
    EVENT_FUNCTIONS
    + """
local id, before, after, event, data = unpack(ARGV, 5, 9)
if redis.call('HGET', KEYS[4], id) ~= before then return 0 end
redis.call('HSET', KEYS[4], id, after)
tell(event, data)
return 1
"""
)
#: KEYS: the document. ARGV: what was read, what is to stand, channel.
_CHANGE_DOCUMENT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
redis.call('PUBLISH', ARGV[3], '[' .. ARGV[2] .. ']')
return 1
"""
#: KEYS: the list. ARGV: what was read, what is to stand, channel.
_CHANGE_NOTIFICATION = """
if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end
redis.call('LPUSH', KEYS[1], ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[2])
return 1
"""


class _End(Struct):
    """What is asked of a congestion event: when it ended."""

    ended_at: str | None


_decode_end = msgspec.json.Decoder(_End).decode


class Place(Protocol):
    """Where alarms stand in Redis."""

    async def look(self, known: Withholding, now_us: int) -> int:
        """Mark and unmark what shelves began and ended with; how many alarms people were told of again.

        Args:
            known: what is shelved.
            now_us: microseconds since the epoch.

        Raises:
            RedisError: the server is away.
        """
        ...


class StandingAlarms:
    """Looks at all places, as often as something can have changed.

    Args:
        places: where alarms stand.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        self._places = places
        self._in_force: frozenset[int] | None = None
        self._looks = _LOOKS_AFTER_CHANGE
        self._rested = 0
        self._until_us = 0

    def look_until(self, time_us: int) -> None:
        """Look each time until then, and a little longer: something is held that is to be told or folded."""
        self._until_us = max(self._until_us, time_us)

    async def look(self, known: Withholding, now_us: int) -> int:
        """As `Place.look`; cheap while no shelf begins or ends."""
        in_force = known.in_force(now_us)
        if in_force != self._in_force or now_us <= self._until_us:
            # kept before the looks: one that fails is made up for by those that follow
            self._in_force, self._looks = in_force, _LOOKS_AFTER_CHANGE
        if not self._looks and self._rested < _LOOKS_BETWEEN:
            self._rested += 1
            return 0
        told = 0
        for place in self._places:
            told += await place.look(known, now_us)
        self._looks, self._rested = max(self._looks - 1, 0), 0
        return told


class StandingAlerts:
    """Open alerts of cameras and people, told on ``/ws/events``.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        kept_events: how many events stay in the log.
    """

    def __init__(self, client: Redis, kept_events: int = KEPT_EVENTS) -> None:
        self._client, self._kept_events = client, kept_events
        self._change = client.register_script(_CHANGE_ALERT)

    async def look(self, known: Withholding, now_us: int) -> int:
        """As `Place.look`."""
        told = 0
        standing: Any = await self._client.hgetall(OPEN_KEY)
        for alert_id, before in standing.items():
            try:
                alert = decode_alert_event(before)
            except MALFORMED as error:
                logger.warning("ignoring what %s holds of %r: %s", OPEN_KEY, alert_id, error)
                continue
            marked, is_told = _as_of_now(alert, known, now_us)
            if marked is not None:
                after = encode_alert_event(marked)
                event, data = ("new_alert", _encode(new_alert(marked))) if is_told else ("alert_updated", after)
                put = await self._put(alert_id, before, after, event, data)
                told += put if is_told else 0
        return told

    async def _put(self, alert_id: bytes, before: bytes, after: bytes, event: str, data: bytes) -> int:
        args = [*event_arguments(self._kept_events), alert_id, before, after, event, data]
        return int(await self._change(keys=[*EVENT_KEYS, OPEN_KEY], args=args))


class StandingCityAlerts:
    """Open alerts of a topic of the city's other feeds, told on its socket.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        feed: of `trafficapp.feeds.city_alerts.alert_feed`.
    """

    def __init__(self, client: Redis, feed: Feed[Any]) -> None:
        self._documents, self._current = CurrentDocuments(client, feed), current_of(feed)
        self._change = client.register_script(_CHANGE_DOCUMENT)
        self._decode = msgspec.json.Decoder(feed.shape).decode

    async def look(self, known: Withholding, now_us: int) -> int:
        """As `Place.look`."""
        told = 0
        for before in await self._documents.documents(await self._documents.keys()):
            try:
                alert: CityAlert = self._decode(before)
            except MALFORMED:
                # whoever shows it tells of it
                continue
            if alert.state == "resolved":
                continue
            why = known.shelved("city_alert", alert.alert_id, alert.alert_type, alert.subject, now_us)
            if (why is not None) == is_shelved(alert):
                continue
            after = _encode(structs.replace(alert, withheld=UNSET if why is None else why))
            key = self._current.key_of(alert.alert_id)
            put = await self._change(keys=[key], args=[before, after, self._current.channel or ""])
            told += int(put) if why is None else 0
        return told


class StandingCongestion:
    """Congestion events that go on, told on ``/ws/notifications``: of one, the newest notification says how it stands.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._change = client.register_script(_CHANGE_NOTIFICATION)
        self._current = current_of(CONGESTION)

    async def look(self, known: Withholding, now_us: int) -> int:
        """As `Place.look`; what was told before a shelf began was told, so nothing is marked here."""
        newest: dict[str, tuple[bytes, RoadNotification]] = {}
        # the newest come first
        found: Any = await self._client.lrange(NOTIFICATION_LOG.list, 0, NOTIFICATION_LOG.kept - 1)
        for record in found:
            try:
                notification = decode_notification(record)
            except MALFORMED:
                continue
            if notification.change is not None and notification.congestion_event_id is not None:
                newest.setdefault(notification.congestion_event_id, (record, notification))
        told = 0
        for event_id, (record, notification) in newest.items():
            why = known.shelved(
                "notification", notification.event_id, notification.alert_type, notification.road_id, now_us
            )
            if why is None and is_shelved(notification) and await self._goes_on(event_id):
                plain = encode_notification(structs.replace(notification, withheld=UNSET))
                args: list[bytes | str] = [record, plain, NOTIFICATION_LOG.channel]
                told += int(await self._change(keys=[NOTIFICATION_LOG.list], args=args))
        return told

    async def _goes_on(self, event_id: str) -> bool:
        document: Any = await self._client.get(self._current.key_of(event_id))
        try:
            return document is not None and _decode_end(document).ended_at is None
        except MALFORMED:
            return False


def is_shelved(alarm: Struct) -> bool:
    """Whether an alarm was marked as shelved."""
    why = getattr(alarm, "withheld", UNSET)
    return isinstance(why, Withheld) and why.how == "shelved"


def _as_of_now(alert: AlertEvent, known: Withholding, now_us: int) -> tuple[AlertEvent | None, bool]:
    """An alert with the mark that it has now, None when that is the one it has; and whether people are told of it."""
    before = alert.withheld if isinstance(alert.withheld, Withheld) else None
    shelved = known.shelved("alert", alert.id, alert.alert_type, alert.camera_id, now_us)
    if shelved is not None:
        return (None if is_shelved(alert) else structs.replace(alert, withheld=shelved)), False
    if before is None:
        # what people know of is not suppressed or folded behind their backs
        return None, False
    at_us = epoch_us(alert.triggered_at) if before.how == "held" else now_us
    why = known.of("alert", alert.id, alert.alert_type, alert.camera_id, at_us)
    if why is not None:
        return (None if why.how == before.how else structs.replace(alert, withheld=why)), False
    if before.how == "held" and before.until is not None and now_us < epoch_us(before.until):
        return None, False
    return structs.replace(alert, withheld=UNSET), before.how in ("shelved", "held")
