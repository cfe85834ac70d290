"""Speeds of a corridor over time and distance: rows are roads in driving direction, columns are steps."""

from __future__ import annotations

import math

import numpy as np

from models.roads.measures import SpeedSurface, SurfaceRoad
from models.timestamps import epoch_us, rfc3339
from trafficapp.measures.paces import StepPaces

#: Lengths of steps that a surface may have, the finest first, and how many of them at most.
STEPS_SECONDS = (300, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
MOST_STEPS = 300


def step_seconds_of(span_seconds: float) -> int:
    """The finest step that leaves no more than `MOST_STEPS` of a span; the coarsest when none does."""
    return next((step for step in STEPS_SECONDS if span_seconds <= step * MOST_STEPS), STEPS_SECONDS[-1])


def surface(paces: StepPaces, corridor_id: int, name: str) -> SpeedSurface:
    """The surface; a speed is the reciprocal of the mean pace, None where nothing was measured. Nothing is filled."""
    roads, begin_m = [], 0.0
    for road in paces.roads:
        roads.append(
            SurfaceRoad(
                road_id=road.road_id, road_name=road.road_name, begin_m=round(begin_m, 1),
                end_m=round(begin_m + road.length_m, 1), free_flow_kmh=road.free_flow_kmh,
            )
        )  # fmt: skip
        begin_m += road.length_m
    with np.errstate(divide="ignore", invalid="ignore"):
        speeds = (1 / paces.hours_per_km.T).round(1).tolist()
    return SpeedSurface(
        corridor_id=corridor_id,
        name=name,
        step_seconds=paces.step_seconds,
        starts=[rfc3339(epoch_us(start)) for start in paces.starts],
        roads=roads,
        speeds_kmh=[[speed if math.isfinite(speed) else None for speed in row] for row in speeds],
    )
