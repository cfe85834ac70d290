"""``/api/quality/feeds``: how good what comes in is, topic by topic."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.quality.feeds import FeedQuality
from trafficapp.incoming import incoming_feeds
from trafficapp.stores.feeds.quality import feed_quality
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag

_encode = msgspec.json.Encoder().encode


class FeedsQuery(Struct, frozen=True, kw_only=True):
    """Over how many whole minutes before now."""

    minutes: Annotated[int, Meta(ge=1, le=1440)] = 60


async def feeds(request: web.Request, query: FeedsQuery) -> web.Response:
    """Every topic that comes in: how many messages, what was refused and why, late, repeated, usual rate.

    Over the last `minutes` whole minutes by the broker's clock. Completeness is against what is usual in this hour,
    validity the share that was accepted, timeliness the share that came within a minute after it happened. Kept in
    Postgres, from what Kafka knows: no restart changes it. Figures are up to half a minute old.
    """
    context = request.app[CONTEXT]
    named = [(one.name, one.topic) for one in incoming_feeds(context.settings, context.feeds)]
    now = datetime.now(UTC)
    found = await context.database.ask(lambda pool: feed_quality(pool, named, now, query.minutes))
    return json_answer(_encode(found))


def operations() -> list[Operation]:
    """What this module answers."""
    return [Operation("GET /api/quality/feeds", feeds, Tag.CURRENT, list[FeedQuality], errors=(400, 503))]
