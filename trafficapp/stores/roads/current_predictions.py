"""The newest prediction of every road in Redis: names of the keys, and reading them.

==============================  ============================================================================
``road:{road_id}:predicted``    `models.roads.predictions.RoadPrediction` as JSON; expires half an hour after it came
``roads:predicted``             sorted set: road_id, scored by when its newest prediction was made, epoch seconds
==============================  ============================================================================
"""

from __future__ import annotations

from redis.asyncio import Redis

from trafficapp.stores.roads.newest_documents import NewestDocuments

PREDICTED_KEY = "roads:predicted"

#: As far as a prediction reaches.
PREDICTED_SECONDS = 1800


def prediction_key(road_id: str) -> str:
    """Key of a road's newest prediction."""
    return f"road:{road_id}:predicted"


class CurrentPredictions(NewestDocuments):
    """Reads the newest predictions, each JSON."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client, PREDICTED_KEY, prediction_key)
