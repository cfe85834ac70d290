"""Judging a model beside the baselines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from trafficapp.forecast.baselines import LinearRules
from trafficapp.forecast.clock import Floats, Integers
from trafficapp.forecast.learning.scores import Score, scores
from trafficapp.forecast.learning.windows import TrainingData

#: The name of the model among those of the baselines.
MODEL = "model"


class Judged(NamedTuple):
    """A model beside the baselines on one part of the history; names of the baselines and ``model``."""

    validation: dict[str, tuple[Score, ...]]
    test: dict[str, tuple[Score, ...]]


def judge(
    data: TrainingData, linear: LinearRules, predicted_kmh: Floats, moments: Integers
) -> dict[str, tuple[Score, ...]]:
    """Scores of predictions and of the baselines at the same moments, over what all of them can answer."""
    said = data.baselines(moments, linear) | {MODEL: predicted_kmh}
    answered = np.all([np.isfinite(one) for one in said.values()], axis=0)
    actual = np.where(answered, data.targets(moments), np.nan).astype(np.float32)
    return {name: scores(one, actual, data.layout.horizons_minutes, data.layout.quantity) for name, one in said.items()}
