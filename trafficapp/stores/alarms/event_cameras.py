"""Which cameras stand on which congestion event: written down beside the events, for whoever folds their alerts."""

from __future__ import annotations

import asyncio
import time
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

#: How often it is looked which cameras are registered, while there are events.
_LOOK_SECONDS = 30.0

_OPEN = "SELECT event_id, updated_at, roads FROM congestion_events WHERE ended_at IS NULL"
_ADD = """
    INSERT INTO congestion_event_cameras (event_id, camera_id, since)
    SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[]) AS found (event_id, camera_id, since)
    ON CONFLICT DO NOTHING
"""


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
        self._look_again = float("-inf")

    async def put(self, pool: Pool) -> int:
        """Look at the events that go on; how many cameras were found on them.

        Args:
            pool: of `trafficapp.stores.postgres.connection.create_pool`.
        """
        events = await pool.fetch(_OPEN)
        if not events:
            return 0
        if time.monotonic() >= self._look_again:
            await self._look(pool)
        found = [
            (event["event_id"], camera_id, event["updated_at"])
            for event in events
            for camera_id in cameras_on(self._roads, _road_ids(event["roads"]))
        ]
        if found:
            await pool.execute(_ADD, *map(list, zip(*found, strict=True)))
        return len(found)

    async def _look(self, pool: Pool) -> None:
        cameras, _ = await registered(pool)
        places = {
            one.camera_id: (one.latitude, one.longitude)
            for one in cameras
            if one.latitude is not None and one.longitude is not None
        }
        if places == self._places or await asyncio.to_thread(self._put_on_roads, places):
            self._look_again = time.monotonic() + _LOOK_SECONDS

    def _put_on_roads(self, places: Mapping[str, tuple[float, float]]) -> bool:
        """Whether the graph is there to put them on."""
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
