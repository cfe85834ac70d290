"""How traffic flows in the whole city, reckoned from what Redis has of roads and vehicles, and put there.

``traffic:road:{road_id}``
    `models.city.traffic.RoadTraffic` as JSON, for ten minutes.
``city:summary``
    `models.city.traffic.CitySummary` as JSON, for ten minutes.
``city:told``
    channel: ``{"summary": …, "roads": [… those that changed …]}``.

Any worker of the role ``live`` does it, one at a time; all of it follows from the newest documents, so it does not
matter which, nor where somebody is killed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from models.city.traffic import CitySummary, RoadTraffic
from models.records import MALFORMED
from models.roads.current import RoadObservation
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us
from trafficapp.city.traffic import CityTraffic, LocatedVehicle, ObservedRoad, RoadMap, city_traffic
from trafficapp.fleet.feeds import POSITIONS
from trafficapp.incidents.feeds import INCIDENT_STEPS
from trafficapp.roads.feeds import ROADS
from trafficapp.settings import Settings
from trafficapp.stores.cameras.health import unhealthy_roads
from trafficapp.stores.feeds.current import CurrentDocuments, current_of
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.redis.documents import readable

logger = logging.getLogger(__name__)

SUMMARY_KEY = "city:summary"
CHANNEL = "city:told"
#: How long what was reckoned is kept, by the contract with those who read the keys.
KEPT_SECONDS = 600

_LEASE_KEY = "city:reckoning"
_DOCUMENTS_AT_ONCE = 2000
#: Documents of vehicles that Redis puts together, which takes it a part of a millisecond.
_ARRAY_OF = 500


def road_key(road_id: str) -> str:
    """Key of a road's traffic."""
    return f"traffic:road:{road_id}"


class CityTold(Struct, frozen=True):
    """What the channel tells."""

    summary: CitySummary
    roads: list[RoadTraffic]


class _Located(Struct):
    """What is read of where a vehicle is; ``received_at`` is when the broker took its fix."""

    latitude: float
    longitude: float
    speed: float | None
    direction: float | None
    received_at: datetime


class _Emergency(Struct):
    """What is read of an incident."""

    status: str
    is_emergency: bool


_decode_emergency = msgspec.json.Decoder(_Emergency).decode
_decode_road = msgspec.json.Decoder(RoadObservation).decode
_decode_vehicle = msgspec.json.Decoder(_Located).decode
_decode_vehicles = msgspec.json.Decoder(list[_Located]).decode


