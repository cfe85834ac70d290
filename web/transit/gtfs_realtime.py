"""GTFS Realtime feeds of what is known of runs: ``/gtfs-rt/vehicle-positions``, ``…/trip-updates``, ``…/alerts``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aiohttp import web
from msgspec import Struct

from web.serving.context import CONTEXT
from web.serving.operations import Operation, Tag
from web.transit.timetable import Transit

if TYPE_CHECKING:
    from google.transit.gtfs_realtime_pb2 import FeedMessage

    from trafficapp.timetables.realtime_out import RealtimeFeeds

PROTOBUF = "application/x-protobuf"


class FormQuery(Struct, frozen=True, kw_only=True):
    """With ``debug``, whatever it says, the answer is a text for people."""

    debug: str | None = None


class RealtimeViews:
    """The views.

    Args:
        transit: what is known.
    """

    def __init__(self, transit: Transit) -> None:
        self._transit = transit
        self._feeds: RealtimeFeeds | None = None

    async def _made_by(self) -> RealtimeFeeds:
        """What makes feeds by the timetable as it is now."""
        from trafficapp.timetables.realtime_out import RealtimeFeeds

        schedule = await self._transit.schedule_or_none()
        if self._feeds is None or self._feeds.schedule is not schedule:
            self._feeds = RealtimeFeeds(schedule)
        return self._feeds

    async def vehicle_positions(self, request: web.Request, query: FormQuery) -> web.Response:
        """Where vehicles are, as GTFS Realtime (VehiclePositions, version 2.0).

        Everybody who was heard of in the last 90 seconds. Those on a run of the timetable are told with it and with
        their stop; those who serve none, are at their last stop's end or off their way, without.
        """
        context, feeds = request.app[CONTEXT], await self._made_by()
        runs, vehicles = await self._transit.runs(context), await self._transit.vehicles(context)
        return _answer(feeds.vehicle_positions(time.time(), runs, vehicles), query)

    async def trip_updates(self, request: web.Request, query: FormQuery) -> web.Response:
        """When runs are expected at their stops, as GTFS Realtime (TripUpdates, version 2.0).

        Of runs whose vehicle was heard of in the last 90 seconds, and those that the agency cancelled. Without a
        timetable there are none.
        """
        context, feeds = request.app[CONTEXT], await self._made_by()
        runs, said = await self._transit.runs(context), await self._transit.agency_trips(context)
        return _answer(feeds.trip_updates(time.time(), runs, said), query)

    async def alerts(self, request: web.Request, query: FormQuery) -> web.Response:
        """What riders should know, as GTFS Realtime (Alerts, version 2.0).

        Runs that are missed, vehicles that have broken down on one, and what the agency tells itself (`poll-gtfs-rt`).
        """
        context, feeds = request.app[CONTEXT], await self._made_by()
        notices = feeds.notices(await self._transit.alerts(context))
        return _answer(feeds.alerts(time.time(), notices, await self._transit.agency_alerts(context)), query)

    def operations(self) -> list[Operation]:
        """What this module answers."""
        views = {
            "vehicle-positions": self.vehicle_positions,
            "trip-updates": self.trip_updates,
            "alerts": self.alerts,
        }
        return [
            Operation(
                f"GET /gtfs-rt/{name}",
                view,
                Tag.CURRENT,
                content_type=PROTOBUF,
                other_types=("text/plain",),
                errors=(503,),
            )
            for name, view in views.items()
        ]


def _answer(feed: FeedMessage, query: FormQuery) -> web.Response:
    if query.debug is None:
        return web.Response(body=feed.SerializeToString(), content_type=PROTOBUF)
    return web.Response(text=str(feed), content_type="text/plain", charset="utf-8")
