"""Reliability beside the same computed with pandas, on fourteen simulated days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from models.roads.measures import Reliability
from trafficapp.measures.corridors import NotAChain, chain
from trafficapp.measures.paces import LEAST_KMH, MeasuredRoad, StepPaces
from trafficapp.measures.reliability import STEP_SECONDS, reliability
from trafficapp.measures.surface import step_seconds_of, surface

ROME = ZoneInfo("Europe/Rome")
#: A fortnight in which the clocks change.
BEGIN = datetime(2026, 10, 18, 22, tzinfo=UTC)
END = datetime(2026, 11, 1, 23, tzinfo=UTC)
PERIODS = {
    "weekday 06-10": (range(5), 6, 10),
    "weekday 10-16": (range(5), 10, 16),
    "weekday 16-20": (range(5), 16, 20),
    "weekend 06-20": (range(5, 7), 6, 20),
}


@pytest.fixture(scope="module")
def fortnight() -> tuple[list[MeasuredRoad], pd.DataFrame]:
    """Twelve roads with rush hours, chance and incidents, told of every five minutes; one in ten is missing."""
    chance = np.random.default_rng(11)
    steps = pd.date_range(BEGIN, END, freq="5min", inclusive="left")
    local = steps.tz_convert("Europe/Rome")
    hour = local.hour + local.minute / 60
    rush = np.exp(-(((hour - 8) / 1.2) ** 2)) + 0.8 * np.exp(-(((hour - 18) / 1.5) ** 2))
    load = np.where(local.day_of_week < 5, rush, 0.3 * rush)
    roads = [MeasuredRoad(f"r{n}", f"r{n}", 80.0 + 70 * n, round(30 + 3.7 * n, 2)) for n in range(12)]
    columns = {}
    for road in roads:
        speeds = road.free_flow_kmh * (1 - chance.uniform(0.2, 0.7) * load) * chance.lognormal(0, 0.15, len(steps))
        begin = chance.integers(len(steps) - 30)
        speeds[begin : begin + 30] *= 0.02
        columns[road.road_id] = np.round(speeds, 2)
    frame = pd.DataFrame(columns, index=steps)
    missing = chance.random(frame.shape) < 0.1
    missing[200:240] = True
    return roads, frame.mask(missing)


def paces_of(roads: list[MeasuredRoad], frame: pd.DataFrame) -> StepPaces:
    """What Postgres gives of the observations."""
    whole = 1 / np.maximum(frame[[road.road_id for road in roads]].to_numpy(), LEAST_KMH)
    parts = whole.reshape(-1, 3, len(roads))
    measured = np.isfinite(parts).sum(1)
    means = np.nansum(parts, axis=1) / np.where(measured, measured, np.nan)
    return StepPaces(roads, int(BEGIN.timestamp()) // STEP_SECONDS, STEP_SECONDS, means)


def by_pandas(
    roads: list[MeasuredRoad], frame: pd.DataFrame, least: float = 1.0
) -> tuple[dict[str, float], dict[str, float]]:
    """The same from the observations, with pandas alone; and the ratio of each period."""
    lengths = pd.Series({road.road_id: road.length_m for road in roads})
    free = pd.Series({road.road_id: road.length_m * 3.6 / road.free_flow_kmh for road in roads})
    pace = (1 / frame[lengths.index].clip(lower=1.0)).resample("15min").mean()
    seconds = pace * lengths * 3.6
    known = (seconds.notna() * free).sum(axis=1)
    times = (seconds.sum(axis=1) / known * free.sum())[known / free.sum() >= least - 1e-9].dropna()
    local = times.index.tz_convert("Europe/Rome")
    mean, p95 = times.mean(), times.quantile(0.95)
    ratios = {}
    for name, (days, begin, end) in PERIODS.items():
        within = times[local.day_of_week.isin(list(days)) & (local.hour >= begin) & (local.hour < end)]
        ratios[name] = round(within.quantile(0.8) / within.quantile(0.5), 2)
    return {
        "steps": len(pace),
        "measured_steps": len(times),
        "mean_seconds": mean,
        "p80_seconds": times.quantile(0.8),
        "p95_seconds": p95,
        "delay_seconds": (times - free.sum()).clip(lower=0).mean(),
        "travel_time_index": mean / free.sum(),
        "planning_time_index": p95 / free.sum(),
        "buffer_index": (p95 - mean) / mean,
        "mean_speed_kmh": lengths.sum() * 3.6 / mean,
        "lottr": max(ratios.values()),
    }, ratios


def assert_equal(found: Reliability, expected: dict[str, float], ratios: dict[str, float]) -> None:
    # a tenth of a second is told, and four decimals of an index
    for name, value in expected.items():
        near = 0.00006 if name.endswith("index") else 0.051
        assert getattr(found, name) == pytest.approx(value, abs=near), name
    assert {period.period: period.lottr for period in found.periods} == ratios


def test_a_road_a_corridor_and_a_zone_are_what_pandas_computes(
    fortnight: tuple[list[MeasuredRoad], pd.DataFrame],
) -> None:
    roads, frame = fortnight
    assert len(frame) == 14 * 288 + 12
    for chosen, least in ((roads[:1], 1.0), (roads[3:7], 1.0), (roads, 0.5)):
        found = reliability(paces_of(chosen, frame), ROME, least_coverage=least)
        assert_equal(found, *by_pandas(chosen, frame, least))
        assert 0 < found.measured_steps < found.steps
        assert found.is_reliable == (found.lottr is not None and found.lottr < 1.5)


def test_vehicles_give_distances_and_hours() -> None:
    road = MeasuredRoad("a", "a", 1000.0, 60.0)
    paces = StepPaces([road], 0, STEP_SECONDS, np.array([[1 / 30], [1 / 60], [np.nan], [1 / 60]]))
    found = reliability(paces, ROME, vehicles_per_hour=400)
    # three quarters of an hour: 300 vehicles, of which a third takes two minutes and the others one
    assert (found.vehicle_km, found.vehicle_hours, found.delay_vehicle_hours) == (300, 6.67, 1.67)


def test_what_was_not_measured_gives_nothing() -> None:
    found = reliability(StepPaces([MeasuredRoad("a", "a", 100.0, 50.0)], 0, 900, np.full((8, 1), np.nan)), ROME)
    assert (found.steps, found.measured_steps, found.coverage) == (8, 0, 0)
    assert (found.mean_seconds, found.lottr, found.is_reliable) == (None, None, None)
    assert reliability(StepPaces([], 0, 900, np.empty((8, 0))), ROME).measured_steps == 0


def test_a_corridor_is_a_chain_of_known_roads() -> None:
    a, b, c = (MeasuredRoad(n, n, 10, 50, begin=i, end=i + 1, nodes=frozenset({i, i + 1})) for i, n in enumerate("abc"))
    known = {"a": a, "b": b, "c": c, "off": MeasuredRoad("off", "off", 10, 50)}
    assert chain(["a", "b", "c"], known) == [a, b, c]
    for wrong, reason in (
        (["a", "c"], "does not begin where 'a' ends"),
        (["c", "a"], "does not begin where 'c' ends"),
        (["a", "x"], "no road 'x'"),
        (["a", "b", "a"], "'a' comes more than once"),
        (["a", "off"], "'off' lies on no edge"),
    ):
        with pytest.raises(NotAChain, match=reason):
            chain(wrong, known)


def test_a_surface_tells_speeds_by_road_and_step() -> None:
    roads = [MeasuredRoad("a", "Via A", 300.0, 50.0), MeasuredRoad("b", "Via B", 200.0, 50.0)]
    paces = StepPaces(roads, 10, 300, np.array([[1 / 50, 1 / 12.5], [np.nan, 1 / 10]]))
    found = surface(paces, 4, "Ring")
    assert found.speeds_kmh == [[50.0, None], [12.5, 10.0]]
    assert [(road.begin_m, road.end_m) for road in found.roads] == [(0, 300), (300, 500)]
    assert found.starts == ["1970-01-01T00:50:00Z", "1970-01-01T00:55:00Z"]
    assert step_seconds_of(timedelta(hours=24).total_seconds()) == 300
    assert step_seconds_of(timedelta(days=3).total_seconds()) == 900
