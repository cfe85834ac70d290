"""Alerts into the table ``alerts``: each as of its newest revision, however often its steps are sent."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec
from msgspec import UNSET

from models.alerts import AlertAction, AlertEvent, decode_alert_event
from models.timestamps import epoch_us
from trafficapp.settings import Settings
from trafficapp.stores.postgres.rows import StoredTime, column_arrays, columns_of, storable, write_all, write_new
from trafficapp.stores.postgres.sink import HistorySink, SinkCounters, postgres_time
from trafficapp.stores.record_rows import RecordRows
from trafficapp.topics import ALERTS

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from trafficapp.stores.postgres.connection import Connection

#: The values of `COLUMNS`.
AlertColumns: TypeAlias = tuple[
    uuid.UUID, int, str, str, str | None, str, str, str | None, float | None, str, str,
    StoredTime, StoredTime, StoredTime, StoredTime | None, StoredTime | None,
]  # fmt: skip
#: alert_id, acknowledged_by, acknowledged_at, caller.
Acknowledgement: TypeAlias = tuple[uuid.UUID, str, StoredTime, str | None]

#: Types by name, in the order of a row.
COLUMNS = {
    "id": "uuid",
    "revision": "integer",
    "severity": "text",
    "alert_type": "text",
    "camera_id": "text",
    "title": "text",
    "message": "text",
    "congestion_level": "text",
    "congestion_score": "double precision",
    "rule": "text",
    "rule_values": "jsonb",
    "since": "timestamptz",
    "triggered_at": "timestamptz",
    "updated_at": "timestamptz",
    "resolved_at": "timestamptz",
    "alarm_at": "timestamptz",
}
_VALUES = [name for name in COLUMNS if name != "id"]
_UPSERT = f"""
    INSERT INTO alerts ({", ".join(COLUMNS)})
    SELECT {", ".join(COLUMNS).replace("rule_values", "rule_values::jsonb")}
    FROM unnest({column_arrays(COLUMNS | {"rule_values": "text"})}) AS sent ({", ".join(COLUMNS)}) ORDER BY id
    ON CONFLICT (id) DO UPDATE SET ({", ".join(_VALUES)}) = ROW (EXCLUDED.{", EXCLUDED.".join(_VALUES)})
    WHERE alerts.revision < EXCLUDED.revision
"""  # noqa: S608 - put together from the constants above
_ACKNOWLEDGE = """
    INSERT INTO alert_acknowledgements (alert_id, acknowledged_by, acknowledged_at, caller)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[])
                  AS sent (alert_id, acknowledged_by, acknowledged_at, caller)
    ORDER BY alert_id
    ON CONFLICT (alert_id) DO NOTHING
"""

_encode_values = msgspec.json.Encoder().encode


@dataclass(slots=True)
class AlertBatch:
    """What a run of steps comes to.

    Attributes:
        alerts: the newest step of each alert, by id.
        acknowledgements: the first one of each alert, by id.
    """

    alerts: dict[uuid.UUID, AlertColumns] = field(default_factory=dict)
    acknowledgements: dict[uuid.UUID, Acknowledgement] = field(default_factory=dict)


class HistoryAlertsSink(HistorySink[AlertBatch]):
    """Keeps every alert, and who acknowledged it.

    Args:
        settings: where Postgres is.
        topic: the topic the records are of.
        should_stop: asked while Postgres is away; True gives up waiting.
    """

    name = "alerts"

    def __init__(
        self, settings: Settings, topic: str = ALERTS, should_stop: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__(settings.postgres, topic, should_stop)

    def decode(self, records: Sequence[ConsumerRecord]) -> tuple[AlertBatch, SinkCounters]:
        """Turn steps into rows."""
        batch, counters = AlertBatch(), SinkCounters()
        for _, step in alert_steps(self.topic).of(records, counters):
            _add(batch, counters, step)
        return batch, counters

    async def ensure_partitions(self, connection: Connection, batch: AlertBatch) -> None:
        """Nothing: the table has no partitions."""

    async def write(self, connection: Connection, batch: AlertBatch, counters: SinkCounters, isolating: bool) -> None:
        """Insert alerts that are new, replace those whose revision is older, note acknowledgements."""

        async def upsert(rows: Sequence[AlertColumns]) -> None:
            await write_new(connection, _UPSERT, rows, counters)

        async def acknowledge(rows: Sequence[Acknowledgement]) -> None:
            await connection.execute(_ACKNOWLEDGE, *columns_of(rows))

        counters.unstorable += await write_all(connection, list(batch.alerts.values()), upsert, isolating)
        counters.unstorable += await write_all(
            connection, list(batch.acknowledgements.values()), acknowledge, isolating
        )


class AlertStep(NamedTuple):
    """A step of an alert, as its rows.

    Attributes:
        action: what happened.
        alert: the row of the alert as of then.
        acknowledgement: that of who has taken it on by then, if anybody has.
    """

    action: AlertAction
    alert: AlertColumns
    acknowledgement: Acknowledgement | None


def alert_steps(topic: str = ALERTS) -> RecordRows[AlertStep]:
    """Reads records into rows."""
    return RecordRows(topic, "alert", _step)


def _step(record: ConsumerRecord) -> AlertStep:
    event = decode_alert_event(record.value or b"")
    alert_id, taken_on = uuid.UUID(event.id), None
    if event.acknowledged_by is not None and event.acknowledged_at is not None:
        caller = event.acknowledged_caller
        taken_on = (
            alert_id,
            storable(event.acknowledged_by),
            postgres_time(epoch_us(event.acknowledged_at)),
            None if caller is UNSET else storable(caller),
        )
    return AlertStep(event.action, _columns(alert_id, event), taken_on)


def _add(batch: AlertBatch, counters: SinkCounters, step: AlertStep) -> None:
    alert_id, revision = step.alert[:2]
    if step.action != "acknowledged":
        known = batch.alerts.get(alert_id)
        if known is None or known[1] < revision:
            batch.alerts[alert_id] = step.alert
        else:
            counters.repeated += 1
    elif step.acknowledgement is not None:
        batch.acknowledgements.setdefault(alert_id, step.acknowledgement)


def _columns(alert_id: uuid.UUID, event: AlertEvent) -> AlertColumns:
    values = {
        storable(name): storable(value) if isinstance(value, str) else value for name, value in event.values.items()
    }
    return (
        alert_id,
        event.revision,
        event.severity,
        event.alert_type,
        None if event.camera_id is None else storable(event.camera_id),
        storable(event.title),
        storable(event.message),
        event.congestion_level,
        event.congestion_score,
        storable(event.rule),
        _encode_values(values).decode(),
        postgres_time(epoch_us(event.since)),
        postgres_time(epoch_us(event.triggered_at)),
        postgres_time(epoch_us(event.updated_at)),
        None if event.resolved_at is None else postgres_time(epoch_us(event.resolved_at)),
        None if event.alarm_at is None else postgres_time(epoch_us(event.alarm_at)),
    )
