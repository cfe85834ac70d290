"""``GET /api/fleet/vehicles/{vehicle_id}/trajectory``: where a vehicle was, from Postgres."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta, Struct

from models.fleet.positions import TrajectoryPoint
from models.timestamps import epoch_us, rfc3339
from trafficapp.stores.fleet.trajectories import newest_time
from trafficapp.stores.fleet.trajectories import trajectory as stored_points
from web.auth.access import Access, authorise_private
from web.feeds.forms import csv_lines
from web.serving import parameters
from web.serving.answers import NEXT_PAGE
from web.serving.context import CONTEXT, WebContext
from web.serving.operations import Operation, Tag
from web.serving.shapes import Moment, Name
from web.serving.spans import Span, span_between

DEFAULT_SPAN = timedelta(hours=1)
DEFAULT_POINTS, MAX_POINTS = 1000, 10_000

Form = Literal["json", "geojson", "csv"]
GEOJSON = "application/geo+json"
_COLUMNS = TrajectoryPoint.__struct_fields__


class VehiclePath(Struct, frozen=True, kw_only=True):
    """Which vehicle."""

    vehicle_id: Name


class TrajectoryQuery(Struct, frozen=True, kw_only=True):
    """Times in ``[from, to)``, by the vehicle's clock.

    Attributes:
        from_: without it an hour before `to`.
        to: without it up to the newest place, or now where that is later.
        format: an array of points, a feature with a line, or lines of a table.
        limit: points of a page.
        cursor: from the header ``Link`` of the page before.
    """

    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    format: Form = "json"
    limit: Annotated[int, Meta(ge=1, le=MAX_POINTS)] = DEFAULT_POINTS
    cursor: str | None = None


async def trajectory(request: web.Request, path: VehiclePath, query: TrajectoryQuery) -> web.Response:
    """Where a vehicle was.

    Points of a connected car or tracker, the oldest first, by the vehicle's own clock, which may run ahead: without
    `to` they go up to the newest place, without `from` they begin an hour before. Of two feeds that say the same time
    `vehicle_data` counts. Places that a vehicle cannot have got to are there, with `plausible` false. A vehicle without
    points in the span, or that nobody knows, has an empty answer.

    `format=geojson` is a feature with a `LineString` of [longitude, latitude], or a `Point` where there is only one,
    or no geometry; times, speeds and so on stand in arrays beside it, in the same order. `format=csv` has a header
    line and RFC 4180's line ends. All come in pages.

    Where people drive says where they live: where this worker knows tokens, an operator's is needed.
    """
    context = request.app[CONTEXT]
    place = parameters.cursor(request, int)
    after = None if place is None else parameters.cursor_time(place)
    span = await _span(context, path.vehicle_id, query)
    page = await context.database.ask(
        lambda pool: stored_points(pool, path.vehicle_id, span.since, span.until, query.limit, after)
    )
    headers: dict[str, str] = {}
    if page.next_position is not None:
        headers[hdrs.LINK] = parameters.next_link(request, epoch_us(page.next_position), span.pinned())
    content_type, body = _FORMS[query.format](path.vehicle_id, page.rows)
    if query.format == "csv":
        headers[hdrs.CONTENT_DISPOSITION] = 'attachment; filename="trajectory.csv"'
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)
    return web.Response(body=body, content_type=content_type, headers=headers)


async def _span(context: WebContext, vehicle_id: str, query: TrajectoryQuery) -> Span:
    if query.to is not None:
        return span_between(query.from_, query.to, DEFAULT_SPAN)
    newest = await context.database.ask(lambda pool: newest_time(pool, vehicle_id))
    until = datetime.now(UTC)
    if newest is not None:
        # the span ends before its end
        behind = newest + timedelta(microseconds=1)
        until = behind if query.from_ is None else max(behind, until)
    return span_between(query.from_, Moment(rfc3339(epoch_us(until))), DEFAULT_SPAN)


def _as_json(_: str, points: Sequence[TrajectoryPoint]) -> tuple[str, bytes]:
    return "application/json", msgspec.json.encode(points)


def _as_csv(_: str, points: Sequence[TrajectoryPoint]) -> tuple[str, bytes]:
    return "text/csv", csv_lines([_COLUMNS, *map(_cells, points)])


def _cells(point: TrajectoryPoint) -> list[Any]:
    cells = msgspec.structs.asdict(point)
    cells["timestamp"] = rfc3339(epoch_us(point.timestamp))
    cells["plausible"] = "true" if point.plausible else "false"
    return list(cells.values())


def _as_geojson(vehicle_id: str, points: Sequence[TrajectoryPoint]) -> tuple[str, bytes]:
    """A feature as RFC 7946 has it: a line has two places or more."""
    places = [(point.longitude, point.latitude) for point in points]
    geometry: dict[str, Any] | None = None
    if len(places) == 1:
        geometry = {"type": "Point", "coordinates": places[0]}
    elif places:
        geometry = {"type": "LineString", "coordinates": places}
    beside = [name for name in _COLUMNS if name not in ("latitude", "longitude")]
    properties: dict[str, Any] = {"vehicle_id": vehicle_id}
    properties |= {name: [getattr(point, name) for point in points] for name in beside}
    feature = {"type": "Feature", "geometry": geometry, "properties": properties}
    return GEOJSON, msgspec.json.encode(feature)


_FORMS: dict[Form, Callable[[str, Sequence[TrajectoryPoint]], tuple[str, bytes]]] = {
    "json": _as_json,
    "geojson": _as_geojson,
    "csv": _as_csv,
}


def operations() -> list[Operation]:
    """What this module answers."""
    return [
        Operation(
            "GET /api/fleet/vehicles/{vehicle_id:.+}/trajectory",
            trajectory,
            Tag.HISTORY,
            list[TrajectoryPoint],
            access=Access.OPERATE,
            authorise=authorise_private,
            errors=(503,),
            headers=(NEXT_PAGE,),
            other_types=(GEOJSON, "text/csv"),
        )
    ]
