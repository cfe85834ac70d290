"""What people do with alerts, in the history database. Every function runs in the transaction of its caller."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from models.alerts import AlertEvent
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.alerts.queries import acknowledgements

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection

_INSERT = """
    INSERT INTO alerts (id, revision, severity, alert_type, camera_id, title, message, congestion_level,
                        congestion_score, rule, rule_values, since, triggered_at, updated_at, resolved_at,
                        alarm_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    ON CONFLICT (id) DO NOTHING
"""
_IS_KNOWN = "SELECT 1 FROM cameras WHERE camera_id = $1"
_ACKNOWLEDGE = """
    INSERT INTO alert_acknowledgements (alert_id, acknowledged_by, caller) VALUES ($1, $2, $3)
    ON CONFLICT (alert_id) DO NOTHING RETURNING acknowledged_at
"""
_RESOLVE = "UPDATE alerts SET revision = $2, updated_at = $3, resolved_at = $3 WHERE id = $1"


async def is_known(connection: Connection, camera_id: str) -> bool:
    """Whether a camera has been registered or has reported."""
    return await connection.fetchval(_IS_KNOWN, camera_id) is not None


async def insert(connection: Connection, alert: AlertEvent) -> None:
    """Write an alert, unless one of its id is there."""
    await connection.execute(
        _INSERT,
        uuid.UUID(alert.id),
        alert.revision,
        alert.severity,
        alert.alert_type,
        alert.camera_id,
        alert.title,
        alert.message,
        alert.congestion_level,
        alert.congestion_score,
        alert.rule,
        msgspec.json.encode(alert.values).decode(),
        datetime.fromisoformat(alert.since),
        datetime.fromisoformat(alert.triggered_at),
        datetime.fromisoformat(alert.updated_at),
        *(None if time is None else datetime.fromisoformat(time) for time in (alert.resolved_at, alert.alarm_at)),
    )


async def acknowledge(connection: Connection, alert: AlertEvent, by: str, caller: str) -> AlertEvent | None:
    """Note who takes an alert on; None when somebody has done so before.

    Args:
        connection: in a transaction.
        alert: which.
        by: the name that is told.
        caller: who was authenticated.

    Returns:
        the step for `traffic.alerts`.
    """
    at = await connection.fetchval(_ACKNOWLEDGE, uuid.UUID(alert.id), by, caller)
    if at is None:
        return None
    return msgspec.structs.replace(
        alert,
        action="acknowledged",
        acknowledged_by=by,
        acknowledged_at=rfc3339(epoch_us(at)),
        acknowledged_caller=caller,
    )


async def as_acknowledged(connection: Connection, alert: AlertEvent) -> AlertEvent:
    """An alert that is acknowledged, with who did it and when, whatever the transaction had read of it before."""
    by, at = (await acknowledgements(connection, [alert.id]))[alert.id]
    return msgspec.structs.replace(alert, acknowledged_by=by, acknowledged_at=at)


async def resolve(connection: Connection, alert: AlertEvent, at: datetime) -> AlertEvent:
    """End an alert.

    Returns:
        the step for `traffic.alerts`.
    """
    revision, time = alert.revision + 1, rfc3339(epoch_us(at))
    await connection.execute(_RESOLVE, uuid.UUID(alert.id), revision, at)
    return msgspec.structs.replace(alert, action="resolved", revision=revision, updated_at=time, resolved_at=time)
