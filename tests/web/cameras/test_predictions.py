"""``GET /api/predict/congestion``: cameras and lanes from the history, by the model that serves."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from models.cameras.window_rows import WindowRow
from models.timestamps import epoch_us, from_epoch_us
from tests.forecast.camera_town import camera_artifact
from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import ADMIN, ADMIN_KEY, Worker, serving
from tests.web.stored import keep_windows, recent_window
from trafficapp.forecast import choosing
from trafficapp.forecast.artifacts.registry import ModelRegistry
from trafficapp.settings import Settings, load_settings
from trafficapp.stores.migrations import migrate

PATH = "/api/predict/congestion"
CONTRACT = ["camera_id", "model", "horizon_minutes", "step_seconds", "history_samples", "generated_at", "forecast"]
STEP = ["step", "predicted_at", "congestion_score", "congestion_level"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a model is that is not promoted."""
    return camera_artifact(tmp_path_factory.mktemp("models"))


@pytest.fixture
def models(made: Path, tmp_path: Path) -> Path:
    """A registry of one's own with the model, promoted."""
    shutil.copytree(made, tmp_path / "cameras" / made.name)
    ModelRegistry(tmp_path / "cameras").promote(made.name)
    return tmp_path / "cameras"


def settings_with(redis_server: RedisServer, database_url: str, models_dir: Path) -> Settings:
    """A graph of one's own, so that the shipped model does not serve."""
    return load_settings(
        redis={"url": redis_server.url},
        kafka={"bootstrap_servers": "127.0.0.1:9"},
        postgres={"url": database_url},
        admin={"api_key": ADMIN_KEY},
        forecast={"models_dir": models_dir},
        roads={"graph": models_dir / "none"},
    )


@pytest.fixture
async def worker(redis_server: RedisServer, database_url: str, models: Path) -> AsyncIterator[Worker]:
    """A worker with minutes of history of two cameras."""
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE traffic_metrics, metrics_1m, metrics_1h, admin_thresholds")
    await connection.close()
    settings = settings_with(redis_server, database_url, models.parent)
    await keep_windows(settings, *history())
    async with serving(settings, redis_server) as worker:
        yield worker


def history() -> list[WindowRow]:
    """Windows of the last twelve minutes of cam_1 with its lanes; of cam_2 up to six minutes ago, of cam_9 none now."""
    rows = []
    for minutes in range(13):
        for lane in (None, 0, 1):
            rows.append(recent_window("cam_1", 12 * minutes + 1, lane_id=lane, congestion_score=0.5 - minutes / 100))
        if minutes > 6:
            rows.append(recent_window("cam_2", 12 * minutes + 1))
    rows.append(recent_window("cam_9", 1))
    # Without any speed a window has no score.
    rows.append(recent_window("cam_1", 12 * 14, congestion_score=None, congestion_level="UNKNOWN", avg_speed_kmh=None))
    return sorted(rows, key=lambda row: row.window_start)


