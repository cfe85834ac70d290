"""Puts road observations into Postgres, as many as a training needs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from trafficapp.forecast.clock import Floats
from trafficapp.stores.postgres.time_partitions import ensure_partitions, observations_partition

START = datetime(2026, 3, 1, 23, tzinfo=UTC)
STEP = timedelta(minutes=5)


def speeds_of(roads: int, days: float, seed: int = 5) -> Floats:
    """Rush hours, and disturbances that travel one road a step; shape (steps, roads)."""
    rng, steps = np.random.default_rng(seed), round(days * 288)
    hour = np.arange(steps) % 288 / 12
    rush = np.exp(-(((hour - 8) / 1.5) ** 2)) + np.exp(-(((hour - 18) / 2) ** 2))
    disturbance = np.zeros((steps, roads))
    for step in range(1, steps):
        disturbance[step] = 0.95 * np.roll(disturbance[step - 1], 1) + rng.normal(0, 2, roads)
    return np.clip(60 - 20 * rush[:, None] + disturbance, 3, 120).astype(np.float32)


def store(database_url: str, road_ids: list[str], speeds_kmh: Floats, start: datetime = START) -> None:
    """Write one observation a step, and the roads, each on the edge of its name."""
    asyncio.run(_partitions(database_url, start, start + STEP * len(speeds_kmh)))
    columns = (
        "road_id, observed_at, event_id, current_speed, free_flow_speed, jam_factor, congestion_level, speed_ratio, "
        "rush_hour"
    )
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        with cursor.copy(f"COPY road_observations ({columns}) FROM STDIN") as copy:
            for step, row in enumerate(speeds_kmh.tolist()):
                for road_id, speed in zip(road_ids, row, strict=True):
                    if speed == speed:
                        at = start + STEP * step
                        copy.write_row((road_id, at, "event", speed, 60.0, 1.0, "low", speed / 60, False))
        cursor.executemany(
            "INSERT INTO roads VALUES (%s, %s, 60, '[]', %s, 'test', now()) ON CONFLICT DO NOTHING",
            [(road_id, road_id, Jsonb([[road_id, 1.0]])) for road_id in road_ids],
        )


async def _partitions(database_url: str, start: datetime, end: datetime) -> None:
    connection = await asyncpg.connect(database_url)
    days = [start + timedelta(days=day) for day in range((end - start).days + 2)]
    await ensure_partitions(connection, [observations_partition(day) for day in days])
    await connection.close()
