"""What operators are not told of, read from Postgres; and kept in memory by those who tell."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from models.timestamps import epoch_us
from trafficapp.alarms.withholding import RULES_OF_FIGURES, RULES_OF_OUTAGES, Fold, Outage, ShelvedAlarms, Withholding
from trafficapp.quality.doubts import UNHEALTHY_SOURCE
from trafficapp.settings import Settings
from trafficapp.stores.alarms.alarms import STANDING_BEFORE
from trafficapp.stores.alarms.shelves import shelved_between
from trafficapp.stores.postgres.connection import create_pool, is_transient

if TYPE_CHECKING:
    from trafficapp.settings import AlarmSettings
    from trafficapp.stores.postgres.connection import Connection, Pool

logger = logging.getLogger(__name__)

#: Of alarms that are a little older it is known, too: they may be news still.
_LOOKS_BACK = timedelta(minutes=2)
_RETRY_SECONDS = 5.0

_OUTAGES = """
    SELECT o.subject, o.alert_id::text, o.message, o.opened_at, r.resolved_at
    FROM city_alerts o
    LEFT JOIN city_alerts r ON r.alert_id = o.alert_id AND r.state = 'resolved'
    WHERE o.alert_type = $4 AND o.state = 'opened' AND o.told_at >= $3 AND o.opened_at < $2
      AND (r.resolved_at IS NULL OR r.resolved_at > $1)
"""
_FOLDS = """
    SELECT c.camera_id, c.event_id::text, coalesce(nullif(e.head ->> 'road_name', ''), e.head ->> 'road_id', ''),
           c.since, e.ended_at
    FROM congestion_event_cameras c JOIN congestion_events e ON e.event_id = c.event_id
    WHERE c.since >= $3 AND c.since < $2 AND (e.ended_at IS NULL OR e.ended_at > $1)
"""
_SILENT = """
    SELECT m.camera_id, o.outage_id::text, 'regional outage: ' || o.first_camera, m.since, o.ended_at
    FROM regional_outage_cameras m JOIN regional_outages o USING (outage_id)
    WHERE m.since >= $3 AND m.since < $2 AND (o.ended_at IS NULL OR o.ended_at > $1)
"""


async def withholding(
    source: Pool | Connection, since: datetime, until: datetime, settings: AlarmSettings
) -> Withholding:
    """What was withheld in a span.

    Args:
        source: a pool or a connection.
        since: aware.
        until: aware.
        settings: what is suppressed and folded at all.
    """
    shelves: list[ShelvedAlarms] = await shelved_between(source, since, until)
    span = (since, until, since - STANDING_BEFORE)
    outages: list[Outage] = []
    folds: list[Fold] = []
    if settings.suppress_unhealthy:
        found = await source.fetch(_OUTAGES, *span, UNHEALTHY_SOURCE)
        outages = [Outage._make((*row[:3], epoch_us(row[3]), _us(row[4]))) for row in map(tuple, found)]
    if settings.fold_cameras:
        found = await source.fetch(_FOLDS, *span)
        folds = [Fold._make((*row[:3], epoch_us(row[3]), _us(row[4]), RULES_OF_FIGURES)) for row in map(tuple, found)]
    if settings.fold_silent:
        found = await source.fetch(_SILENT, *span)
        folds += [Fold._make((*row[:3], epoch_us(row[3]), _us(row[4]), RULES_OF_OUTAGES)) for row in map(tuple, found)]
    return Withholding(shelves, outages, folds)


async def withholding_now(source: Pool | Connection, settings: AlarmSettings) -> Withholding:
    """What is withheld now, and was a moment ago."""
    now = datetime.now(UTC)
    return await withholding(source, now - _LOOKS_BACK, now + _LOOKS_BACK, settings)


class WithheldNow:
    """What is withheld now, kept in memory; what was known last while Postgres is away: shelves still expire.

    Args:
        settings: of the process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.known = Withholding()
        #: Whether it was read at all.
        self.is_known = False

    async def keep_fresh(self) -> None:
        """Look again and again, until cancelled."""
        pause = self._settings.alarms.look_seconds
        async with create_pool(self._settings.postgres) as pool:
            while True:
                looked = await self.look(pool)
                await asyncio.sleep(pause if looked else max(pause, _RETRY_SECONDS))

    async def look(self, pool: Pool) -> bool:
        """Read it; False when it cannot be read, and what was known stays."""
        try:
            self.known, self.is_known = await withholding_now(pool, self._settings.alarms), True
        except Exception as error:
            if not is_transient(error):
                logger.exception("what is shelved or suppressed cannot be read; what was known stays")
            return False
        return True


def _us(moment: datetime | None) -> int | None:
    return None if moment is None else epoch_us(moment)
