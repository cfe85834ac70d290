"""Cameras and zones that are registered, as GeoJSON for maps."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from aiohttp import web
from msgspec import Struct

from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag

_encode = msgspec.json.Encoder().encode


class PlaceFeature(Struct, frozen=True, tag_field="type", tag="Feature"):
    """A camera (a point, null where nobody said its place) or a zone (a polygon)."""

    id: str
    geometry: dict[str, Any] | None
    properties: dict[str, Any]


class PlaceCollection(Struct, frozen=True):
    """Features, in order of their ids."""

    features: list[PlaceFeature]
    type: Literal["FeatureCollection"] = "FeatureCollection"


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /api/map/cameras", cameras, Tag.CURRENT, PlaceCollection),
        Operation("GET /api/map/zones", zones, Tag.CURRENT, PlaceCollection),
    ]


async def cameras(request: web.Request) -> web.Response:
    """Registered cameras as GeoJSON: `name`, `road_segment`."""
    registry = request.app[CONTEXT].registry
    await registry.need()
    features = []
    for camera_id, camera in sorted(registry.cameras.items()):
        place = registry.place(camera_id)
        geometry = None if place is None else {"type": "Point", "coordinates": [place.longitude, place.latitude]}
        properties = {"name": camera.name, "road_segment": camera.road_segment}
        features.append(PlaceFeature(camera_id, geometry, properties))
    return json_answer(_encode(PlaceCollection(features)))


async def zones(request: web.Request) -> web.Response:
    """Monitoring zones as GeoJSON: `name`, and `camera_ids` of the cameras in it."""
    registry = request.app[CONTEXT].registry
    await registry.need()
    features = [
        PlaceFeature(
            str(zone.id),
            {"type": "Polygon", "coordinates": [[list(corner) for corner in zone.ring]]},
            {"name": zone.name, "camera_ids": sorted(registry.cameras_in(zone.name) or ())},
        )
        for zone in registry.zones
    ]
    return json_answer(_encode(PlaceCollection(features)))
