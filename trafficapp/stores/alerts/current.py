"""Open alerts in Redis, as the live sink keeps them.

=======================  ==========================================================================
``alerts:open``          hash: alert id to `AlertEvent` as JSON
``alerts:acknowledged``  hash: alert id to ``{"acknowledged_by", "acknowledged_at"}``
=======================  ==========================================================================
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType
from redis.asyncio import Redis

from models.alerts import AlertEvent, alert_number, decode_alert_event
from models.records import MALFORMED
from models.timestamps import epoch_us
from trafficapp.stores.redis.documents import left_out, readable
from trafficapp.stores.redis.event_log import OPEN_KEY

logger = logging.getLogger(__name__)

ACKNOWLEDGED_KEY = "alerts:acknowledged"


class Acknowledgement(Struct, frozen=True):
    """Who took an alert on, and when."""

    acknowledged_by: str
    acknowledged_at: str
    acknowledged_caller: str | UnsetType = UNSET


_decode_acknowledgement = msgspec.json.Decoder(Acknowledgement).decode


class CurrentAlerts:
    """Reads the open alerts.

    Every method raises one of `trafficapp.stores.redis.connection.UNAVAILABLE` when Redis is away.
    """

    def __init__(self, client: Redis) -> None:
        self.client = client

    async def all_open(self) -> list[AlertEvent]:
        """Every open alert with its acknowledgement, newest first."""
        pipeline = self.client.pipeline(transaction=True)
        pipeline.hgetall(OPEN_KEY)
        pipeline.hgetall(ACKNOWLEDGED_KEY)
        found, acknowledged = await pipeline.execute()
        alerts = []
        for alert_id, text in found.items():
            try:
                alert = _merged(text, acknowledged.get(alert_id))
                alerts.append((epoch_us(alert.triggered_at), alert.id, alert))
            except MALFORMED as error:
                left_out("open alerts", error)
        return [alert for *_, alert in sorted(alerts, key=lambda one: one[:2], reverse=True)]

    async def id_of_number(self, number: int) -> str | None:
        """The id of the open alert that has a number, or None when there is none."""
        known: Any = await self.client.hkeys(OPEN_KEY)
        for alert_id in known:
            try:
                if alert_number(alert_id.decode()) == number:
                    return str(alert_id.decode())
            except ValueError:
                logger.warning("ignoring what %s holds of %r: no id of an alert", OPEN_KEY, alert_id)
        return None

    async def one(self, alert_id: str) -> AlertEvent | None:
        """An open alert, or None when there is none of this id."""
        pipeline = self.client.pipeline(transaction=True)
        pipeline.hget(OPEN_KEY, alert_id)
        pipeline.hget(ACKNOWLEDGED_KEY, alert_id)
        text, acknowledged = await pipeline.execute()
        found = readable([] if text is None else [text], lambda one: _merged(one, acknowledged), "open alerts")
        return found[0] if found else None


def _merged(text: bytes, acknowledged: Any) -> AlertEvent:
    alert = decode_alert_event(text)
    if acknowledged is None:
        return alert
    by = _decode_acknowledgement(acknowledged)
    return msgspec.structs.replace(
        alert,
        acknowledged_by=by.acknowledged_by,
        acknowledged_at=by.acknowledged_at,
        acknowledged_caller=by.acknowledged_caller,
    )
