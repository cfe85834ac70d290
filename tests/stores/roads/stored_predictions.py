"""Puts predictions and the observations they are compared with into Postgres."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg

from trafficapp.stores.postgres.time_partitions import ensure_partitions, observations_partition, predictions_partition

STEP = timedelta(minutes=5)


async def keep_observations(connection: asyncpg.Connection[Any], rows: Iterable[tuple[str, datetime, float]]) -> None:
    """Rows of road, time and speed; the roads remember the newest."""
    listed = list(rows)
    await ensure_partitions(connection, {observations_partition(at) for _, at, _ in listed})
    await connection.executemany(
        "INSERT INTO road_observations VALUES ($1, $2, 'event', $3, 60, 1, 'low', 1, false) ON CONFLICT DO NOTHING",
        listed,
    )
    await connection.executemany(
        "INSERT INTO roads VALUES ($1, $1, 60, '[]', '[]', 'test', $2) "
        "ON CONFLICT (road_id) DO UPDATE SET last_seen = greatest(roads.last_seen, EXCLUDED.last_seen)",
        [(road_id, at) for road_id, at, _ in listed],
    )


async def keep_predictions(
    connection: asyncpg.Connection[Any],
    rows: Iterable[tuple[str, datetime, float | None, tuple[float, float, float]]],
    model_version: str = "ours-1",
    half_width: float | None = 4.0,
) -> None:
    """Rows of road, begin of the step, its mean speed and the three predicted speeds; the newest speed is far off."""
    listed = list(rows)
    await ensure_partitions(connection, {predictions_partition(step_start) for _, step_start, *_ in listed})
    await connection.executemany(
        "INSERT INTO predictions VALUES ($1, $2, $2, $3, $4, $5, $6, $7, 0.9, $8, $9, $10, 'model', $11) "
        "ON CONFLICT (road_id, step_start) DO UPDATE SET model_version = EXCLUDED.model_version",
        [
            (
                *(road_id, step_start, uuid4(), 300.0, *said),
                [None if half_width is None else speed - half_width for speed in said],
                [None if half_width is None else speed + half_width for speed in said],
                model_version,
                step_speed,
            )
            for road_id, step_start, step_speed, said in listed
        ],
    )
