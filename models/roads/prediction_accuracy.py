"""How good predictions were: ``GET /api/predict/accuracy``."""

from __future__ import annotations

from msgspec import Struct, field


class BandAccuracy(Struct, frozen=True, kw_only=True):
    """Those where a speed within a band was measured; the figures are as of `HorizonAccuracy`.

    Attributes:
        from_kmh: of the band.
        to_kmh: its end, which is not part of it; None where it has none.
    """

    from_kmh: int
    to_kmh: int | None
    predictions: int
    mae_kmh: float
    rmse_kmh: float
    last_value_mae_kmh: float | None


class HorizonAccuracy(Struct, frozen=True, kw_only=True):
    """One model at one horizon, over all roads.

    Attributes:
        model_version: of the model; ``baseline:...`` for what was predicted without one.
        horizon_minutes: how far ahead.
        predictions: that could be compared with what was measured then.
        mae_kmh: mean of the absolute errors.
        rmse_kmh: root of the mean of their squares.
        mape_percent: mean of the errors as a share of what was measured, of less than 1 km/h as if it were 1.
        within_interval_share: of those with an 80 % interval; None when none had one. Near 0.8 it is honest.
        last_value_mae_kmh: what the MAE would have been if the mean speed of the newest step had simply stayed; None
            when there was never one.
        bands: the same by the speed that was measured: below 20 km/h, below 40, above; those that occurred.
    """

    model_version: str
    horizon_minutes: int
    predictions: int
    mae_kmh: float
    rmse_kmh: float
    mape_percent: float
    within_interval_share: float | None
    last_value_mae_kmh: float | None
    bands: list[BandAccuracy] = field(default_factory=list)


class CameraAccuracy(Struct, frozen=True, kw_only=True):
    """Who predicted cameras and lanes at one horizon; errors are of congestion scores, from 0 to 1.

    Attributes:
        model_version: as in the forecast: of the model, or ``baseline:...``.
        horizon_minutes: how far ahead.
        predictions: that could be compared with the score of that minute.
        mae: mean of the absolute errors.
        rmse: root of the mean of their squares.
        within_interval_share: of those with an 80 % interval; None when none had one.
        last_value_mae: what the MAE would have been had the newest score stayed.
    """

    model_version: str
    horizon_minutes: int
    predictions: int
    mae: float
    rmse: float
    within_interval_share: float | None
    last_value_mae: float | None


class PredictionAccuracy(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Predictions for times in ``[from, to)``, compared with the mean speed measured in the step they were for.

    Attributes:
        compared_to: predictions for times before this are compared; None when none was yet.
        models: by version and horizon.
        cameras: likewise of forecasts of cameras and lanes that were made in that time.
    """

    from_: str
    to: str
    compared_to: str | None
    models: list[HorizonAccuracy]
    cameras: list[CameraAccuracy]
