"""How good what comes in is, by topic, from minutes in Postgres."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from models.quality.feeds import FeedQuality
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us, rfc3339
from trafficapp.stores.feeds.minutes import since_of
from trafficapp.topics import EVENTS_RAW

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Pool

_WEEK = timedelta(days=7)
_HOUR = timedelta(hours=1)

_CAME = """
    SELECT topic, coalesce(sum(messages) FILTER (WHERE minute >= $2 AND minute < $3), 0)::bigint AS messages,
           max(minute) FILTER (WHERE messages > 0) AS last_seen
    FROM feed_minutes WHERE topic = ANY($1::text[]) AND minute >= $4 GROUP BY topic
"""
# of each of the days before the same hour, if anything was written down of that day; minutes without a row are empty
_USUAL = """
    SELECT topic, percentile_cont(0.5) WITHIN GROUP (ORDER BY a_minute) AS usual
    FROM (
        SELECT topic, day, coalesce(sum(messages) FILTER (
                   WHERE minute >= $2::timestamptz - day AND minute < $3::timestamptz - day
               ), 0) / 60.0 AS a_minute
        FROM feed_minutes
        CROSS JOIN (SELECT make_interval(days => n) AS day FROM generate_series(1, 7) AS n) AS days
        WHERE topic = ANY($1::text[]) AND minute >= $2::timestamptz - day - interval '12 hours'
          AND minute < $3::timestamptz - day + interval '12 hours'
        GROUP BY topic, day
    ) AS hours GROUP BY topic
"""
_REFUSED = """
    SELECT topic, reason, sum(messages)::bigint AS messages, sum(parts)::bigint AS parts
    FROM feed_refusals WHERE topic = ANY($1::text[]) AND minute >= $2 AND minute < $3 GROUP BY topic, reason
"""
_SEEN = """
    SELECT topic, sum(messages)::bigint AS messages, sum(timely)::bigint AS timely, sum(late_us)::float8 AS late_us,
           sum(repeated)::bigint AS repeated
    FROM feed_intake_minutes WHERE topic = ANY($1::text[]) AND minute >= $2 AND minute < $3 GROUP BY topic
"""


async def feed_quality(pool: Pool, feeds: Sequence[tuple[str, str]], now: datetime, minutes: int) -> list[FeedQuality]:
    """Every topic over the whole minutes before now.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        feeds: names, each with its topic, in the order of the answer.
        now: aware.
        minutes: how many.
    """
    topics = [topic for _, topic in feeds]
    since = since_of(now, minutes)
    until = since + timedelta(minutes=minutes)
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        came = {row["topic"]: row for row in await connection.fetch(_CAME, topics, since, until, until - _WEEK)}
        # the hour that the span ends in the middle of
        middle = since + timedelta(minutes=minutes / 2)
        usual_rows = await connection.fetch(_USUAL, topics, middle - _HOUR / 2, middle + _HOUR / 2)
        refused_rows = await connection.fetch(_REFUSED, topics, since, until)
        seen = {row["topic"]: row for row in await connection.fetch(_SEEN, topics, since, until)}
    usual = {row["topic"]: float(row["usual"]) for row in usual_rows}
    refused: dict[str, dict[str, tuple[int, int]]] = {}
    for row in refused_rows:
        refused.setdefault(row["topic"], {})[row["reason"]] = (row["messages"], row["parts"])
    return [
        _quality(feed, topic, minutes, came.get(topic), usual.get(topic), refused.get(topic, {}), seen.get(topic))
        for feed, topic in feeds
    ]


def _quality(
    feed: str,
    topic: str,
    minutes: int,
    came: asyncpg.Record | None,
    usual: float | None,
    refused: dict[str, tuple[int, int]],
    seen: asyncpg.Record | None,
) -> FeedQuality:
    messages = 0 if came is None else came["messages"]
    last_seen = None if came is None else came["last_seen"]
    letters = sum(count for count, _ in refused.values())
    late = refused.get("late", (0, 0))[1]
    accepted = max(messages - letters, 0)
    timeliness = late_mean_seconds = None
    if seen is not None and seen["messages"]:
        timeliness = round(seen["timely"] / seen["messages"], 4)
        late_mean_seconds = round(seen["late_us"] / seen["messages"] / MICROSECONDS_PER_SECOND, 1)
    elif topic == EVENTS_RAW and messages:
        timeliness = round(max(1 - refused.get("late", (0, 0))[0] / messages, 0.0), 4)
    return FeedQuality(
        feed=feed,
        topic=topic,
        minutes=minutes,
        messages=messages,
        accepted=accepted,
        refused={reason: count for reason, (count, _) in sorted(refused.items()) if count},
        refused_parts={reason: parts for reason, (_, parts) in sorted(refused.items()) if parts},
        late=late,
        repeated=None if seen is None else seen["repeated"],
        last_seen=None if last_seen is None else rfc3339(epoch_us(last_seen)),
        usual_per_minute=None if usual is None else round(usual, 3),
        completeness=round(min(messages / (usual * minutes), 1.0), 4) if usual else None,
        validity=round(accepted / messages, 4) if messages else None,
        timeliness=timeliness,
        late_mean_seconds=late_mean_seconds,
    )
