"""Versions of models as an administrator chooses among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.forecast.synthetic import artifact, town
from tests.stores.redis.redis_server import RedisServer
from tests.web.conftest import Worker, serving, settings_of
from trafficapp.forecast.artifacts.artifact import DESCRIPTION
from trafficapp.forecast.artifacts.registry import ModelRegistry
from trafficapp.forecast.learning.windows import TrainingData, prepare
from trafficapp.forecast.quantities import SPEED
from trafficapp.stores.migrations import migrate

PATH = "/api/admin/models"


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Made-up speeds in steps of five minutes, as those of a city are."""
    return prepare(replace(town(36), step_seconds=300), SPEED.horizons_minutes)


@pytest.fixture
async def trained(
    data: TrainingData, tmp_path: Path, redis_server: RedisServer, database_url: str, kafka_bootstrap: str
) -> AsyncIterator[tuple[Worker, ModelRegistry]]:
    """A worker whose folder has two versions, the first of them promoted."""
    await asyncio.to_thread(migrate, database_url)
    for day in (4, 5):
        artifact(data, tmp_path, datetime(2026, 5, day, tzinfo=UTC))
    registry = ModelRegistry(tmp_path)
    registry.promote(registry.candidates()[0])
    settings = settings_of(redis_server, kafka_bootstrap, database_url)
    step_seconds = registry.load(registry.candidates()[0]).about.layout.step_seconds
    forecast = settings.forecast.model_copy(update={"models_dir": tmp_path, "step_seconds": step_seconds})
    async with serving(settings.model_copy(update={"forecast": forecast}), redis_server) as worker:
        yield worker, registry


async def asked(worker: Worker, method: str, path: str, status: int = 200) -> Any:
    async with worker.client.request(method, path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def roads(worker: Worker) -> list[tuple[str, str]]:
    found = await asked(worker, "GET", PATH)
    return [(one["version"], one["state"]) for one in found if one["predicts"] == "roads" and one["state"] != "shipped"]


async def test_versions_are_listed_with_their_accuracy_and_another_is_promoted(
    trained: tuple[Worker, ModelRegistry],
) -> None:
    worker, registry = trained
    first, second = registry.candidates()
    assert await roads(worker) == [(second, "candidate"), (first, "serving")]
    told = next(one for one in await asked(worker, "GET", PATH) if one["version"] == second)
    assert told["may_serve"], told["why_not"]
    assert all(score["mae"] < score["best_rule_mae"] for score in told["scores"])
    promoted = await asked(worker, "POST", f"{PATH}/roads/{second}/promote")
    assert (promoted["version"], promoted["previous"]) == (second, [first])
    assert await roads(worker) == [(second, "serving"), (first, "served")]
    [entry] = await asked(worker, "GET", "/api/admin/audit?action=models.promote")
    assert (entry["before"], entry["after"]) == ({"version": first}, {"version": second})


async def test_what_is_damaged_or_not_there_is_not_promoted(trained: tuple[Worker, ModelRegistry]) -> None:
    worker, registry = trained
    first, second = registry.candidates()
    with (registry.folder / second / DESCRIPTION).open("a") as file:
        file.write(" x")
    found = await asked(worker, "GET", PATH)
    [damaged] = [one for one in found if one["version"] == second]
    assert damaged["state"] == "damaged"
    assert str(registry.folder) not in damaged["why_not"][0]
    refused = await asked(worker, "POST", f"{PATH}/roads/{second}/promote", 409)
    assert str(registry.folder) not in refused["detail"]
    await asked(worker, "POST", f"{PATH}/roads/nothing/promote", 404)
    await asked(worker, "POST", f"{PATH}/trees/{first}/promote", 400)
    assert (await roads(worker))[1] == (first, "serving")