def only_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never leave the model for what was nearer of late."""
    monkeypatch.setattr(choosing, "LEAVING", 1e9)


async def ask(worker: Worker, **query: Any) -> dict[str, Any]:
    response = await worker.client.get(PATH, params=query)
    assert response.status == 200, await response.text()
    body: dict[str, Any] = await response.json()
    return body


async def refused(worker: Worker, status: int, **query: Any) -> str:
    response = await worker.client.get(PATH, params=query)
    body = await response.json()
    assert (response.status, response.content_type) == (status, "application/problem+json"), body
    detail: str = body["detail"]
    return detail


async def test_the_model_answers_for_a_camera_and_its_lanes_unless_another_was_nearer(
    worker: Worker, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_the_model(monkeypatch)
    model = await ask(worker, camera_id="cam_1")
    assert (model["model"], model["source"], model["note"]) == (made.name, "model", "")
    assert all(lane["source"] == "model" for lane in model["lanes"])


async def test_a_camera_and_its_lanes_as_the_contract_says(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    # whichever rule was nearer predicts, however near the model was: that depends on the time of day
    for constant, value in (("DRAWN", 1.0), ("LEAVING", -9.0), ("RATE", 1e4)):
        monkeypatch.setattr(choosing, constant, value)
    before = datetime.now(UTC)
    body = await ask(worker, camera_id="cam_1")
    assert list(body) == [*CONTRACT, "lanes", "source", "note"]
    assert body["camera_id"] == "cam_1"
    assert body["source"] in ("last_value", "linear_ar")
    assert body["model"] == f"baseline:{body['source']}"
    assert body["note"].startswith("not the model's alone: ")
    assert (body["horizon_minutes"], body["step_seconds"]) == (10, 60)
    assert body["history_samples"] in (12, 13)  # the minute may have turned meanwhile
    steps = body["forecast"]
    assert [step["step"] for step in steps] == list(range(1, 11))
    assert all(list(step)[:4] == STEP and step["low"] <= step["congestion_score"] <= step["high"] for step in steps)
    times = [from_epoch_us(epoch_us(step["predicted_at"])) for step in steps]
    assert times[0] - timedelta(seconds=60) <= from_epoch_us(epoch_us(body["generated_at"])) <= times[0]
    assert abs(times[0] - before) <= timedelta(seconds=65)
    assert {after - time for time, after in pairwise(times)} == {timedelta(minutes=1)}
    assert [lane["lane_id"] for lane in body["lanes"]] == [0, 1]
    assert all(len(lane["forecast"]) == 10 for lane in body["lanes"])
    longer = await ask(worker, camera_id="cam_1", horizon_minutes=30, lookback_minutes=5)
    assert (len(longer["forecast"]), longer["history_samples"]) == (30, 5)


async def test_levels_are_those_of_the_thresholds_in_force(worker: Worker) -> None:
    names = ("congestion_threshold_low", "congestion_threshold_moderate", "congestion_threshold_high")
    levels = dict(zip(names, (0.01, 0.02, 0.03), strict=True))
    assert (await worker.client.put("/api/admin/thresholds", json=levels, headers=ADMIN)).status == 200
    assert {step["congestion_level"] for step in (await ask(worker, camera_id="cam_1"))["forecast"]} == {"SEVERE"}


async def test_a_camera_that_fell_silent_gets_what_is_usual(worker: Worker) -> None:
    body = await ask(worker, camera_id="cam_2")
    assert (body["source"], body["model"]) == ("time_of_day", "baseline:time_of_day")
    assert "usual at this time of day" in body["note"]
    assert body["lanes"] == []


async def test_404_says_whether_camera_or_data_are_missing(worker: Worker) -> None:
    assert "not among the cameras of the model" in await refused(worker, 404, camera_id="cam_9")
    assert "no congestion score within the last 5 minutes" in await refused(
        worker, 404, camera_id="cam_2", lookback_minutes=5
    )


@pytest.mark.parametrize(
    "wrong",
    [{"horizon_minutes": 0}, {"horizon_minutes": 31}, {"lookback_minutes": 0}, {"lookback_minutes": 121}, {"x": 1}],
)
async def test_parameters_are_checked(worker: Worker, wrong: dict[str, int]) -> None:
    query = wrong if "x" in wrong else {"camera_id": "cam_1", **wrong}
    assert await refused(worker, 400, **query)


async def test_the_lookback_may_be_a_minute_or_two_hours(worker: Worker) -> None:
    assert (await ask(worker, camera_id="cam_1", lookback_minutes=1))["history_samples"] == 1
    longest = await ask(worker, camera_id="cam_1", lookback_minutes=120)
    assert longest["history_samples"] in (12, 13)


async def test_a_promoted_model_is_taken_up_and_a_damaged_one_refused(
    worker: Worker, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_the_model(monkeypatch)
    first = (await ask(worker, camera_id="cam_1", lookback_minutes=15))["model"]
    newer = camera_artifact(models)
    ModelRegistry(models).promote(newer.name)
    # Another lookback is another question, which is not answered by what is kept.
    assert (await ask(worker, camera_id="cam_1", lookback_minutes=16))["model"] == newer.name != first
    damaged = camera_artifact(models)
    ModelRegistry(models).promote(damaged.name)
    (damaged / "model.onnx").write_bytes(b"not a network")
    body = await ask(worker, camera_id="cam_1", lookback_minutes=17)
    assert (body["model"], body["source"]) == (newer.name, "model")
    assert "model.onnx is damaged" in body["note"]


async def test_the_shipped_model_says_nothing_about_cameras_of_another_city(
    redis_server: RedisServer, database_url: str, tmp_path: Path
) -> None:
    """Whatever it is called, a camera is the model's only where that one stands."""
    await asyncio.to_thread(migrate, database_url)
    connection = await asyncpg.connect(database_url)
    await connection.execute("TRUNCATE traffic_metrics, metrics_1m, metrics_1h, admin_thresholds, cameras")
    await connection.close()
    given = settings_with(redis_server, database_url, tmp_path)
    settings = given.model_copy(update={"roads": load_settings().roads})  # the shipped graph
    cameras = ("cam_01", "cam_02", "cam_03", "cam_04", "gate_7")
    rows = [recent_window(camera, 12 * minutes + 1) for minutes in range(13) for camera in cameras]
    await keep_windows(settings, *sorted(rows, key=lambda row: row.window_start))
    async with serving(settings, redis_server) as worker:
        for body in (
            {"camera_id": "cam_01", "latitude": 6.9271, "longitude": 79.8612},  # Colombo
            {"camera_id": "cam_02", "name": "somewhere"},
            {"camera_id": "cam_03", "latitude": 44.4935, "longitude": 11.3288},  # 60 m beside it
        ):
            response = await worker.client.post("/api/admin/cameras", json=body, headers=ADMIN)
            assert response.status == 201, await response.text()
        await worker.context.registry.refresh()
        detail = await refused(worker, 404, camera_id="cam_01")
        assert "is not the camera of this name in Bologna" in detail
        assert "km away" in detail
        assert "nobody registered where it stands" in await refused(worker, 404, camera_id="cam_02")
        assert "nobody registered where it stands" in await refused(worker, 404, camera_id="cam_04")
        assert "not among the cameras of the model" in await refused(worker, 404, camera_id="gate_7")
        answer = await ask(worker, camera_id="cam_03")
        # one that is the model's, and stands still: its last value is right
        assert (answer["source"], len(answer["forecast"])) == ("last_value", 10)


async def test_503_without_a_model(redis_server: RedisServer, database_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(migrate, database_url)
    async with serving(settings_with(redis_server, database_url, tmp_path), redis_server) as worker:
        assert "there is no model of cameras" in await refused(worker, 503, camera_id="cam_1")


async def test_503_while_postgres_is_away(redis_server: RedisServer, models: Path) -> None:
    away = settings_with(redis_server, "postgresql://127.0.0.1:9/nowhere", models.parent)
    async with serving(away, redis_server) as worker:
        assert "Postgres" in await refused(worker, 503, camera_id="cam_1")
