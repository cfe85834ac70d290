"""How right forecasts of cameras and lanes were: table ``camera_prediction_scores``.

Forecasts of cameras are made when somebody asks, and follow from the stored scores and the model alone. So they are
made again here, every five minutes of the time that is settled, by the same chooser and model, and compared with the
scores that came. What was served for a moment differs only where windows came late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from models.roads.prediction_accuracy import CameraAccuracy
from trafficapp.forecast.artifacts.shipped import camera_model
from trafficapp.forecast.artifacts.shipped_cameras import why_foreign
from trafficapp.forecast.camera_serving import MINUTES_NEEDED, CameraPredictor, PredictedCameras
from trafficapp.forecast.cameras import EntityScores, ScoreWindow, window_of
from trafficapp.forecast.clock import Floats
from trafficapp.stores.cameras.scores import camera_scores

if TYPE_CHECKING:
    from trafficapp.settings import Settings
    from trafficapp.stores.postgres.connection import Pool

_STEP_SECONDS = 60
_APART = timedelta(minutes=5)
#: A forecast is compared when its farthest minute is over for this long: windows come some seconds later.
_SETTLED_AFTER = timedelta(minutes=2)
_FARTHEST = timedelta(minutes=30)
#: After a pause only the last of it is made up for, and so much of it in one turn.
_MADE_UP_FOR = timedelta(hours=2)
_MOST_AT_ONCE = 6

_KEEP = """
    INSERT INTO camera_prediction_scores VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
"""
_NEWEST = "SELECT max(made_at) FROM camera_prediction_scores"
_PLACES = "SELECT camera_id, latitude, longitude FROM cameras"
_FORGET_OLD = "DELETE FROM camera_prediction_scores WHERE made_at < now() - $1::interval"
_ACCURACY = """
    SELECT model_version, horizon_minutes, sum(predictions)::bigint AS predictions,
           sum(abs_error) / sum(predictions) AS mae, sqrt(sum(squared_error) / sum(predictions)) AS rmse,
           sum(within_interval)::float8 / nullif(sum(with_interval), 0)::float8 AS within_interval_share,
           sum(last_value_abs) / nullif(sum(last_value_count), 0)::float8 AS last_value_mae
    FROM camera_prediction_scores WHERE made_at >= $1 AND made_at < $2
    GROUP BY 1, 2 HAVING sum(predictions) > 0 ORDER BY 1, 2
