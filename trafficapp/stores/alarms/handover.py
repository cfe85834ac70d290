"""What whoever takes over a shift has to know, from what Postgres holds at one moment."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, get_args

import msgspec

from models.alarms import (
    Handover,
    HandoverAlarm,
    HandoverComment,
    HandoverCounts,
    Priority,
    Shelf,
    StandingCongestion,
    UnhealthySource,
)
from models.roads.congestion import CongestionCause, CongestionPlace
from models.timestamps import epoch_us, rfc3339
from trafficapp.alarms.withholding import HELD, Withholding
from trafficapp.quality.doubts import UNHEALTHY_SOURCE
from trafficapp.stores.alarms.alarms import WordedAlarm, worded_alarms
from trafficapp.stores.alarms.shelves import shelves_between
from trafficapp.stores.alarms.withheld import withholding
from trafficapp.stores.postgres.reading import shaped

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.settings import AlarmSettings
    from trafficapp.stores.postgres.connection import Pool

#: No list is longer.
MOST_LISTED = 500

_SILENT = "camera_silent"
_WORST_FIRST = tuple(reversed(get_args(Priority)))

_COMMENTS = """
    SELECT c.alert_id, a.title AS alert_title, c.commented_at, c.commented_by, c.comment
    FROM alert_comments c LEFT JOIN alerts a ON a.id = c.alert_id
    WHERE c.commented_at >= $1 AND c.commented_at < $2 ORDER BY c.id
"""
_CONGESTION = """
    SELECT e.event_id, e.head, e.severity, e.state, e.began_at, e.length_m, e.delay_vehicle_hours, e.cause,
           coalesce((SELECT array_agg(c.camera_id ORDER BY c.camera_id) FROM congestion_event_cameras c
                     WHERE c.event_id = e.event_id), '{}') AS camera_ids
    FROM congestion_events e WHERE e.ended_at IS NULL ORDER BY e.length_m DESC, e.event_id LIMIT $1
"""

_place = msgspec.json.Decoder(CongestionPlace).decode
_cause = msgspec.json.Decoder(CongestionCause | None).decode


async def handover(pool: Pool, since: datetime, now: datetime, settings: AlarmSettings) -> Handover:
    """The shift from a time until now.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        since: aware.
        now: aware, later.
        settings: what is suppressed and folded.
    """
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        known = await worded_alarms(connection, since, now)
        withheld = await withholding(connection, since, now, settings)
        shelves = await shelves_between(connection, since, now)
        comments = [shaped(HandoverComment, row) for row in await connection.fetch(_COMMENTS, since, now)]
        events = [_congestion(row) for row in await connection.fetch(_CONGESTION, MOST_LISTED)]
    return await asyncio.to_thread(
        lambda: _put_together(known, withheld, epoch_us(since), epoch_us(now), (shelves, comments, events))
    )


def _put_together(
    known: Sequence[WordedAlarm],
    withholding: Withholding,
    since_us: int,
    now_us: int,
    others: tuple[list[Shelf], list[HandoverComment], list[StandingCongestion]],
) -> Handover:
    shelves, comments, events = others
    # at a light there is one at each red: nobody takes them over
    short = sum(one.alarm.withheld == "short" and one.alarm.raised_us >= since_us for one in known)
    known = [one for one in known if one.alarm.withheld != "short"]
    alarms = [_alarm(one, withholding, now_us) for one in known]
    since = rfc3339(since_us)

    def newest(time_of: Callable[[HandoverAlarm], str | None]) -> list[HandoverAlarm]:
        found = [(time, one) for one in alarms if (time := time_of(one)) is not None and time >= since]
        return [one for _, one in sorted(found, key=lambda pair: (pair[0], pair[1].alarm_id), reverse=True)]

    raised, acknowledged = newest(lambda one: one.raised_at), newest(lambda one: one.acknowledged_at)
    cleared = newest(lambda one: one.cleared_at)
    standing = sorted(
        (one for one in alarms if one.stands and one.cleared_at is None),
        key=lambda one: (_WORST_FIRST.index(one.priority), one.raised_at, one.alarm_id),
    )
    # how it was when each was raised: a shelf may be over by now
    marked = withholding.marked(one.alarm for one in known if one.alarm.raised_us >= since_us)
    how = {(one.stream, one.alarm_id): one.withheld for one in marked if one.withheld is not None}
    counts = Counter(how.values())
    return Handover(
        since=since,
        until=rfc3339(now_us),
        counts=HandoverCounts(
            open=len(standing),
            raised=len(raised),
            acknowledged=len(acknowledged),
            cleared=len(cleared),
            shelved=counts["shelved"],
            suppressed=counts["suppressed"],
            folded=counts["folded"],
            short=short,
            held=counts["held"],
            comments=len(comments),
        ),
        open=standing[:MOST_LISTED],
        raised=raised[:MOST_LISTED],
        acknowledged=acknowledged[:MOST_LISTED],
        cleared=cleared[:MOST_LISTED],
        withheld=[one for one in raised if (one.stream, one.alarm_id) in how][:MOST_LISTED],
        shelves=shelves[:MOST_LISTED],
        comments=comments[-MOST_LISTED:],
        unhealthy=_unhealthy(standing)[:MOST_LISTED],
        congestion=events,
        most_listed=MOST_LISTED,
    )


def _alarm(one: WordedAlarm, withholding: Withholding, now_us: int) -> HandoverAlarm:
    alarm = one.alarm
    stands_now = alarm.stands and alarm.cleared_us is None
    at_us = now_us if stands_now else alarm.raised_us
    why = withholding.of(alarm.stream, alarm.alarm_id, alarm.rule, alarm.source, at_us)
    return HandoverAlarm(
        stream=alarm.stream,
        alarm_id=alarm.alarm_id,
        rule=alarm.rule,
        source=alarm.source,
        priority=alarm.priority,
        title=one.title,
        message=one.message,
        raised_at=rfc3339(alarm.raised_us),
        cleared_at=None if alarm.cleared_us is None else rfc3339(alarm.cleared_us),
        stands=alarm.stands,
        acknowledged_at=None if alarm.acknowledged_us is None else rfc3339(alarm.acknowledged_us),
        acknowledged_by=alarm.acknowledged_by,
        withheld=why or (HELD if alarm.withheld == "held" else None),
    )


def _unhealthy(standing: Iterable[HandoverAlarm]) -> list[UnhealthySource]:
    return [
        UnhealthySource(source=one.source, rule=one.rule, since=one.raised_at, message=one.message)
        for one in standing
        if one.rule in (UNHEALTHY_SOURCE, _SILENT)
    ]


def _congestion(row: asyncpg.Record) -> StandingCongestion:
    head, cause = _place(row["head"]), _cause(row["cause"] or b"null")
    return shaped(
        StandingCongestion,
        row,
        road=head.road_name or head.road_id,
        cause=None if cause is None else cause.description,
    )
