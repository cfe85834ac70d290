"""Roads as they are now, read from the newest observations in Redis."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from models.roads.current import RoadCongestionLevel, RoadNow, speed_from
from trafficapp.roads.feeds import ROADS
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.documents import readable

logger = logging.getLogger(__name__)


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
    vehicles: int | None = None
    credibility: float | None = None


_decode = msgspec.json.Decoder(_Observed).decode


class CurrentRoads(CurrentDocuments):
    """Reads the newest observations."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client, ROADS)

    async def roads(self, road_ids: Sequence[str]) -> list[RoadNow]:
        """Roads as they are now, in the order asked for; one that was not observed for ten minutes is left out."""
        return readable(await self.documents(road_ids), lambda document: _road_now(_decode(document)), "roads")


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
        vehicles=observed.vehicles,
        credibility=observed.credibility,
    )
