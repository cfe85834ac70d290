"""Observations of roads, and the records that carry them."""

from __future__ import annotations

from typing import Any

import msgspec
from aiokafka import ConsumerRecord

from models.roads.current import RoadObservation, encode_road_observation
from models.timestamps import epoch_us, rfc3339

T0_US = epoch_us("2026-01-14T07:00:00Z")


def observation(road_id: str = "a10", seconds: float = 0, **changes: Any) -> RoadObservation:
    """What a road said some seconds after the beginning."""
    whole = RoadObservation(
        event_id=f"{road_id}-{seconds:g}",
        timestamp=rfc3339(T0_US + round(seconds * 1e6)),
        road_id=road_id,
        road_name="Via Roma",
        current_speed=20.0,
        free_flow_speed=50.0,
        jam_factor=4.5,
        congestion_level="medium",
        speed_ratio=0.4,
        rush_hour=True,
        coordinates=[(11.32, 44.5), (11.33, 44.5)],
        edges=[(road_id, 1.0)],
        graph_version="0123456789ab",
        source_partition=3,
        source_offset=7,
    )
    return msgspec.structs.replace(whole, **changes)


def observation_records(
    *observations: RoadObservation | bytes, first: int = 0, sent_ms: int = T0_US // 1000
) -> list[Any]:
    """Records of the topic."""
    return [
        ConsumerRecord(
            topic="trafficapp-road-observations",
            partition=0,
            offset=offset,
            timestamp=sent_ms,
            timestamp_type=0,
            key=None,
            value=one if isinstance(one, bytes) else encode_road_observation(one),
            checksum=None,
            serialized_key_size=-1,
            serialized_value_size=0,
            headers=(),
        )
        for offset, one in enumerate(observations, first)
    ]
