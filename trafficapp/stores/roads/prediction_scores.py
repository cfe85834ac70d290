"""Comparing predictions with what came, step by step: table ``prediction_scores``.

A target is the step that a prediction was for. Its rows are sums over all roads, computed from the stored predictions
and observations and put in the place of what was there, so that computing them again is harmless. That is done:
observations may come late, so each turn computes the last hour or so anew and goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from models.roads.prediction_accuracy import BandAccuracy, HorizonAccuracy
from trafficapp.settings import Settings

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Connection, Pool

_log = logging.getLogger(__name__)

#: A target is compared this long after it is over: until then its observations come in.
SETTLED_AFTER = timedelta(minutes=2)

#: Targets of so much time are computed in one statement.
_CHUNK = timedelta(hours=6)

#: Key of the advisory lock that lets one process compute at a time.
_LOCK_KEY = 0x7072_6564_7363_6F72

_NEAREST, _FARTHEST = timedelta(minutes=10), timedelta(minutes=30)

_COMPARE = """
    WITH measured AS (
        SELECT road_id, date_bin($1::interval, observed_at, timestamptz 'epoch') AS target_start,
               avg(current_speed) AS kmh
        FROM road_observations
        WHERE observed_at >= $2 AND observed_at < $3 AND is_measured(closed, confidence)
        GROUP BY 1, 2
    ), said AS (
        SELECT road_id, step_start + make_interval(mins => horizon.minutes) AS target_start, horizon.minutes,
               coalesce(horizon.maker, model_version) AS model_version,
               step_speed_kmh, horizon.kmh, horizon.low, horizon.high
        FROM predictions, LATERAL (VALUES
            (10, predicted_speed_10min, low_kmh[1], high_kmh[1], model_versions->>0),
            (20, predicted_speed_20min, low_kmh[2], high_kmh[2], model_versions->>1),
            (30, predicted_speed_30min, low_kmh[3], high_kmh[3], model_versions->>2)
        ) AS horizon (minutes, kmh, low, high, maker)
        WHERE step_start >= $2::timestamptz - interval '30 min' AND step_start < $3::timestamptz - interval '10 min'
              AND source <> 'closed'
    )
    INSERT INTO prediction_scores (
        target_start, horizon_minutes, model_version, speed_from_kmh, predictions, abs_error_kmh, squared_error,
        abs_share, last_value_count, last_value_abs_kmh, within_interval, with_interval
    )
    SELECT target_start, said.minutes, said.model_version,
           CASE WHEN measured.kmh < 20 THEN 0 WHEN measured.kmh < 40 THEN 20 ELSE 40 END,
           count(*), sum(abs(said.kmh - measured.kmh)),
           sum((said.kmh - measured.kmh) ^ 2), sum(abs(said.kmh - measured.kmh) / greatest(measured.kmh, 1)),
           count(said.step_speed_kmh), coalesce(sum(abs(said.step_speed_kmh - measured.kmh)), 0),
           count(*) FILTER (WHERE measured.kmh BETWEEN said.low AND said.high),
           count(*) FILTER (WHERE said.low IS NOT NULL AND said.high IS NOT NULL)
    FROM said JOIN measured USING (road_id, target_start)
    GROUP BY 1, 2, 3, 4
"""
_FORGET = "DELETE FROM prediction_scores WHERE target_start >= $1 AND target_start < $2"
_FORGET_OLD = "DELETE FROM prediction_scores WHERE target_start < now() - $1::interval"
_NEWEST_SCORE = "SELECT max(target_start) FROM prediction_scores"
_FIRST_PREDICTION = "SELECT min(step_start) FROM predictions"
_NEWEST_OBSERVATION = "SELECT max(last_seen) FROM roads"
_NEWEST_PREDICTION = "SELECT max(step_start) FROM predictions WHERE step_start >= $1"
_ACCURACY = """
    SELECT model_version, horizon_minutes,
           CASE WHEN grouping(speed_from_kmh) = 0 THEN speed_from_kmh END AS from_kmh,
           sum(predictions)::bigint AS predictions,
           sum(abs_error_kmh) / sum(predictions) AS mae_kmh, sqrt(sum(squared_error) / sum(predictions)) AS rmse_kmh,
           100 * sum(abs_share) / sum(predictions) AS mape_percent,
           sum(within_interval)::float8 / nullif(sum(with_interval), 0)::float8 AS within_interval_share,
           sum(last_value_abs_kmh) / nullif(sum(last_value_count), 0)::float8 AS last_value_mae_kmh
    FROM prediction_scores WHERE target_start >= $1 AND target_start < $2
    GROUP BY GROUPING SETS ((1, 2), (1, 2, speed_from_kmh)) HAVING sum(predictions) > 0 ORDER BY 1, 2, 3 NULLS FIRST
