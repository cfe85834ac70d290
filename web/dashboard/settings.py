"""What the dashboard has to know of this installation before it draws anything."""

from __future__ import annotations

import msgspec
from aiohttp import web
from msgspec import Struct

from trafficapp.engine.telemetry import package_version
from web.auth.access import AUTHORITY, Access
from web.serving.answers import json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag

_encode = msgspec.json.Encoder().encode


class DashboardSettings(Struct, frozen=True):
    """What pages show by.

    Attributes:
        version: of the worker.
        city: name of the city.
        time_zone: of the city, as IANA names it.
        bounds: south, west, north, east of the city, degrees; null when any place is accepted.
        window_seconds: length of a camera's window.
        feeds: names of those that are switched on.
        has_timetable: whether public transport has a timetable here.
        reads_need_token: whether figures are told only to callers with a token.
        tokens_exist: whether any token can be valid here: else nobody can write.
        acknowledge_needs_token: whether an alert is taken on only with one.
        tiles_url: of a map below the roads, `{z}`, `{x}` and `{y}` in it; null: none, and nobody else is asked.
        tiles_attribution: whom it names.
    """

    version: str
    city: str
    time_zone: str
    bounds: list[float] | None
    window_seconds: float
    feeds: list[str]
    has_timetable: bool
    reads_need_token: bool
    tokens_exist: bool
    acknowledge_needs_token: bool
    tiles_url: str | None
    tiles_attribution: str


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation("GET /api/dashboard/settings", settings, Tag.OPERATION, DashboardSettings, access=Access.OPEN),
    ]


async def settings(request: web.Request) -> web.Response:
    """What the dashboard has to know of this installation."""
    context = request.app[CONTEXT]
    authority = request.app[AUTHORITY]
    chosen = context.settings
    found = DashboardSettings(
        version=package_version(),
        city=chosen.roads.city,
        time_zone=chosen.roads.zone,
        bounds=None if chosen.city.bounds is None else list(chosen.city.bounds),
        window_seconds=chosen.windows.size_seconds,
        feeds=[feed.name for feed in context.feeds],
        has_timetable=chosen.transit.timetable_dir is not None,
        reads_need_token=not authority.public_reads,
        tokens_exist=authority.knows_tokens,
        acknowledge_needs_token=not authority.public_acknowledge,
        tiles_url=chosen.dashboard.tiles_url,
        tiles_attribution=chosen.dashboard.tiles_attribution,
    )
    return json_answer(_encode(found))
