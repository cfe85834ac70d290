"""Questions for routes and their answers: ``POST /route/recommend``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class RoutePlace(Struct, frozen=True, kw_only=True):
    """A place, degrees, WGS 84."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lng: Annotated[float, Meta(ge=-180, le=180)]


class RouteWaypoint(Struct, frozen=True, kw_only=True):
    """A point to draw a route by; ``road_name`` is the road that begins or goes on there."""

    lat: float
    lng: float
    road_name: str
