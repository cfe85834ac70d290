"""Checked observations of roads, as the feed agent sends them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from aiokafka import ConsumerRecord

from models.roads.current import RoadObservation, encode_road_observation
from models.timestamps import rfc3339


def observation(
    road_id: str, at_seconds: float, speed_kmh: float, source_offset: int, **changes: Any
) -> RoadObservation:
    """An observation of a road on one edge of the same name."""
    values: dict[str, Any] = {
        "event_id": f"{road_id}-{source_offset}",
        "timestamp": rfc3339(round(at_seconds * 1e6)),
        "road_id": road_id,
        "road_name": f"Via {road_id}",
        "current_speed": speed_kmh,
        "free_flow_speed": 60.0,
        "jam_factor": 2.0,
        "congestion_level": "low",
        "speed_ratio": round(speed_kmh / 60, 4),
        "rush_hour": False,
        "coordinates": [(11.34, 44.49), (11.35, 44.49)],
        "edges": [(road_id, 1.0)],
        "graph_version": "g",
        "source_partition": 0,
        "source_offset": source_offset,
        "record_timestamp": rfc3339(round(at_seconds * 1e6)),
    }
    return RoadObservation(**(values | changes))


def records(
    observations: Iterable[RoadObservation | bytes], first_offset: int = 0, at_seconds: float | None = None
) -> list[Any]:
    """Records of the topic of checked observations, sent at a time (now, if not given)."""
    now_ms = round((time.time() if at_seconds is None else at_seconds) * 1000)
    return [
        ConsumerRecord(
            "observations", 0, offset, now_ms, 0, None,
            one if isinstance(one, bytes) else encode_road_observation(one), None, -1, -1, (),
        )
        for offset, one in enumerate(observations, first_offset)
    ]  # fmt: skip