class CityReckoning:
    """Reckons how traffic flows, again and again.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        settings: of the process.
    """

    def __init__(self, client: Redis, settings: Settings) -> None:
        self._client, self._every_seconds = client, settings.city.summary_seconds
        self._present_us = round(settings.city.present_seconds * MICROSECONDS_PER_SECOND)
        self._told: dict[str, RoadTraffic] = {}
        self._map: tuple[frozenset[tuple[str, int]], RoadMap] | None = None

    async def run(self) -> None:
        """Reckon until cancelled."""
        while True:
            try:
                if await self._is_our_turn():
                    await self.reckon(time.time_ns() // 1000)
            except UNAVAILABLE:
                pass  # the sinks tell that Redis is away
            except Exception:
                logger.exception("how traffic flows in the city cannot be reckoned now")
            await asyncio.sleep(self._every_seconds)

    async def reckon(self, now_us: int) -> CityTold:
        """Put how traffic flows now, and tell of it.

        Args:
            now_us: microseconds since the epoch.

        Raises:
            RedisError: Redis does not answer.
        """
        roads = [road async for road in self._roads()]
        located, vehicles = 0, list[LocatedVehicle]()
        async for vehicle in self._vehicles():
            located += 1
            if now_us - vehicle.time_us <= self._present_us:
                vehicles.append(vehicle)
        emergencies, unhealthy = await active_emergencies(self._client), await unhealthy_roads(self._client)
        traffic = await asyncio.to_thread(self._traffic, roads, vehicles, unhealthy)
        told = CityTold(
            traffic.summary(located, emergencies, now_us),
            [road for road in traffic.roads if self._told.get(road.road_id) != road],
        )
        await self._put(traffic, told)
        self._told = {road.road_id: road for road in traffic.roads}
        return told

    def _traffic(
        self, roads: list[ObservedRoad], vehicles: list[LocatedVehicle], unhealthy: frozenset[str]
    ) -> CityTraffic:
        shape = frozenset((road.road_id, hash(tuple(map(tuple, road.line)))) for road in roads)
        if self._map is None or self._map[0] != shape:
            self._map = shape, RoadMap({road.road_id: road.line for road in roads})
        return city_traffic(roads, vehicles, self._map[1], unhealthy)

    async def _is_our_turn(self) -> bool:
        """One worker at a time: the turn passes on when it is not taken."""
        milliseconds = round(self._every_seconds * 900)
        return bool(await self._client.set(_LEASE_KEY, b"1", nx=True, px=milliseconds))

    async def _roads(self) -> AsyncIterator[ObservedRoad]:
        async for document in _documents(CurrentDocuments(self._client, ROADS)):
            try:
                road = _decode_road(document)
                speed_kmh = road.current_speed if road.is_measured else None
                yield ObservedRoad(
                    road.road_id, road.coordinates, speed_kmh, road.free_flow_speed, epoch_us(road.timestamp)
                )
            except MALFORMED as error:
                logger.warning("ignoring what stands for a road: %s", error)

    async def _vehicles(self) -> AsyncIterator[LocatedVehicle]:
        current = CurrentDocuments(self._client, POSITIONS)
        keys = await current.keys()
        for first in range(0, len(keys), _ARRAY_OF):
            for one in await _located(current, keys[first : first + _ARRAY_OF]):
                received_us = epoch_us(one.received_at)
                yield LocatedVehicle(one.latitude, one.longitude, one.direction, one.speed, received_us)

    async def _put(self, traffic: CityTraffic, told: CityTold) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            for road in traffic.roads:
                pipeline.set(road_key(road.road_id), msgspec.json.encode(road), ex=KEPT_SECONDS)
            pipeline.set(SUMMARY_KEY, msgspec.json.encode(told.summary), ex=KEPT_SECONDS)
            pipeline.publish(CHANNEL, msgspec.json.encode(told))
            await pipeline.execute()


async def _located(current: CurrentDocuments, keys: Sequence[str]) -> list[_Located]:
    """The vehicles of keys; what stands for one and is none is left out."""
    try:
        return _decode_vehicles(await current.array_of(keys))
    except MALFORMED:
        # it is some of them, or one
        return readable(await current.documents(keys), _decode_vehicle, "vehicles")


async def _documents(current: CurrentDocuments) -> AsyncIterator[bytes]:
    keys = await current.keys()
    for first in range(0, len(keys), _DOCUMENTS_AT_ONCE):
        for document in await current.documents(keys[first : first + _DOCUMENTS_AT_ONCE]):
            yield document


async def active_emergencies(client: Redis) -> int:
    """How many emergencies go on.

    Raises:
        RedisError: Redis does not answer.
    """
    count = 0
    async for document in _documents(CurrentDocuments(client, INCIDENT_STEPS)):
        with suppress(*MALFORMED):
            one = _decode_emergency(document)
            count += one.is_emergency and one.status != "resolved"
    return count


async def counts(client: Redis) -> tuple[int, int, int]:
    """Vehicles, emergencies that go on, and roads; of vehicles and roads what has just expired may be counted.

    Raises:
        RedisError: Redis does not answer.
    """
    async with client.pipeline(transaction=False) as pipeline:
        for feed in (POSITIONS, ROADS):
            pipeline.zcard(current_of(feed).listed)
        found: Any = await pipeline.execute()
    vehicles, roads = map(int, found)
    return vehicles, await active_emergencies(client), roads
