"""How far off forecasts usually are, by road, hour and horizon: intervals and confidence from residuals that happened.

For a road r, an hour of the local day and a horizon, the usual error ``u`` is the mean absolute residual of that cell
over the training and validation parts, drawn towards what road and hour say on their own when the cell holds little::

    prior = mean[horizon] * by_road[horizon, r] * by_hour[horizon, hour]
    u     = (sum of |residual| + 30 * prior) / (number of residuals + 30)

Residuals of the training part are too small, since the model has seen them; so they only say where errors are large and
where small. How large comes from the validation part alone: the quantiles ``q`` of |residual| / u there, for each
horizon.

- interval with probability p: prediction ± q(p) * u, cut off at 0;
- confidence: the share of the validation part's |residual| / u that is at most ``t / u``, where ``t`` is what still
  counts as right: 10 % of the prediction, or 5 km/h if that is more (0.05 when it is a congestion score). 0.8 says
  that four of five such predictions came true within t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trafficapp.forecast.clock import Floats, Integers
from trafficapp.forecast.quantities import SPEED, Quantity

INTERVAL_PROBABILITY = 0.8

_HOURS = 24
_DRAWN = 30.0
_QUANTILES = np.linspace(0, 1, 201)


class Certainty(NamedTuple):
    """Bounds in km/h and confidence from 0 to 1, each of the predictions' shape."""

    low_kmh: Floats
    high_kmh: Floats
    confidence: Floats


@dataclass(frozen=True, eq=False)
class Calibration:
    """Usual errors in km/h, shape (horizons, hours, roads), and quantiles of what came, as a multiple of them."""

    usual_error_kmh: Floats
    multiples: Floats  # (horizons, quantiles)
    quantity: Quantity = SPEED

    def reach(self, hours: Integers, probability: float = INTERVAL_PROBABILITY) -> Floats:
        """How far an interval reaches to each side, shape (moments, roads, horizons).

        Args:
            hours: local hour of each moment.
            probability: of the interval.
        """
        usual = self.usual_error_kmh[:, hours].transpose(1, 2, 0)
        multiple = np.array([np.interp(probability, _QUANTILES, multiples) for multiples in self.multiples])
        reach: Floats = (usual * multiple).astype(np.float32)
        return reach

    def judge(
        self,
        predicted_kmh: Floats,
        hours: Integers,
        probability: float = INTERVAL_PROBABILITY,
        stretch: Floats | None = None,
    ) -> Certainty:
        """Bounds and confidence of predictions.

        Args:
            predicted_kmh: shape (moments, roads, horizons).
            hours: local hour of each moment.
            probability: of the interval.
            stretch: by what errors are larger than they were when this was learnt, shape (horizons); None for not at
                all.
        """
        stretch = np.ones(len(self.multiples), np.float32) if stretch is None else stretch
        usual = self.usual_error_kmh[:, hours].transpose(1, 2, 0) * stretch
        of = self.quantity
        right = np.maximum(of.right_share * predicted_kmh, of.right_at_least) / usual
        reach, confidence = self.reach(hours, probability) * stretch, np.empty_like(usual)
        for horizon, multiples in enumerate(self.multiples):
            confidence[..., horizon] = np.interp(right[..., horizon], multiples, _QUANTILES)
        confidence = np.where(np.isfinite(predicted_kmh), confidence, np.nan).astype(np.float32)
        return Certainty(of.cut_off(predicted_kmh - reach), of.cut_off(predicted_kmh + reach), confidence)


def calibrate(
    seen: tuple[Floats, Floats, Integers], held_back: tuple[Floats, Floats, Integers], quantity: Quantity = SPEED
) -> Calibration:
    """Learn a calibration.

    Args:
        seen: predictions and truth of the training part, shape (moments, roads, horizons), NaN where unknown, and the
            local hour of each moment.
        held_back: the same of the validation part.
        quantity: what they are of.
    """
    residuals = np.concatenate([np.abs(said - came) for said, came, _ in (seen, held_back)])
    hours = np.concatenate([seen[2], held_back[2]])
    usual = _usual_errors(residuals, hours, quantity.least_error)
    said, came, at = held_back
    ratios = np.abs(said - came) / usual[:, at].transpose(1, 2, 0)
    multiples = np.stack(
        [np.nanquantile(ratios[..., horizon].astype(np.float64), _QUANTILES) for horizon in range(ratios.shape[2])]
    )
    # Steps between quantiles must not be empty, or the way back from a multiple to its share would be undefined.
    multiples = np.maximum.accumulate(multiples + 1e-6 * _QUANTILES, 1)
    return Calibration(usual, multiples.astype(np.float32), quantity)


def _usual_errors(residuals: Floats, hours: Integers, least: float) -> Floats:
    """Mean absolute residuals by horizon, hour and road, drawn towards the product of road and hour."""
    known = np.isfinite(residuals)
    values = np.where(known, residuals, 0).astype(np.float64)
    roads, horizons = residuals.shape[1:]
    sums, counts = np.zeros((_HOURS, roads, horizons)), np.zeros((_HOURS, roads, horizons))
    np.add.at(sums, hours, values)
    np.add.at(counts, hours, known)
    mean = sums.sum((0, 1)) / np.maximum(counts.sum((0, 1)), 1)
    by_hour = (sums.sum(1) + _DRAWN * mean) / (counts.sum(1) + _DRAWN) / np.maximum(mean, 1e-9)
    by_road = (sums.sum(0) + _DRAWN * mean) / (counts.sum(0) + _DRAWN) / np.maximum(mean, 1e-9)
    prior = mean * by_hour[:, None] * by_road[None]
    usual = (sums + _DRAWN * prior) / (counts + _DRAWN)
    errors: Floats = np.maximum(usual, least).transpose(2, 0, 1).astype(np.float32)
    return np.ascontiguousarray(errors)
