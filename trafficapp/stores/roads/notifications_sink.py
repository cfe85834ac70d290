"""Notifications into the table ``notifications``: each once, however often it is sent."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from models.cameras.detections import event_time_us
from models.records import MALFORMED
from models.roads.notifications import RoadNotification, decode_notification
from trafficapp.settings import Settings
from trafficapp.stores.postgres.rows import StoredTime, column_arrays, storable, write_all, write_new
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, postgres_time
from trafficapp.topics import NOTIFICATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection

_log = logging.getLogger(__name__)

#: The columns of `_COLUMNS`.
NotificationColumns: TypeAlias = tuple[uuid.UUID, StoredTime, str, str, str, str, str, str]

_COLUMNS = {
    "event_id": "uuid",
    "notified_at": "timestamptz",
    "alert_type": "text",
    "road_id": "text",
    "road_name": "text",
    "severity": "text",
    "message": "text",
    "affected_routes": "text",
}
_INSERT = f"""
    INSERT INTO notifications ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS).replace("affected_routes", "affected_routes::jsonb")}
    FROM unnest({column_arrays(_COLUMNS)}) AS sent ({", ".join(_COLUMNS)}) ORDER BY event_id
    ON CONFLICT (event_id) DO NOTHING
"""  # noqa: S608 - put together from the constants above

_encode = msgspec.json.Encoder().encode


class HistoryNotificationsSink(HistorySink[list[NotificationColumns]]):
    """Keeps every notification.

    Args:
        settings: where Postgres is.
        topic: the topic the records are of.
        should_stop: asked while Postgres is away; True gives up waiting.
    """

    name = "notifications"

    def __init__(
        self, settings: Settings, topic: str = NOTIFICATIONS, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(settings.postgres, topic, should_stop)

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[list[NotificationColumns], SinkCounters]:
        """Turn notifications into rows; the first of an id counts."""
        rows: dict[uuid.UUID, NotificationColumns] = {}
        counters = SinkCounters()
        for record in records:
            try:
                row = _columns(decode_notification(record.value or b""))
            except MALFORMED as error:
                _log.error("%s at offset %d is no notification and was left out: %s", self.topic, record.offset, error)
                counters.unreadable += 1
                continue
            counters.repeated += row[0] in rows
            rows.setdefault(row[0], row)
        return list(rows.values()), counters

    async def ensure_partitions(self, connection: Connection, batch: list[NotificationColumns]) -> None:
        """Nothing: the table has no partitions."""

    async def write(
        self, connection: Connection, batch: list[NotificationColumns], counters: SinkCounters, isolating: bool
    ) -> None:
        """Insert those that are new."""

        async def insert(rows: Sequence[NotificationColumns]) -> None:
            await write_new(connection, _INSERT, rows, counters)

        counters.unstorable += await write_all(connection, batch, insert, isolating)


def _columns(notification: RoadNotification) -> NotificationColumns:
    return (
        uuid.UUID(notification.event_id),
        postgres_time(event_time_us(notification.timestamp)),
        notification.alert_type,
        storable(notification.road_id),
        storable(notification.road_name),
        notification.severity,
        storable(notification.message),
        _encode([storable(route) for route in notification.affected_routes]).decode(),
    )
