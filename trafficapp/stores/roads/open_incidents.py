"""Incidents that go on, with the edges that they are on: looked up in Redis, and no round waits for it long.

They are what the newest steps of incidents say, no part of the log that congestion events follow from: decision 0030.
"""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec
from redis.asyncio import Redis

from models.incidents.current import Incident
from models.records import MALFORMED
from trafficapp.congestion.causes import PlacedIncident
from trafficapp.incidents.effects import edges_at
from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.roads.graph.index import RoadIndex
from trafficapp.roads.graph.road_graph import RoadGraph
from trafficapp.settings import IncidentSettings
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.connection import UNAVAILABLE

logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 5.0
_WITHIN_SECONDS = 0.5

_decode = msgspec.json.Decoder(Incident).decode


class OpenIncidents:
    """Incidents that a desk or an operator says are going on, as they were looked up last.

    Args:
        redis: closed by its owner.
        graph: that they are put on.
        settings: how far a road may be.
    """

    def __init__(self, redis: Redis, graph: RoadGraph, settings: IncidentSettings) -> None:
        self._current, self._graph, self._settings = CurrentDocuments(redis, INCIDENT_STEPS), graph, settings
        self._index: RoadIndex | None = None
        self._placed: dict[tuple[str, int], PlacedIncident] = {}
        self._looked_at = -_LOOK_AGAIN_SECONDS

    async def now(self) -> list[PlacedIncident]:
        """All of them; those of before when Redis does not answer in time."""
        if time.monotonic() - self._looked_at >= _LOOK_AGAIN_SECONDS:
            self._looked_at = time.monotonic()
            try:
                async with asyncio.timeout(_WITHIN_SECONDS):
                    documents = await self._current.documents(await self._current.keys())
            except (TimeoutError, *UNAVAILABLE) as error:
                logger.debug("incidents cannot be looked up: %s", error)
            else:
                self._placed = await asyncio.to_thread(self._place, documents)
        return list(self._placed.values())

    def _place(self, documents: list[bytes]) -> dict[tuple[str, int], PlacedIncident]:
        placed = {}
        for document in documents:
            try:
                one = _decode(document)
            except MALFORMED as error:
                logger.warning("ignoring what stands for an incident: %s", error)
                continue
            if one.state in ("verified", "responding"):
                key = one.incident_id, one.revision
                placed[key] = self._placed.get(key) or PlacedIncident(one, self._edges(one))
        return placed

    def _edges(self, one: Incident) -> frozenset[int]:
        if self._index is None:
            self._index = RoadIndex.build(self._graph)
        return frozenset(edges_at(self._index, one.latitude, one.longitude, one.heading, self._settings.reach_m))