"""
_DECIMALS = 5


class _Place(NamedTuple):
    latitude: float | None
    longitude: float | None


class CameraComparer:
    """Compares forecasts of cameras with what came.

    Args:
        settings: of this process.
        clock: tells the time.
    """

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._model = camera_model(settings)
        self._predictor = CameraPredictor(self._model)
        self._kept = timedelta(days=settings.retention.rollup_days)
        self._clock = clock
        self._compared_to: datetime | None = None

    async def compare(self, pool: Pool) -> datetime | None:
        """Compare forecasts of a few moments; which was the newest, None when there was none.

        Raises:
            asyncpg.PostgresError, OSError: as `trafficapp.stores.postgres.connection.is_transient` tells apart.
        """
        last = _whole(self._clock() - _SETTLED_AFTER - _FARTHEST)
        if self._compared_to is None:
            self._compared_to = await pool.fetchval(_NEWEST)
        first = max(filter(None, (self._compared_to, last - _MADE_UP_FOR)))
        moments = [first + _APART * turn for turn in range(1, _MOST_AT_ONCE + 1) if first + _APART * turn <= last]
        if not moments:
            return None
        begin = moments[0] - timedelta(minutes=MINUTES_NEEDED)
        rows = await camera_scores(pool, begin, moments[-1] + _FARTHEST)
        if rows:
            places = {row[0]: _Place(row[1], row[2]) for row in await pool.fetch(_PLACES)}
            for moment in moments:
                found = await asyncio.to_thread(self._sums, rows, moment, places)
                await pool.executemany(_KEEP, [(moment, *one) for one in found])
        self._compared_to = moments[-1]
        return self._compared_to

    async def forget_old(self, pool: Pool) -> None:
        """Forget sums that are older than ``retention.rollup_days``."""
        await pool.execute(_FORGET_OLD, self._kept)

    def _sums(self, rows: list[EntityScores], moment: datetime, places: dict[str, _Place]) -> list[tuple[Any, ...]]:
        """Sums by horizon and by who predicted."""
        last_time, ahead = int(moment.timestamp()) - _STEP_SECONDS, round(_FARTHEST.total_seconds()) // _STEP_SECONDS
        first = last_time - _STEP_SECONDS * (MINUTES_NEEDED - 1)
        until = last_time + _STEP_SECONDS * ahead
        within = [_between(row, first, until) for row in rows]
        window = window_of(within, until, MINUTES_NEEDED + ahead)
        known = ScoreWindow(window.entities, window.scores[:MINUTES_NEEDED], last_time)
        predicted = self._predictor.predict(known, 15)
        if predicted is None:
            return []
        is_shipped = predicted.forecast.model_version == self._model.shipped_version
        of_model = predicted.known
        entities = [
            column
            for column, entity in enumerate(window.entities)
            if entity in of_model and not (is_shipped and why_foreign(*_camera(entity, places)))
        ]
        return _sums_of(predicted, window, entities)


def _camera(entity: str, places: dict[str, _Place]) -> tuple[str, _Place | None]:
    """The camera that an entity is, or is a lane of, and where it stands."""
    camera_id = entity if entity in places else entity.rpartition("/")[0] or entity
    return camera_id, places.get(camera_id)


def _between(row: EntityScores, first: int, last: int) -> EntityScores:
    kept = [(minute, score) for minute, score in zip(row.minutes, row.scores, strict=True) if first <= minute <= last]
    return EntityScores(row.entity, [minute for minute, _ in kept], [score for _, score in kept])


def _sums_of(predicted: PredictedCameras, window: ScoreWindow, columns: list[int]) -> list[tuple[Any, ...]]:
    forecast = predicted.forecast
    place = {name: index for index, name in enumerate(forecast.road_ids)}
    at = [place[window.entities[column]] for column in columns]
    newest: Floats = window.scores[MINUTES_NEEDED - 1, columns]
    found = []
    for horizon, minutes in enumerate(forecast.horizons_minutes):
        came = window.scores[MINUTES_NEEDED - 1 + round(minutes * 60) // _STEP_SECONDS, columns]
        error, last = np.abs(forecast.speeds_kmh[at, horizon] - came), np.abs(newest - came)
        low, high = forecast.low_kmh[at, horizon], forecast.high_kmh[at, horizon]
        versions = np.array([forecast.model_of(one, horizon) for one in at], object)
        for version in sorted(set(versions.tolist())):
            of = (versions == version) & np.isfinite(error)
            if of.any():
                judged, with_last = of & np.isfinite(low), of & np.isfinite(last)
                held = judged & (came >= low) & (came <= high)
                squares = float((error[of].astype(np.float64) ** 2).sum())
                counts = (int(with_last.sum()), float(last[with_last].sum()), int(held.sum()), int(judged.sum()))
                found.append((int(minutes), version, int(of.sum()), float(error[of].sum()), squares, *counts))
    return found


def _whole(moment: datetime) -> datetime:
    return moment - (moment - datetime(1970, 1, 1, tzinfo=UTC)) % _APART


async def camera_accuracy(pool: Pool, since: datetime, until: datetime) -> list[CameraAccuracy]:
    """How right forecasts of cameras and lanes were that were made in ``[since, until)``."""
    rounded = ("mae", "rmse", "within_interval_share", "last_value_mae")
    return [
        CameraAccuracy(**{
            name: round(value, _DECIMALS) if name in rounded and value is not None else value
            for name, value in dict(row).items()
        })
        for row in await pool.fetch(_ACCURACY, since, until)
    ]  # fmt: skip
