"""Alarm performance of a span, from what Postgres holds."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from models.alarms import AlarmPerformance
from models.timestamps import epoch_us
from trafficapp.alarms.performance import performance
from trafficapp.stores.alarms.alarms import alarms
from trafficapp.stores.alarms.withheld import withholding

if TYPE_CHECKING:
    from trafficapp.settings import AlarmSettings
    from trafficapp.stores.postgres.connection import Pool


async def performance_of(pool: Pool, since: datetime, until: datetime, settings: AlarmSettings) -> AlarmPerformance:
    """How bearable the alarms were that were raised in ``[since, until)``.

    Args:
        pool: of `trafficapp.stores.postgres.connection.create_pool`.
        since: aware.
        until: aware, ten minutes later at least.
        settings: what is suppressed and folded.
    """
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        found = await alarms(connection, since, until)
        withheld = await withholding(connection, since, until, settings)
    since_us, until_us = epoch_us(since), epoch_us(until)
    return await asyncio.to_thread(lambda: performance(withheld.marked(found), since_us, until_us))
