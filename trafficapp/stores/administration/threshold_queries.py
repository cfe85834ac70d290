"""Thresholds of the levels that administrators set, and how the windows come to know of them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

from models.administration.changes import ThresholdChange, ThresholdsInForce
from models.administration.thresholds import Control, Thresholds, encode_control
from models.timestamps import epoch_us, from_epoch_us
from trafficapp.settings import CongestionSettings
from trafficapp.stores.postgres.publications import KafkaPublication, record
from trafficapp.stores.postgres.reading import shaped
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.congestion import CongestionScale

if TYPE_CHECKING:
    import asyncpg

    from trafficapp.stores.postgres.connection import Connection, Pool

_NEWEST = "SELECT * FROM admin_thresholds ORDER BY version DESC LIMIT 1"
# The clock, because the windows know versions that an earlier database gave and ignore any that is not larger.
_INSERT = """
    INSERT INTO admin_thresholds (version, congestion_threshold_low, congestion_threshold_moderate,
                                  congestion_threshold_high, effective_from, set_by)
    SELECT greatest(coalesce(max(version), 0) + 1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint),
           $1, $2, $3, $4, $5
    FROM admin_thresholds RETURNING *
"""

#: Readers of the topic skip records with this header; the windows look into those that have a value.
_CONTROL_HEADERS = {"trafficapp-tick": ""}


async def thresholds_in_force(source: Pool | Connection, settings: CongestionSettings) -> ThresholdsInForce:
    """The newest that were set, else those of the settings."""
    row = await source.fetchrow(_NEWEST)
    if row is not None:
        return _thresholds(row)
    return ThresholdsInForce(
        congestion_threshold_low=settings.threshold_moderate,
        congestion_threshold_moderate=settings.threshold_high,
        congestion_threshold_high=settings.threshold_severe,
        version=0,
        effective_from=None,
        set_by=None,
        set_at=None,
    )


async def scale_in_force(source: Pool | Connection, settings: CongestionSettings) -> CongestionScale:
    """What names the level of a score that is of no single camera's window: with the thresholds in force."""
    found = await thresholds_in_force(source, settings)
    return CongestionScale(
        moderate=found.congestion_threshold_low,
        high=found.congestion_threshold_moderate,
        severe=found.congestion_threshold_high,
    )


async def set_thresholds(
    connection: Connection, change: ThresholdChange, window_us: int, set_by: str
) -> ThresholdsInForce:
    """Set new ones, from the next window on; call it in a transaction after `lock_thresholds`."""
    row = await connection.fetchrow(
        _INSERT,
        change.congestion_threshold_low,
        change.congestion_threshold_moderate,
        change.congestion_threshold_high,
        next_window(time.time_ns() // 1000, window_us),
        set_by,
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives a row
    return _thresholds(row)


async def lock_thresholds(connection: Connection) -> None:
    """Have others who set thresholds wait for the end of this transaction, so that versions order what they say."""
    await connection.execute("LOCK TABLE admin_thresholds IN SHARE ROW EXCLUSIVE MODE")


async def retell_thresholds(pool: Pool) -> None:
    """Have the newest thresholds told to all partitions again: those that were added since do not know them.

    Partitions that know them leave the repeat out, by its version.
    """
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(_NEWEST)
        if row is not None:
            await record(connection, [control_record(_thresholds(row))])


def control_record(thresholds: ThresholdsInForce) -> KafkaPublication:
    """What tells the windows; one copy to every partition.

    Raises:
        ValueError: these are of the settings, which the windows know.
    """
    if thresholds.effective_from is None:
        raise ValueError("thresholds of the settings hold from the beginning")
    control = Control(
        Thresholds(
            version=thresholds.version,
            effective_from_us=epoch_us(thresholds.effective_from),
            moderate=thresholds.congestion_threshold_low,
            high=thresholds.congestion_threshold_moderate,
            severe=thresholds.congestion_threshold_high,
        )
    )
    return KafkaPublication(
        topic=EVENTS_RAW, key=None, value=encode_control(control).decode(), headers=_CONTROL_HEADERS, partitions="all"
    )


def next_window(now_us: int, window_us: int) -> datetime:
    """Begin of the first window that begins after now."""
    return from_epoch_us((now_us // window_us + 1) * window_us)


def _thresholds(row: asyncpg.Record) -> ThresholdsInForce:
    return shaped(ThresholdsInForce, row)
