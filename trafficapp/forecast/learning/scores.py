"""How good forecasts are, for each horizon."""

from __future__ import annotations

import msgspec
import numpy as np

from trafficapp.forecast.clock import Floats
from trafficapp.forecast.quantities import SPEED, Quantity

#: In files the figures have no unit in their names: the quantity says it.
_WRITTEN = {"mae_kmh": "mae", "rmse_kmh": "rmse"}


class Score(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=_WRITTEN):
    """Errors at one horizon, over all roads and moments where the speed is known."""

    horizon_minutes: float
    mae_kmh: float
    rmse_kmh: float
    mape_percent: float
    r2: float
    count: int


def scores(
    predicted_kmh: Floats, actual_kmh: Floats, horizons_minutes: tuple[float, ...], quantity: Quantity = SPEED
) -> tuple[Score, ...]:
    """Scores of predictions.

    Args:
        predicted_kmh: shape (moments, roads, horizons).
        actual_kmh: the same shape, NaN where unknown. MAPE leaves out the smallest, as speeds below 1 km/h.
        horizons_minutes: of the last axis.
        quantity: what they are of.
    """
    return tuple(
        _score(
            minutes,
            predicted_kmh[..., place].astype(np.float64),
            actual_kmh[..., place].astype(np.float64),
            quantity.least_for_mape,
        )
        for place, minutes in enumerate(horizons_minutes)
    )


def _score(
    minutes: float,
    predicted: np.typing.NDArray[np.float64],
    actual: np.typing.NDArray[np.float64],
    least_for_mape: float,
) -> Score:
    known = np.isfinite(actual) & np.isfinite(predicted)
    predicted, actual = predicted[known], actual[known]
    if not len(actual):
        raise ValueError(f"nothing is known {minutes:g} minutes ahead, so there is nothing to compare with")
    error = np.abs(predicted - actual)
    moving = actual >= least_for_mape
    spread = float(((actual - actual.mean()) ** 2).mean())
    return Score(
        horizon_minutes=minutes,
        mae_kmh=float(error.mean()),
        rmse_kmh=float(np.sqrt((error**2).mean())),
        mape_percent=float((error[moving] / actual[moving]).mean() * 100) if moving.any() else 0.0,
        r2=1 - float((error**2).mean()) / spread if spread > 0 else 0.0,
        count=len(actual),
    )
