"""The newest observation of every road in Redis: names of the keys, and reading them.

============================  ============================================================================
``road:{road_id}:current``    `models.roads.current.RoadObservation` as JSON; expires ten minutes after it came
``roads:observed``            sorted set: road_id, scored by the time of its newest observation in epoch seconds
============================  ============================================================================
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from models.records import MALFORMED
from models.roads.current import RoadCongestionLevel, RoadNow, speed_from
from trafficapp.stores.roads.newest_documents import NewestDocuments

logger = logging.getLogger(__name__)

OBSERVED_KEY = "roads:observed"

#: How long a road without a newer observation counts as known.
CURRENT_SECONDS = 600


class _Observed(Struct):
    """What is read of a document."""

    road_id: str
    road_name: str
    current_speed: float
    jam_factor: float
    congestion_level: RoadCongestionLevel
    timestamp: str
    closed: bool = False
    confidence: float | None = None


_decode = msgspec.json.Decoder(_Observed).decode


def road_key(road_id: str) -> str:
    """Key of a road's newest observation."""
    return f"road:{road_id}:current"


class CurrentRoads(NewestDocuments):
    """Reads the newest observations."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client, OBSERVED_KEY, road_key)

    async def roads(self, road_ids: Sequence[str]) -> list[RoadNow]:
        """Roads as they are now, in the order asked for; one that was not observed for ten minutes is left out."""
        found: list[RoadNow] = []
        async for key, document in self.by_key(road_ids):
            try:
                found.append(_road_now(_decode(document)))
            except MALFORMED as error:
                logger.warning("ignoring what %s holds: %s", key, error)
        return found


def _road_now(observed: _Observed) -> RoadNow:
    return RoadNow(
        road_id=observed.road_id,
        road_name=observed.road_name,
        current_speed=observed.current_speed,
        jam_factor=observed.jam_factor,
        congestion_level=observed.congestion_level,
        last_updated=observed.timestamp,
        closed=observed.closed,
        confidence=observed.confidence,
        speed_from=None if observed.closed else speed_from(observed.confidence),
    )
