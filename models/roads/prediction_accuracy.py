"""How good predictions were: ``GET /api/predict/accuracy``."""

from __future__ import annotations

from msgspec import Struct


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
    """

    model_version: str
    horizon_minutes: int
    predictions: int
    mae_kmh: float
    rmse_kmh: float
    mape_percent: float
    within_interval_share: float | None
    last_value_mae_kmh: float | None


class PredictionAccuracy(Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """Predictions for times in ``[from, to)``, compared with the mean speed measured in the step they were for.

    Attributes:
        compared_to: predictions for times before this are compared; None when none was yet.
        models: by version and horizon.
    """

    from_: str
    to: str
    compared_to: str | None
    models: list[HorizonAccuracy]
