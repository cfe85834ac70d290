"""Stops with what is expected there, lines with their vehicles, and how lines kept their timetable."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from models.timetables.answers import LinePerformance, RouteLine, StopArrival, TimetableStop
from trafficapp.stores.transit.performance import performance
from trafficapp.timetables.live.agency import AgencyTrips
from trafficapp.timetables.live.boards import arrivals, line
from web.serving import parameters
from web.serving.answers import NEXT_PAGE, json_answer
from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.serving.problems import ProblemError
from web.serving.shapes import Name
from web.serving.spans import SpanQuery
from web.transit.timetable import Transit

_DEFAULT_SPAN, _LONGEST_SPAN = timedelta(hours=24), timedelta(days=31)

_encode = msgspec.json.Encoder().encode


class StopPath(Struct, frozen=True):
    """Which stop."""

    stop_id: Name


class RoutePath(Struct, frozen=True):
    """Which line."""

    route_id: Name


class StopsQuery(Struct, frozen=True, kw_only=True):
    """Which ones, in order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    cursor: str | None = None


class ArrivalsQuery(Struct, frozen=True, kw_only=True):
    """How far ahead, and how many at most."""

    minutes: Annotated[float, Meta(gt=0, le=24 * 60)] = 60.0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50


class PerformanceQuery(SpanQuery, frozen=True, kw_only=True):
    """Of a span ``from <= time < to``, by default the last 24 hours; 31 days at most."""

    route_id: Name | None = None
    early_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 60.0
    late_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 300.0
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    cursor: str | None = None


class BoardViews:
    """The views.

    Args:
        transit: what is known.
    """

    def __init__(self, transit: Transit) -> None:
        self._transit = transit

    async def stops(self, request: web.Request, query: StopsQuery) -> web.Response:
        """The stops of the timetable, in order of their ids.

        404: no timetable is set up.
        """
        after = parameters.cursor(request, str)
        schedule = await self._transit.schedule()
        known = sorted(stop.stop_id for stop in schedule.timetable.stops)
        wanted = [stop_id for stop_id in known if after is None or stop_id > after][: query.limit + 1]
        found = [stop for stop_id in wanted if (stop := schedule.stop(stop_id)) is not None]
        shown, headers = parameters.page(request, found, query.limit, lambda stop: stop.stop_id)
        answer = [
            TimetableStop(stop_id=one.stop_id, name=one.name, latitude=one.latitude, longitude=one.longitude)
            for one in shown
        ]
        return json_answer(_encode(answer), headers)

    async def arrivals(self, request: web.Request, path: StopPath, query: ArrivalsQuery) -> web.Response:
        """The runs that are expected at a stop, the first one first.

        `source` is `prediction` where a vehicle serves the run: `arrives_at` is what riders should be told,
        `earliest_at` and `latest_at` hold eight of ten cases. It is `timetable` for runs that nobody has begun yet;
        those that should have left their first stop by now and have no vehicle are not there. It is `agency` where only
        the agency says how a run goes (`poll-gtfs-rt`); `is_cancelled` is what it says, too. `is_at_stop` is true for a
        vehicle that stands there. 404: the timetable has no such stop, or none is set up.
        """
        schedule = await self._transit.schedule()
        if schedule.stop(path.stop_id) is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"the timetable has no stop {path.stop_id!r}")
        context = request.app[CONTEXT]
        runs, said = await self._transit.runs(context), AgencyTrips(await self._transit.agency_trips(context))
        found: list[StopArrival] = await asyncio.to_thread(
            arrivals, schedule, runs, path.stop_id, time.time(), query.minutes * 60, said
        )
        return json_answer(_encode(found[: query.limit]))

    async def line(self, request: web.Request, path: RoutePath) -> web.Response:
        """A line for a straight-line diagram: its stops, and its vehicles along it.

        Of each direction the way that most of its trips go; `at_m` and `share` say where stops and vehicles are along
        it. `headway_seconds` is how long after the vehicle before it one comes to that one's next stop. 404: the
        timetable has no such line, or none is set up.
        """
        schedule = await self._transit.schedule()
        runs = await self._transit.runs(request.app[CONTEXT])
        found = await asyncio.to_thread(line, schedule, path.route_id, runs, time.time())
        if found is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"the timetable has no route {path.route_id!r}")
        return json_answer(_encode(found))

    async def performance(self, request: web.Request, query: PerformanceQuery) -> web.Response:
        """How lines kept their timetable: punctuality, headways, missed runs, by line and direction.

        Of stops that were served and runs that should have begun within `from <= time < to`, by default the last 24
        hours. On time is who is at most `early_seconds` (60) early and `late_seconds` (300) late.
        """
        span = query.span(_DEFAULT_SPAN)
        if span.until - span.since > _LONGEST_SPAN:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"from and to may be {_LONGEST_SPAN.days} days apart")
        after = parameters.cursor(request, tuple[str, int])
        if after is not None and ("\0" in after[0] or not -1 <= after[1] <= 1):
            raise ProblemError(HTTPStatus.BAD_REQUEST, "cursor is none that an earlier answer gave")
        found = await request.app[CONTEXT].database.ask(
            lambda pool: performance(
                pool,
                span.since,
                span.until,
                query.route_id,
                query.early_seconds,
                query.late_seconds,
                query.limit + 1,
                after,
            )
        )
        shown, headers = parameters.page(request, found, query.limit, _place)
        return json_answer(_encode(shown), headers)

    def operations(self) -> list[Operation]:
        """What this module answers."""
        return [
            Operation(
                "GET /api/transit/stops",
                self.stops,
                Tag.CURRENT,
                list[TimetableStop],
                errors=(404, 503),
                headers=(NEXT_PAGE,),
            ),
            Operation(
                "GET /api/transit/stops/{stop_id:.+}/arrivals",
                self.arrivals,
                Tag.CURRENT,
                list[StopArrival],
                errors=(404, 503),
            ),
            Operation(
                "GET /api/transit/routes/{route_id:.+}/line", self.line, Tag.CURRENT, RouteLine, errors=(404, 503)
            ),
            Operation(
                "GET /api/transit/performance",
                self.performance,
                Tag.ANALYTICS,
                list[LinePerformance],
                errors=(503,),
                headers=(NEXT_PAGE,),
            ),
        ]


def _place(one: LinePerformance) -> tuple[str, int]:
    """Where a page ends."""
    return one.route_id, -1 if one.direction_id is None else one.direction_id
