"""A prepared history and an artifact for the tests of forecasts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.forecast.synthetic import HORIZONS, artifact, town
from trafficapp.forecast.learning.windows import TrainingData, prepare


@pytest.fixture(scope="package")
def data() -> TrainingData:
    return prepare(town(), HORIZONS)


@pytest.fixture(scope="package")
def made(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where an artifact is that nobody may change."""
    return artifact(data, tmp_path_factory.mktemp("models"))


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    """An own copy of the artifact."""
    return Path(shutil.copytree(made, tmp_path / "models" / made.name))
