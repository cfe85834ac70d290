"""A model of the made-up town with the steps and horizons of the city's forecasts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from tests.forecast.synthetic import artifact, town
from trafficapp.forecast.artifacts.registry import ModelRegistry
from trafficapp.forecast.learning.windows import prepare
from trafficapp.forecast.quantities import SPEED


def city_model(folder: Path, at: datetime | None = None) -> Path:
    """Write and promote a model of steps of five minutes; its own folder."""
    data = prepare(replace(town(days=14), step_seconds=SPEED.step_seconds), SPEED.horizons_minutes)
    path = artifact(data, folder, at)
    ModelRegistry(folder).promote(path.name)
    return path