"""
_DECIMALS = 4
#: Bands of what was measured, as the statement above has them.
_BANDS_KMH = {0: 20, 20: 40, 40: None}


class PredictionComparer:
    """Computes scores up to what is settled; it remembers how far it came, and else sees it from the table.

    Args:
        settings: steps of the speeds, how late observations may be, and how long sums are kept.
        clock: tells the time.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._step = timedelta(seconds=settings.forecast.step_seconds)
        self._again = timedelta(seconds=settings.roads.late_seconds) + 2 * self._step
        self._kept = timedelta(days=settings.retention.rollup_days)
        self._clock = clock
        self._compared_to: datetime | None = None

    async def compare(self, pool: Pool, between: Callable[[], Awaitable[None]] | None = None) -> datetime | None:
        """Compare all targets that are settled, a few hours of them in a transaction.

        Args:
            pool: the database.
            between: awaited after each transaction.

        Returns:
            before which time targets are compared; None when there is nothing to compare, or another process does it.

        Raises:
            asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
        """
        async with pool.acquire() as connection:
            begin = await self._begin(connection)
            if begin is None:
                return None
            end = await self._settled(connection, begin)
            while begin < end:
                until = min(begin + _CHUNK, end)
                if not await self._compare(connection, begin, until):
                    return None
                self._compared_to = begin = until
                if between is not None:
                    await between()
        return self._compared_to

    async def _begin(self, connection: Connection) -> datetime | None:
        """Where to go on: a while before where it ended."""
        compared_to = self._compared_to
        if compared_to is None:
            newest = await connection.fetchval(_NEWEST_SCORE)
            compared_to = None if newest is None else newest + self._step
        if compared_to is not None:
            return self._whole(compared_to - self._again)
        first = await connection.fetchval(_FIRST_PREDICTION)
        return None if first is None else self._whole(first + _NEAREST)

    async def _settled(self, connection: Connection, begin: datetime) -> datetime:
        """Before which time targets are over, and all that is to be known of them is stored.

        After an outage of Postgres, predictions and observations come in at the pace of the sinks; what these have not
        reached is not compared yet, or a part would count as the whole.
        """
        observed: datetime | None = await connection.fetchval(_NEWEST_OBSERVATION)
        predicted: datetime | None = await connection.fetchval(_NEWEST_PREDICTION, begin - _FARTHEST)
        if observed is None or predicted is None:
            return begin
        over = self._whole(min(self._clock() - SETTLED_AFTER, observed))
        return min(over, predicted + _NEAREST)

    async def _compare(self, connection: Connection, begin: datetime, end: datetime) -> bool:
        async with connection.transaction():
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK_KEY):
                return False
            await connection.execute(_FORGET, begin, end)
            await connection.execute(_COMPARE, self._step, begin, end)
        return True

    async def forget_old(self, pool: Pool) -> None:
        """Forget sums that are older than ``retention.rollup_days``."""
        async with pool.acquire() as connection:
            await connection.execute(_FORGET_OLD, self._kept)

    def _whole(self, moment: datetime) -> datetime:
        """The begin of the step that a moment is in."""
        return moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % self._step


async def accuracy(pool: Pool, since: datetime, until: datetime) -> tuple[list[HorizonAccuracy], datetime | None]:
    """How good predictions for times in ``[since, until)`` were, and when the newest compared target began."""
    async with pool.acquire() as connection:
        rows = await connection.fetch(_ACCURACY, since, until)
        newest = await connection.fetchval(_NEWEST_SCORE)
    found: list[HorizonAccuracy] = []
    for row in rows:
        figures = dict(row)
        from_kmh = figures.pop("from_kmh")
        if from_kmh is None:
            found.append(_rounded(HorizonAccuracy(**figures)))
        elif from_kmh >= 0:
            found[-1].bands.append(_of_band(from_kmh, figures))
    return found, newest


def _of_band(from_kmh: int, figures: dict[str, Any]) -> BandAccuracy:
    last = figures["last_value_mae_kmh"]
    return BandAccuracy(
        from_kmh=from_kmh,
        to_kmh=_BANDS_KMH[from_kmh],
        predictions=figures["predictions"],
        mae_kmh=round(figures["mae_kmh"], _DECIMALS),
        rmse_kmh=round(figures["rmse_kmh"], _DECIMALS),
        last_value_mae_kmh=None if last is None else round(last, _DECIMALS),
    )


def _rounded(found: HorizonAccuracy) -> HorizonAccuracy:
    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, _DECIMALS)

    return HorizonAccuracy(
        model_version=found.model_version,
        horizon_minutes=found.horizon_minutes,
        predictions=found.predictions,
        mae_kmh=round(found.mae_kmh, _DECIMALS),
        rmse_kmh=round(found.rmse_kmh, _DECIMALS),
        mape_percent=round(found.mape_percent, _DECIMALS),
        within_interval_share=rounded(found.within_interval_share),
        last_value_mae_kmh=rounded(found.last_value_mae_kmh),
    )
