"""The newest prediction of every road in Redis: names of the keys, and reading them.

==============================  ============================================================================
``road:{road_id}:predicted``    `models.roads.predictions.RoadPrediction` as JSON; expires half an hour after it came
``roads:predicted``             sorted set: road_id, scored by when its newest prediction was made, epoch seconds
==============================  ============================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from trafficapp.stores.redis.connection import scan_pairs

PREDICTED_KEY = "roads:predicted"

#: As far as a prediction reaches.
PREDICTED_SECONDS = 1800

_KEYS_PER_COMMAND = 500


def prediction_key(road_id: str) -> str:
    """Key of a road's newest prediction."""
    return f"road:{road_id}:predicted"


class CurrentPredictions:
    """Reads the newest predictions.

    Every method raises one of `trafficapp.stores.redis.connection.UNAVAILABLE` when Redis is away.
    """

    def __init__(self, client: Redis) -> None:
        self.client = client

    async def road_ids(self) -> list[str]:
        """Every road that was predicted lately, in order of the ids."""
        found: set[str] = set()
        async for roads in scan_pairs(self.client, "ZSCAN", PREDICTED_KEY):
            found.update(road_id for road_id, _ in roads)
        return sorted(found)

    async def documents(self, road_ids: Sequence[str]) -> list[bytes]:
        """Predictions as JSON, in the order asked for; a road that was not predicted for half an hour is left out."""
        found: list[bytes] = []
        for first in range(0, len(road_ids), _KEYS_PER_COMMAND):
            keys = [prediction_key(road_id) for road_id in road_ids[first : first + _KEYS_PER_COMMAND]]
            values: Any = await self.client.mget(keys)
            found.extend(value for value in values if value is not None)
        return found
