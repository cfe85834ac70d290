"""Predictions compared with what came, beside a computation that shares nothing with the SQL."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from tests.stores.postgres.fixtures import Connection
from tests.stores.roads.stored_predictions import STEP, keep_observations, keep_predictions
from trafficapp.settings import Settings
from trafficapp.stores.postgres.connection import create_pool
from trafficapp.stores.roads import prediction_scores
from trafficapp.stores.roads.prediction_scores import PredictionComparer, accuracy

T0 = datetime(2026, 1, 14, 7, tzinfo=UTC)
ROADS = ("a", "b", "c")
HORIZONS = (10, 20, 30)
STEPS = 14
COLUMNS = (
    "predictions, abs_error_kmh, squared_error, abs_share, last_value_count, last_value_abs_kmh, within_interval, "
    "with_interval"
)


class City:
    """Speeds and predictions by chance, and what the scores must be."""

    def __init__(self, seed: int = 1) -> None:
        chance = random.Random(seed)
        self.observed = [
            (road, T0 + step * STEP + timedelta(seconds=second), chance.uniform(5, 60))
            for road in ROADS
            for step in range(STEPS)
            if (road, step) != ("c", 6)
            for second in ((0, 200) if road == "a" else (10,))
        ]
        self.said = [
            (
                road,
                T0 + step * STEP,
                None if road == "b" else chance.uniform(5, 60),
                (chance.uniform(5, 60), chance.uniform(5, 60), chance.uniform(5, 60)),
            )
            for road in ROADS
            for step in range(STEPS)
        ]

    def expected(self, until: datetime) -> dict[tuple[datetime, int], list[float]]:
        """The sums of each target that begins before a time, and its horizon."""
        speeds = defaultdict(list)
        for road, at, speed in self.observed:
            speeds[road, at - (at - T0) % STEP].append(speed)
        sums: dict[tuple[datetime, int], list[float]] = defaultdict(lambda: [0.0] * 8)
        for road, step_start, current, three in self.said:
            for minutes, predicted in zip(HORIZONS, three, strict=True):
                target = step_start + timedelta(minutes=minutes)
                if not speeds[road, target] or target >= until:
                    continue
                came = sum(speeds[road, target]) / len(speeds[road, target])
                error = abs(predicted - came)
                last = (0, 0.0) if current is None else (1, abs(current - came))
                row = (1, error, error**2, error / came, *last, error <= 4, 1)
                sums[target, minutes] = [a + b for a, b in zip(sums[target, minutes], row, strict=True)]
        return dict(sums)


@pytest.fixture
async def pool(settings: Settings, database: Connection) -> AsyncIterator[asyncpg.Pool[Any]]:
    await database.execute("TRUNCATE predictions, road_observations, roads, prediction_scores")
    async with create_pool(settings.postgres) as pool:
        yield pool


async def stored(database: Connection) -> dict[tuple[datetime, int], list[float]]:
    sums = ", ".join(f"sum({column})::float8" for column in COLUMNS.split(", "))
    rows = await database.fetch(f"SELECT target_start, horizon_minutes, {sums} FROM prediction_scores GROUP BY 1, 2")  # noqa: S608
    return {(row[0], row[1]): list(row)[2:] for row in rows}


def same(found: dict[Any, list[float]], expected: dict[Any, list[float]]) -> bool:
    return found.keys() == expected.keys() and all(found[key] == pytest.approx(expected[key]) for key in expected)


def comparer_at(settings: Settings, clock: list[datetime]) -> PredictionComparer:
    return PredictionComparer(settings, lambda: clock[0])


async def test_sums_of_all_roads_of_targets_that_are_over(
    pool: asyncpg.Pool[Any], database: Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction_scores, "_CHUNK", timedelta(minutes=15))
    city = City()
    await keep_observations(database, city.observed)
    await keep_predictions(database, city.said)
    clock = [T0 + timedelta(minutes=36, seconds=59)]
    comparer = comparer_at(settings, clock)
    # the step from 7:30 is over for less than two minutes
    assert await comparer.compare(pool) == T0 + timedelta(minutes=30)
    assert same(await stored(database), city.expected(T0 + timedelta(minutes=30)))
    clock[0] += timedelta(seconds=1)
    assert await comparer.compare(pool) == T0 + timedelta(minutes=35)
    clock[0] += timedelta(days=1)
    # the last of the observations was made in the last step, which may go on
    everything = T0 + (STEPS - 1) * STEP
    assert await comparer.compare(pool) == everything
    assert same(await stored(database), city.expected(everything))
    # again, by this process and by one that begins anew
    await comparer.compare(pool)
    await comparer_at(settings, clock).compare(pool)
    assert same(await stored(database), city.expected(everything))


async def test_speeds_that_nobody_measured_and_closed_roads_are_not_compared(
    pool: asyncpg.Pool[Any], database: Connection, settings: Settings
) -> None:
    city = City()
    await keep_observations(database, city.observed)
    # beside them, and in steps without any other: nothing of these counts
    await keep_observations(database, [(road, at + timedelta(seconds=1), 400.0) for road, at, _ in city.observed])
    await keep_observations(database, [("c", T0 + 6 * STEP, 1.0)])
    await database.execute("UPDATE road_observations SET closed = true WHERE current_speed = 400 AND road_id = 'a'")
    await database.execute("UPDATE road_observations SET confidence = 0.5 WHERE current_speed = 400 AND road_id = 'b'")
    await database.execute(
        "UPDATE road_observations SET confidence = 0.7 WHERE current_speed = 1 OR road_id = 'c' AND current_speed = 400"
    )
    await keep_predictions(database, city.said)
    # a closed road was not predicted, it was closed
    await keep_predictions(database, [("d", T0, None, (0.0, 0.0, 0.0))], "baseline:closed")
    await database.execute("UPDATE predictions SET source = 'closed' WHERE road_id = 'd'")
    await keep_observations(database, [("d", T0 + 2 * STEP, 30.0)])
    await comparer_at(settings, [T0 + timedelta(days=1)]).compare(pool)
    assert same(await stored(database), city.expected(T0 + (STEPS - 1) * STEP))


async def test_late_observations_and_replaced_predictions_are_made_up_for(
    pool: asyncpg.Pool[Any], database: Connection, settings: Settings
) -> None:
    city, clock = City(), [T0 + timedelta(days=1)]
    late = [row for row in city.observed if row[0] == "a"]
    await keep_observations(database, [row for row in city.observed if row[0] != "a"])
    await keep_predictions(database, city.said, "replaced")
    comparer = comparer_at(settings, clock)
    await comparer.compare(pool)
    await keep_observations(database, late)
    await keep_predictions(database, city.said, "ours-2")
    await comparer.compare(pool)
    assert same(await stored(database), city.expected(T0 + (STEPS - 1) * STEP))
    versions = await database.fetch("SELECT DISTINCT model_version FROM prediction_scores")
    assert [row[0] for row in versions] == ["ours-2"]


async def test_what_the_sinks_have_not_reached_yet_is_waited_for(
    pool: asyncpg.Pool[Any], database: Connection, settings: Settings
) -> None:
    city, comparer = City(), comparer_at(settings, [T0 + timedelta(days=1)])
    assert await comparer.compare(pool) is None
    await keep_predictions(database, [row for row in city.said if row[1] < T0 + 3 * STEP])
    await keep_observations(database, [row for row in city.observed if row[1] < T0 + 5 * STEP])
    # predictions go to the step from 7:10, which may still be replaced: targets before 7:20 are complete
    assert await comparer.compare(pool) == T0 + 4 * STEP
    await keep_observations(database, city.observed)
    await comparer.compare(pool)
    assert same(await stored(database), city.expected(T0 + 4 * STEP))
    await keep_predictions(database, city.said)
    await comparer.compare(pool)
    assert same(await stored(database), city.expected(T0 + (STEPS - 1) * STEP))


async def test_figures_by_model_and_horizon(pool: asyncpg.Pool[Any], database: Connection, settings: Settings) -> None:
    await keep_observations(database, [("a", T0 + step * STEP, 20.0) for step in range(9)])
    await keep_predictions(database, [("a", T0, 30.0, (23.0, 26.0, 10.0))])
    await keep_predictions(database, [("a", T0 + STEP, None, (16.0, 20.0, 20.0))], "baseline:time_of_day", None)
    await keep_predictions(database, [("a", T0 + step * STEP, 20.0, (15.0, 20.0, 20.0)) for step in range(2, 8)])
    await comparer_at(settings, [T0 + timedelta(days=1)]).compare(pool)
    found, newest = await accuracy(pool, T0, T0 + timedelta(minutes=11))
    assert newest == T0 + 7 * STEP
    (only,) = found
    assert (only.model_version, only.horizon_minutes, only.predictions) == ("ours-1", 10, 1)
    assert (only.mae_kmh, only.rmse_kmh, only.mape_percent) == (3.0, 3.0, 15.0)
    assert (only.within_interval_share, only.last_value_mae_kmh) == (1.0, 10.0)
    found, _ = await accuracy(pool, T0, T0 + timedelta(days=1))
    rows = {(one.model_version, one.horizon_minutes): one for one in found}
    baseline = rows["baseline:time_of_day", 10]
    assert (baseline.mae_kmh, baseline.within_interval_share, baseline.last_value_mae_kmh) == (4.0, None, None)
    ten = rows["ours-1", 10]
    # one with an error of 3, four with one of 5 (targets from 7:20 to 7:35)
    assert (ten.predictions, ten.mae_kmh, ten.within_interval_share) == (5, 4.6, 0.2)
    assert ten.rmse_kmh == pytest.approx(((9 + 4 * 25) / 5) ** 0.5, abs=1e-4)
    assert ten.last_value_mae_kmh == 2.0
    assert [(one.from_kmh, one.to_kmh, one.predictions, one.mae_kmh) for one in ten.bands] == [(20, 40, 5, 4.6)]


async def test_errors_are_told_by_the_speed_that_came(
    pool: asyncpg.Pool[Any], database: Connection, settings: Settings
) -> None:
    roads = {"a": 10.0, "b": 19.9, "c": 20.0, "d": 50.0}
    await keep_observations(database, [(road, T0 + at * STEP, kmh) for road, kmh in roads.items() for at in range(9)])
    await keep_predictions(database, [(road, T0, 30.0, (30.0, 30.0, 30.0)) for road in roads])
    await keep_predictions(database, [("a", T0 + 8 * STEP, 10.0, (10.0, 10.0, 10.0))])
    # sums from before bands were told count in the whole, and in none of them
    await comparer_at(settings, [T0 + timedelta(days=1)]).compare(pool)
    await database.execute("UPDATE prediction_scores SET speed_from_kmh = -1 WHERE speed_from_kmh = 40")
    ten = (await accuracy(pool, T0, T0 + timedelta(days=1)))[0][0]
    assert (ten.horizon_minutes, ten.predictions) == (10, 4)
    slow, middle = ten.bands
    assert (slow.from_kmh, slow.to_kmh, slow.predictions) == (0, 20, 2)
    assert slow.mae_kmh == pytest.approx(15.05)
    assert slow.rmse_kmh == pytest.approx(((20**2 + 10.1**2) / 2) ** 0.5, abs=1e-4)
    assert slow.last_value_mae_kmh == pytest.approx(15.05)
    assert (middle.from_kmh, middle.predictions, middle.mae_kmh) == (20, 1, 10.0)


async def test_each_horizon_is_counted_for_whoever_predicted_it(
    pool: asyncpg.Pool[Any], database: Connection, settings: Settings
) -> None:
    await keep_observations(database, [("a", T0 + step * STEP, 20.0) for step in range(9)])
    await keep_predictions(database, [("a", T0, 30.0, (23.0, 26.0, 10.0))])
    # which shows that the sinks have come so far
    await keep_predictions(database, [("b", T0 + 8 * STEP, 20.0, (15.0, 20.0, 20.0))])
    await database.execute("""UPDATE predictions SET model_versions = '["ours-1", "ours-1", "baseline:linear_ar"]'""")
    await comparer_at(settings, [T0 + timedelta(days=1)]).compare(pool)
    found, _ = await accuracy(pool, T0, T0 + timedelta(days=1))
    assert {(one.model_version, one.horizon_minutes): one.mae_kmh for one in found} == {
        ("ours-1", 10): 3.0,
        ("ours-1", 20): 6.0,
        ("baseline:linear_ar", 30): 10.0,
    }
