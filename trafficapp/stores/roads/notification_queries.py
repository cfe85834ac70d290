"""What the web asks of the table of notifications."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from models.roads.notifications import NotificationType, RoadNotification
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.postgres.reading import Page, shaped

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

#: Where a notification stands in the order of all: its notified_at and event_id.
Position: TypeAlias = tuple[datetime, uuid.UUID]

# Postgres begins and ends its scan at one bound and filters by the others
_SELECT = """
    SELECT * FROM notifications
    WHERE notified_at >= $1 AND notified_at < $2 AND notified_at <= coalesce($3::timestamptz, 'infinity')
      AND ($3::timestamptz IS NULL OR notified_at < $3 OR event_id > $4::uuid)
      AND ($5::text IS NULL OR road_id = $5) AND ($6::text IS NULL OR alert_type = $6)
      AND CASE WHEN $7 THEN NOT folded ELSE alert_type <> 'congestion' END
    ORDER BY notified_at DESC, event_id LIMIT $8
"""


@dataclass(frozen=True, slots=True)
class NotificationFilter:
    """Which notifications; None asks nothing.

    Attributes:
        since, until: aware; ``[since, until)`` on notified_at.
        grouped: congestion events in the place of what is folded into them; False is single roads only.
    """

    since: datetime
    until: datetime
    road_id: str | None = None
    alert_type: NotificationType | None = None
    grouped: bool = True


async def notifications(
    pool: Pool, wanted: NotificationFilter, limit: int, after: Position | None = None
) -> Page[RoadNotification, Position]:
    """Notifications, newest first.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        wanted: which.
        limit: so many at most, at least 1.
        after: the page before ended here.
    """
    place = (None, None) if after is None else after
    arguments = (wanted.since, wanted.until, *place, wanted.road_id, wanted.alert_type, wanted.grouped, limit + 1)
    found = await pool.fetch(_SELECT, *arguments)
    kept = found[:limit]
    last = (kept[-1]["notified_at"], kept[-1]["event_id"]) if len(found) > limit else None
    rows = [
        shaped(RoadNotification, row, timestamp=rfc3339(epoch_us(row["notified_at"])), affected_routes=[])
        for row in kept
    ]
    return Page(rows, last)
