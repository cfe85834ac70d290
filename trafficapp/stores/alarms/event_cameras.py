"""Which cameras stand on which congestion event: written down beside the events, for whoever folds their alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from models.records import MALFORMED
from trafficapp.congestion.cameras import cameras_on, roads_of_cameras
from trafficapp.roads.graph.awaited import AwaitedGraph
from trafficapp.roads.graph.index import RoadIndex
from trafficapp.settings import Settings
from trafficapp.stores.cameras.registry_queries import registered
from trafficapp.stores.redis.documents import left_out

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

_OPEN = "SELECT event_id, updated_at, roads FROM congestion_events WHERE ended_at IS NULL"
_ADD = """
    INSERT INTO congestion_event_cameras (event_id, camera_id, since)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS found (event_id, camera_id, since)
    ON CONFLICT DO NOTHING
"""
_FORGET = "DELETE FROM congestion_event_cameras WHERE since < now() - $1::interval"


class _Road(Struct):
    road_id: str


_decode_roads = msgspec.json.Decoder(list[_Road]).decode


class EventCameras:
    """Puts registered cameras on the events that go on. Repeats and other workers beside it change nothing.

    Args:
        settings: of the process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._graph = AwaitedGraph(settings.roads, "alerts of cameras are not folded into congestion events")
        self._index: RoadIndex | None = None
        self._places: Mapping[str, tuple[float, float]] = {}
        self._roads: Mapping[str, frozenset[str]] = {}

    async def put(self, pool: Pool) -> int:
        """Look at the events that go on; how many cameras were found on them.

        Args:
            pool: of `trafficapp.stores.postgres.connection.create_pool`.
        """
        events = await pool.fetch(_OPEN)
        if not events:
            return 0
        cameras, _ = await registered(pool)
        places = {
            one.camera_id: (one.latitude, one.longitude)
            for one in cameras
            if one.latitude is not None and one.longitude is not None
        }
        if places != self._places and not await asyncio.to_thread(self._look, places):
            return 0
        found = [
            (event["event_id"], camera_id, event["updated_at"])
            for event in events
            for camera_id in cameras_on(self._roads, _road_ids(event["roads"]))
        ]
        if found:
            await pool.execute(_ADD, *map(list, zip(*found, strict=True)))
        return len(found)

    async def forget_old(self, pool: Pool) -> None:
        """Forget those of events that are not kept any more."""
        await pool.execute(_FORGET, f"{self._settings.retention.notifications_days} days")

    def _look(self, places: Mapping[str, tuple[float, float]]) -> bool:
        if self._index is None:
            graph = self._graph.graph
            if graph is None:
                return False
            self._index = RoadIndex.build(graph)
        self._roads = roads_of_cameras(self._index, places, self._settings.roads.match_reach_m)
        self._places = places
        return True


def _road_ids(roads: str) -> Sequence[str]:
    try:
        return [road.road_id for road in _decode_roads(roads)]
    except MALFORMED as error:
        left_out("roads of a congestion event", error)
        return []
