"""The graph's speeds in Redis and on ``route-updates``: written by the one worker that predicts, read by all.

``graph:{city}:current``   speeds now and predicted, `trafficapp.roads.routing.published`; no expiry
``graph:{city}:profile``   usual speeds over the day, `trafficapp.roads.routing.usual_speeds`; no expiry
``graph:{city}``           channel: the version of whatever was put
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import numpy as np
import numpy.typing as npt
from redis.asyncio import Redis

from models.roads.predictions import PredictionSource
from models.roads.route_updates import RouteUpdate, encode_route_update
from models.timestamps import epoch_us, rfc3339
from trafficapp.engine.outbox import Outbox
from trafficapp.roads.graph.road_graph import Floats, RoadGraph
from trafficapp.roads.routing.published import PublishedSpeeds, encode_speeds
from trafficapp.roads.routing.road_speeds import Shares, speeds_of_edges
from trafficapp.roads.routing.usual_speeds import UsualSpeeds, encode_usual
from trafficapp.roads.routing.weights import HORIZONS_SECONDS
from trafficapp.stores.outage import Outage
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.roads.versioned_document import VersionedDocument
from trafficapp.topics import ROUTE_UPDATES

_NAMESPACE = UUID("5f0c8b0e-6a55-5f0e-9d3c-3a4f5e0f7c11")
_WATCH_SECONDS = 2.0


def graph_key(city: str) -> str:
    """Key of the speeds now and predicted."""
    return f"graph:{city}:current"


def profile_key(city: str) -> str:
    """Key of the usual speeds."""
    return f"graph:{city}:profile"


def graph_channel(city: str) -> str:
    """Channel on which a new version of either is told."""
    return f"graph:{city}"


class GraphPublisher:
    """Publishes the speeds of the road graph. One worker at a time does; an older version never replaces a newer one.

    Args:
        redis: from `trafficapp.stores.redis.connection.connect`.
        outbox: sends the records of ``route-updates``.
        graph: the road graph.
        city: its name in the keys.
    """

    def __init__(self, redis: Redis, outbox: Outbox, graph: RoadGraph, city: str) -> None:
        self._outbox, self._graph, self._city = outbox, graph, city
        self._publisher = uuid4().hex
        self._speeds = VersionedDocument(redis, graph_key(city), graph_channel(city))
        self._profile = VersionedDocument(redis, profile_key(city), graph_channel(city))
        self._outage = Outage("Redis (road graph)")

    async def publish(
        self,
        edges: Mapping[str, Sequence[tuple[str, float]]],
        speeds_kmh: Mapping[str, Sequence[float | None]],
        made_at: datetime,
        *,
        observed_at: datetime | None,
        sources: Mapping[str, PredictionSource],
        free_flow_kmh: Mapping[str, float],
        closed_at: Mapping[str, datetime] | None = None,
    ) -> RouteUpdate | None:
        """Publish a new version; returns when ``route-updates`` has it. While Redis is away the newest is kept.

        Args:
            edges: the edges of each road with the share that it covers; those the graph lacks are left out.
            speeds_kmh: for each road the speed now and in 10, 20 and 30 minutes, None where nothing is known.
            made_at: when this was known, aware.
            observed_at: when the newest of all speeds was measured.
            sources: for each road who said its speeds; on the edges of one that was measured, those that were not do
                not count.
            free_flow_kmh: for each road its speed when nothing is in the way, as the feed tells it.
            closed_at: edges on which nobody may drive, and when that was told last, aware; their speeds are 0.

        Returns:
            what was told on ``route-updates``; None when nobody can read this version: Redis is away, or it was left
            out behind that of another worker.

        Raises:
            KafkaError: the producer has failed.
            ValueError: a road does not have four speeds.
        """
        version = await self._speeds.next_version(made_at)

        def encoded() -> tuple[bytes, int]:
            measured = {road for road, source in sources.items() if source != "time_of_day"}
            shares, speeds = self._of_edges(edges, speeds_kmh, measured=measured)
            free_flow = {road: [speed] for road, speed in free_flow_kmh.items()}
            _, free = self._of_edges(edges, free_flow, 1, measured)
            position = self._graph.position_of_edge
            closed = {position[edge]: told_at for edge, told_at in (closed_at or {}).items() if edge in position}
            speeds[:, list(closed)] = 0.0
            published = PublishedSpeeds(
                version=version,
                publisher=self._publisher,
                made_at=made_at,
                observed_at=observed_at,
                sources=Counter(source for road, source in sources.items() if road in shares),
                horizons_seconds=HORIZONS_SECONDS,
                speeds_kmh=speeds,
                free_flow_kmh=free[0],
                closed_at=closed,
            )
            told = {road for road, speeds in speeds_kmh.items() if any(speed is not None for speed in speeds)}
            told |= {road for road, on in shares.items() if any(edge in closed for edge, _ in on)}
            return encode_speeds(self._graph, published), len(told & shares.keys())

        # in a thread, since a city may have tens of thousands of roads
        content, updated = await asyncio.to_thread(encoded)
        there = await self._put(self._speeds, version, content, made_at)
        if there is None:
            return None
        update = RouteUpdate(
            event_id=str(uuid5(_NAMESPACE, f"{self._city}\n{there}")),
            timestamp=rfc3339(epoch_us(made_at)),
            graph_version=there,
            roads_updated=updated,
        )
        sent = await self._outbox.send(ROUTE_UPDATES, 0, [(None, encode_route_update(update))])
        await asyncio.gather(*sent)
        return update

    async def publish_profile(
        self,
        edges: Mapping[str, Sequence[tuple[str, float]]],
        road_ids: Sequence[str],
        speeds_kmh: npt.NDArray[np.floating[Any]],
        weekend_kmh: npt.NDArray[np.floating[Any]] | None,
        zone: str,
        made_at: datetime,
    ) -> None:
        """Publish usual speeds over the day, for departures later than the predictions reach.

        Args:
            edges: as of `publish`.
            road_ids: the roads of the columns of ``speeds_kmh``.
            speeds_kmh: shape (parts of the local day, roads), as in `trafficapp.forecast.profiles.DayProfile`.
            weekend_kmh: those of Saturdays and Sundays, None where they are the same.
            zone: the city's time zone.
            made_at: when this was known, aware.
        """
        version = await self._profile.next_version(made_at)

        def encoded() -> bytes:
            rows = speeds_kmh if weekend_kmh is None else np.concatenate([speeds_kmh, weekend_kmh])
            columns = np.asarray(rows, float).T.tolist()
            _, speeds = self._of_edges(edges, dict(zip(road_ids, columns, strict=True)), len(rows))
            return encode_usual(self._graph, UsualSpeeds(version, zone, speeds, weekend_kmh is not None))

        await self._put(self._profile, version, await asyncio.to_thread(encoded), made_at)

    async def watch(self) -> None:
        """Put again what Redis lost or did not take; runs until cancelled."""
        while True:
            try:
                await self._speeds.put_again()
                await self._profile.put_again()
                self._outage.over()
                await asyncio.sleep(_WATCH_SECONDS)
            except UNAVAILABLE as error:
                self._outage.met(error)
                await self._outage.pause()

    async def _put(self, document: VersionedDocument, version: str, content: bytes, made_at: datetime) -> str | None:
        try:
            return await document.put(version, content, made_at)
        except UNAVAILABLE as error:
            self._outage.met(error)
            return None

    def _of_edges(
        self,
        edges: Mapping[str, Sequence[tuple[str, float]]],
        speeds_kmh: Mapping[str, Sequence[float | None]],
        rows: int = len(HORIZONS_SECONDS),
        measured: Collection[str] | None = None,
    ) -> tuple[Shares, Floats]:
        position = self._graph.position_of_edge
        shares = {
            road: known
            for road, told in edges.items()
            if (known := [(position[edge], share) for edge, share in told if edge in position])
        }
        return shares, speeds_of_edges(self._graph, shares, speeds_kmh, rows, measured)
