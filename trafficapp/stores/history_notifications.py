"""Notifications into the table ``notifications``: each once, however often it is sent."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from models.notifications import RoadNotification, decode_notification
from models.timestamps import epoch_us
from trafficapp.settings import Settings
from trafficapp.stores.event_rows import NUL, REPLACEMENT
from trafficapp.stores.history_sink import HistorySink, SinkCounters, postgres_time, write_what_fits
from trafficapp.topics import NOTIFICATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres import Connection

_log = logging.getLogger(__name__)

#: The columns of `_COLUMNS`.
NotificationColumns: TypeAlias = tuple[uuid.UUID, tuple[int], str, str, str, str, str, str]

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
_ARRAYS = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(_COLUMNS.values(), 1))
_INSERT = f"""
    INSERT INTO notifications ({", ".join(_COLUMNS)})
    SELECT {", ".join(_COLUMNS).replace("affected_routes", "affected_routes::jsonb")}
    FROM unnest({_ARRAYS}) AS sent ({", ".join(_COLUMNS)}) ORDER BY event_id
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
            except (msgspec.MsgspecError, ValueError, OverflowError) as error:
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
            columns = [list(column) for column in zip(*rows, strict=True)]
            written = int((await connection.execute(_INSERT, *columns)).rpartition(" ")[2])
            counters.rows += written
            counters.repeated += len(rows) - written

        if batch and isolating:
            counters.unstorable += await write_what_fits(connection, batch, insert)
        elif batch:
            await insert(batch)


def _columns(notification: RoadNotification) -> NotificationColumns:
    return (
        uuid.UUID(notification.event_id),
        postgres_time(epoch_us(notification.timestamp)),
        notification.alert_type,
        _text(notification.road_id),
        _text(notification.road_name),
        notification.severity,
        _text(notification.message),
        _encode([_text(route) for route in notification.affected_routes]).decode(),
    )


def _text(value: str) -> str:
    return value.replace(NUL, REPLACEMENT)
