"""Gives area counters their addresses, beside the messages and never in their way: role ``history``.

Rows of ``traffic_data`` are written at once, without an address. This looks for such rows, has them named by the places
that ship with the application, and, where a service is configured, asks it and writes what it says over that. Rows that
stand in one cell are asked for once. While the service is away, rows are as complete as they can be, and are completed
when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from trafficapp.engine.app import TrafficApp
from trafficapp.engine.history_telemetry import GeocodingTelemetry
from trafficapp.geocoding.addresses import NOMINATIM, cell_of, centre_of
from trafficapp.geocoding.nominatim import NoAnswer, NominatimClient
from trafficapp.settings.geocoding import GeocodingSettings
from trafficapp.stores.geocoding.answers import KnownAnswers
from trafficapp.stores.geocoding.turns import Turns
from trafficapp.stores.geocoding.unaddressed import IMPROVABLE, WITHOUT, Named, Pages, Place, unknown_beyond, write
from trafficapp.stores.outage import Outage
from trafficapp.stores.postgres.connection import create_pool, is_transient
from trafficapp.stores.redis.connection import connect

if TYPE_CHECKING:
    from trafficapp.geocoding.offline_places import OfflinePlaces
    from trafficapp.stores.postgres.connection import Pool

logger = logging.getLogger(__name__)

#: Rows that are looked at before somebody is asked, in pages.
_MOST_PAGES = 20
#: Cells that wait to be asked for; the others are found again.
_MOST_WAITING = 1000
#: From its beginning to its end a request takes no longer than its time-out and this.
_SPARE_SECONDS = 5.0
#: A place that the service fails at is asked for again after so long; it may be the place's fault.
_FAILED_PLACE_SECONDS = 600.0
_FORGET_EVERY_SECONDS = 3600.0


class Geocoding:
    """Names places of rows.

    Args:
        settings: how.
        pool: of Postgres.
        client: of Redis.
        service: that is asked, if one is configured.
        telemetry: of the process.
        should_stop: asked while waiting.
    """

    def __init__(
        self,
        settings: GeocodingSettings,
        pool: Pool,
        client: Redis,
        service: NominatimClient | None,
        telemetry: GeocodingTelemetry,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings, self._pool, self._service, self._telemetry = settings, pool, service, telemetry
        self._should_stop = should_stop
        self._answers = KnownAnswers(pool, client, NOMINATIM, settings)
        self._turns = Turns(
            pool, NOMINATIM, settings.pause_seconds, settings.first_retry_seconds, settings.longest_retry_seconds
        )
        self._outage = Outage(service.name if service else "geocoding", lambda error: f"{error}; asking again later")
        self._pages = [Pages(pool, WITHOUT), *([Pages(pool, IMPROVABLE)] if service else [])]
        self._failed: dict[str, float] = {}
        self._places: OfflinePlaces | None = None
        self._has_no_places = not settings.offline_fallback
        self._forgot_at = -_FORGET_EVERY_SECONDS

    async def turn(self) -> None:
        """Look for rows once, name what is known, and ask for the rest until it is time to look again.

        Raises:
            asyncpg.PostgresError, OSError: Postgres is away.
        """
        end = time.monotonic() + self._settings.look_seconds
        waiting = await self.name_what_is_known()
        if time.monotonic() - self._forgot_at >= _FORGET_EVERY_SECONDS:
            await self._answers.forget_old()
            self._forgot_at = time.monotonic()
        if self._service is not None:
            for cell, places in waiting.items():
                if self._should_stop() or not await self._ask(self._service, cell, places, end):
                    break
        # what comes in meanwhile waits no longer than that
        await asyncio.sleep(max(0.0, end - time.monotonic()))

    async def name_what_is_known(self) -> dict[str, list[Place]]:
        """Name rows by what is known of their places.

        Returns:
            places that the service is to be asked for, by cell.

        Raises:
            asyncpg.PostgresError, OSError: Postgres is away.
        """
        waiting: dict[str, list[Place]] = {}
        for number, pages in enumerate(self._pages):
            for _ in range(_MOST_PAGES):
                places, is_last = await pages.next_page()
                cells = self._by_cell(places)
                known = await self._answers.known(cells) if self._service is not None else {}
                named = [
                    Named(place, known[cell])
                    for cell, ones in cells.items()
                    if cell in known and known[cell].is_known
                    for place in ones
                ]
                named_ids = {row.place.stream_id for row in named}
                if number == 0:
                    named += await self._named_offline([one for one in places if one.stream_id not in named_ids])
                await self._write(named)
                for cell in cells.keys() - known.keys() if self._service is not None else ():
                    if cell in waiting or len(waiting) < _MOST_WAITING:
                        waiting.setdefault(cell, []).extend(cells[cell])
                if is_last or (number > 0 and len(waiting) >= _MOST_WAITING):
                    break
                await asyncio.sleep(0)
        now = time.monotonic()
        self._failed = {cell: until for cell, until in self._failed.items() if until > now}
        return {cell: places for cell, places in waiting.items() if cell not in self._failed}

    def _by_cell(self, places: Iterable[Place]) -> dict[str, list[Place]]:
        cells: dict[str, list[Place]] = {}
        for place in places:
            cells.setdefault(cell_of(*place[1:], self._settings.cell_decimals), []).append(place)
        return cells

    async def _ask(self, service: NominatimClient, cell: str, places: list[Place], end: float) -> bool:
        """Ask for a cell when it is our turn.

        Returns:
            whether there may be time for another one.
        """
        while (wait := await self._turns.take(self._settings.timeout_seconds + _SPARE_SECONDS)) is not None:
            if self._should_stop() or time.monotonic() + wait > end:
                return False
            await asyncio.sleep(wait)
        # another worker may have asked while we waited
        answer = (await self._answers.known([cell])).get(cell)
        if answer is not None:
            await self._turns.done(asked=False)
        else:
            try:
                answer = await service.ask(*centre_of(cell))
            except NoAnswer as error:
                await self._failed_at(cell, error)
                return False
            self._outage.over()
            await self._answers.put(cell, answer)
            await self._turns.done()
            self._telemetry.requests.labels("answered" if answer.is_known else "nothing").inc()
        if answer.is_known:
            await self._write([Named(place, answer) for place in places])
        return time.monotonic() < end

    async def _failed_at(self, cell: str, error: NoAnswer) -> None:
        self._outage.met(error)
        self._telemetry.requests.labels("failed").inc()
        if error.is_about_the_place:
            self._failed[cell] = time.monotonic() + _FAILED_PLACE_SECONDS
        await self._turns.failed(error.wait_seconds)

    async def _named_offline(self, places: list[Place]) -> list[Named]:
        """Places by the nearest one that ships with a package; none without the package."""
        if not places or self._has_no_places:
            return []
        if self._places is None:
            from trafficapp.geocoding.offline_places import NoPlaces, shipped_places

            try:
                self._places = await asyncio.to_thread(shipped_places)
            except NoPlaces as error:
                self._has_no_places = True
                logger.error("places cannot be named without asking outside: %s", error)
                return []
        found = await asyncio.to_thread(self._places.nearest, [place[1:] for place in places])
        reach = self._settings.offline_reach_m
        return [
            Named(place, unknown_beyond(one.address, one.distance_m, reach))
            for place, one in zip(places, found, strict=True)
        ]

    async def _write(self, rows: list[Named]) -> None:
        by_source: dict[str, int] = {}
        for row in rows:
            by_source[row.address.source] = by_source.get(row.address.source, 0) + 1
        if await write(self._pool, rows):
            for source, count in by_source.items():
                self._telemetry.rows.labels(source).inc(count)


def register(app: TrafficApp) -> None:
    """Put the task on an application."""
    settings = app.settings.geocoding
    telemetry = GeocodingTelemetry(app.telemetry.registry)

    @app.task
    async def name_places() -> None:
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(create_pool(app.settings.postgres))
            client = connect(app.settings.redis.url.get_secret_value())
            stack.push_async_callback(client.aclose)
            service = None
            if settings.url is not None:
                service = await stack.enter_async_context(NominatimClient(settings))
            geocoding = Geocoding(settings, pool, client, service, telemetry, lambda: bool(app.should_stop))
            while not app.should_stop:
                try:
                    await geocoding.turn()
                except Exception as error:
                    # the sinks beside us tell that Postgres is away
                    if not is_transient(error):
                        logger.exception("places of area counters cannot be named")
                    await asyncio.sleep(settings.look_seconds)
