"""How right forecasts of cameras were, made again from the stored scores."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from tests.forecast.camera_town import camera_artifact
from tests.web.stored import keep_windows, recent_window
from trafficapp.forecast.artifacts.registry import ModelRegistry
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.cameras.prediction_scores import CameraComparer, camera_accuracy
from trafficapp.stores.postgres.connection import create_pool


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models with a promoted one of cameras."""
    folder = tmp_path_factory.mktemp("models")
    made = camera_artifact(folder / "made")
    shutil.copytree(made, folder / "cameras" / made.name)
    ModelRegistry(folder / "cameras").promote(made.name)
    return folder


async def test_scores_that_stay_are_told_right_by_the_newest(
    settings: Settings, database: asyncpg.Connection, models: Path
) -> None:
    await database.execute("TRUNCATE traffic_metrics, metrics_1m, metrics_1h, camera_prediction_scores")
    of_models = load_settings(
        postgres={"url": settings.postgres.url}, forecast={"models_dir": models}, roads={"graph": models / "none"}
    )
    rows = [
        recent_window(camera, 12 * minutes + 1, congestion_score=0.95)
        for minutes in range(180)
        for camera in ("cam_1", "cam_unknown")
    ]
    await keep_windows(of_models, *sorted(rows, key=lambda row: row.window_start))
    comparer, now = CameraComparer(of_models), datetime.now(UTC)
    async with create_pool(settings.postgres) as pool:
        newest = None
        while (found := await comparer.compare(pool)) is not None:
            newest = found
        assert newest is not None
        # the farthest minute was over for two minutes
        assert timedelta(minutes=32) <= now - newest < timedelta(minutes=38)
        assert await CameraComparer(of_models).compare(pool) is None
        scores = await camera_accuracy(pool, now - timedelta(hours=1), now)
    by_last = [one for one in scores if one.model_version == "baseline:last_value"]
    assert {one.horizon_minutes for one in by_last} == {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 15, 20, 30}
    assert all(one.last_value_mae == 0 for one in by_last)
    assert all(one.mae == one.rmse == 0 for one in by_last if one.horizon_minutes <= 10)
    # of the farthest, two cameras have too few errors by then for the model to be left altogether
    assert all(0 <= one.mae < 0.1 for one in by_last)
    assert all(one.within_interval_share == 1 for one in by_last)
