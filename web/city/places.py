"""``GET /api/places``: places by their names."""

from __future__ import annotations

import asyncio
from typing import Annotated

from aiohttp import web
from msgspec import Meta, Struct

from models.city.places import NamedPlace, encode_places
from trafficapp.city.places import PlaceNames, inside_of, streets_of
from trafficapp.roads.graph.road_graph import GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.settings import RoadSettings
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.registry import Registry


class PlacesQuery(Struct, frozen=True, kw_only=True):
    """``query`` is what somebody typed: the begin of each word is enough."""

    query: Annotated[str, Meta(min_length=1, max_length=100)]
    limit: Annotated[int, Meta(ge=1, le=50)] = 10


class Places:
    """The view; names of streets are read once."""

    def __init__(self) -> None:
        self._streets: dict[RoadSettings, asyncio.Task[PlaceNames]] = {}

    async def find(self, request: web.Request, query: PlacesQuery) -> web.Response:
        """Streets, cameras and zones whose names have words that begin as the words of `query` do.

        Case and accents do not matter. Those whose first word does come first.
        """
        context = request.app[CONTEXT]
        registered = PlaceNames(_registered(context.registry))
        streets = await self._streets_of(context.settings.roads)
        found = [*registered.find(query.query, query.limit), *streets.find(query.query, query.limit)]
        return json_answer(encode_places(PlaceNames(found).find(query.query, query.limit)))

    async def _streets_of(self, settings: RoadSettings) -> PlaceNames:
        made = self._streets.get(settings)
        if made is None:
            made = self._streets[settings] = asyncio.create_task(asyncio.to_thread(_streets, settings))
        try:
            return await asyncio.shield(made)
        except GraphError:
            # it may be imported later
            self._streets.pop(settings, None)
            return PlaceNames([])


def _streets(settings: RoadSettings) -> PlaceNames:
    return PlaceNames(streets_of(city_graph(settings)))


def _registered(registry: Registry) -> list[NamedPlace]:
    found = []
    for camera in registry.cameras.values():
        if camera.latitude is not None and camera.longitude is not None:
            found.append(
                NamedPlace(
                    kind="camera",
                    id=camera.camera_id,
                    name=camera.name or camera.camera_id,
                    latitude=camera.latitude,
                    longitude=camera.longitude,
                )
            )
    for zone in registry.zones:
        longitude, latitude = inside_of(zone.ring)
        found.append(NamedPlace(kind="zone", id=str(zone.id), name=zone.name, latitude=latitude, longitude=longitude))
    return found


def operations() -> list[Operation]:
    """What this module answers."""
    return [Operation("GET /api/places", Places().find, Tag.CURRENT, list[NamedPlace])]
