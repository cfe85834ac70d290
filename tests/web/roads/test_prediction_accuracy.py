from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg

from models.timestamps import epoch_us, rfc3339
from tests.stores.roads.stored_predictions import STEP, keep_observations, keep_predictions
from tests.web.conftest import Worker
from trafficapp.stores.migrations import migrate
from trafficapp.stores.roads.prediction_scores import PredictionComparer

PATH = "/api/predict/accuracy"


async def test_errors_of_the_last_day_by_model_and_horizon(history_worker: Worker, database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url)
    empty = await (await history_worker.client.get(PATH)).json()
    assert (empty["compared_to"], empty["models"], empty["cameras"]) == (None, [], [])
    now = datetime.now(UTC)
    start = now - timedelta(seconds=now.timestamp() % 300) - 12 * STEP
    connection = await asyncpg.connect(database_url)
    await keep_observations(connection, [("a", start + step * STEP, 20.0) for step in range(12)])
    await keep_predictions(connection, [("a", start + step * STEP, 30.0, (22.0, 25.0, 20.0)) for step in range(12)])
    await connection.close()

    await history_worker.context.database.ask(
        lambda pool: PredictionComparer(history_worker.context.settings).compare(pool)
    )
    body = await (await history_worker.client.get(PATH)).json()
    assert datetime.fromisoformat(body["compared_to"]) > start + 9 * STEP
    ten, twenty, thirty = body["models"]
    assert ten | {"predictions": 1} == {
        "model_version": "ours-1", "horizon_minutes": 10, "predictions": 1, "mae_kmh": 2.0, "rmse_kmh": 2.0,
        "mape_percent": 10.0, "within_interval_share": 1.0, "last_value_mae_kmh": 10.0,
        "bands": ten["bands"],
    }  # fmt: skip
    (band,) = ten["bands"]
    assert (band["from_kmh"], band["to_kmh"], band["mae_kmh"], band["rmse_kmh"]) == (20, 40, 2.0, 2.0)
    assert (twenty["mae_kmh"], twenty["within_interval_share"]) == (5.0, 0.0)
    assert (thirty["mae_kmh"], thirty["horizon_minutes"]) == (0.0, 30)
    first = {"from": rfc3339(epoch_us(start)), "to": rfc3339(epoch_us(start + 3 * STEP))}
    body = await (await history_worker.client.get(PATH, params=first)).json()
    assert [(one["horizon_minutes"], one["predictions"]) for one in body["models"]] == [(10, 1)]
    assert (body["from"], body["to"]) == (first["from"], first["to"])


async def test_a_wrong_span_and_no_database_are_told(worker: Worker) -> None:
    wrong = await worker.client.get(PATH, params={"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"})
    assert wrong.status == 400
    assert (await worker.client.get(PATH)).status == 503
