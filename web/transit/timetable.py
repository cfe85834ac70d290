"""The timetable and what is known of runs, as the views of public transport ask for them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec

from models.timetables.agency import AgencyAlert, AgencyTrip
from models.timetables.live import LiveRun, OperationAlert
from models.transit.vehicles import TransitVehicle
from trafficapp.feeds.declaration import Feed
from trafficapp.settings import Settings
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.documents import readable
from trafficapp.timetables.live.agency_feeds import ALERTS_OF_AGENCIES, TRIPS_OF_AGENCIES
from trafficapp.timetables.live.feeds import LIVE_RUNS, OPERATIONS
from trafficapp.timetables.live.source import TimetableSource
from trafficapp.timetables.schedule import Schedule
from trafficapp.timetables.storage import NoTimetable
from trafficapp.transit.feeds import LIVE_VEHICLES
from web.serving.context import WebContext
from web.serving.from_redis import RedisAway, from_redis
from web.serving.problems import ProblemError, unavailable
from web.serving.shared_answers import SharedAnswers

#: What is answered of runs is no older.
MAX_AGE_SECONDS = 1.0

_Shape = TypeVar("_Shape")


class Transit:
    """What the views share.

    Args:
        settings: of the process.
    """

    def __init__(self, settings: Settings) -> None:
        folder = settings.transit.timetable_dir
        self._source = None if folder is None else TimetableSource(folder)
        self._shared: SharedAnswers[str, list[Any]] = SharedAnswers(MAX_AGE_SECONDS)

    async def schedule(self) -> Schedule:
        """The timetable as it is now.

        Raises:
            ProblemError: 404, none is set up; 503, there is none in its folder.
        """
        if self._source is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                "no timetable is set up: `trafficapp gtfs import FEED --out FOLDER`, and transit.timetable_dir: FOLDER",
            )
        try:
            return await asyncio.to_thread(self._source.schedule)
        except NoTimetable as error:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the timetable of transit.timetable_dir cannot be used: {error}; `trafficapp gtfs import` writes one",
            ) from None

    async def schedule_or_none(self) -> Schedule | None:
        """Likewise; None where there is none."""
        try:
            return None if self._source is None else await asyncio.to_thread(self._source.schedule)
        except NoTimetable:
            return None

    async def runs(self, context: WebContext) -> list[LiveRun]:
        """Vehicles on their runs as they were told last; at most a second old.

        Raises:
            ProblemError: 503, Redis is away.
        """
        return await self._documents(context, LIVE_RUNS, LiveRun)

    async def vehicles(self, context: WebContext) -> list[TransitVehicle]:
        """Vehicles, likewise."""
        return await self._documents(context, LIVE_VEHICLES, TransitVehicle)

    async def alerts(self, context: WebContext) -> list[OperationAlert]:
        """The newest steps of alerts about runs, likewise."""
        return await self._documents(context, OPERATIONS, OperationAlert)

    async def agency_alerts(self, context: WebContext) -> list[AgencyAlert]:
        """What agencies tell riders, likewise."""
        return await self._documents(context, ALERTS_OF_AGENCIES, AgencyAlert)

    async def agency_trips(self, context: WebContext) -> list[AgencyTrip]:
        """What agencies say of their trips, likewise."""
        return await self._documents(context, TRIPS_OF_AGENCIES, AgencyTrip)

    async def _documents(self, context: WebContext, feed: Feed[Any], shape: type[_Shape]) -> list[_Shape]:
        async def read() -> list[Any]:
            documents = CurrentDocuments(context.redis, feed)
            found = await documents.documents(await documents.keys())
            return await asyncio.to_thread(_read, found, shape)

        try:
            return await from_redis(self._shared.get(feed.name, read))
        except RedisAway:
            raise unavailable("Redis, which holds what is current of public transport,") from None


def _read(documents: list[bytes], shape: type[_Shape]) -> list[_Shape]:
    return readable(documents, msgspec.json.Decoder(shape).decode, "what is current of public transport")
