"""The road graph of a worker: loaded after the start, its speeds exchanged whenever a new version is published.

A question is answered under one `Speeds` from beginning to end, and a new one takes the place of the last in one
assignment. A document that cannot be read, or is for another graph, changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any

from redis.asyncio import Redis

from models.routes import SpeedSource
from models.timestamps import epoch_us, rfc3339
from trafficapp.roads.graph import Floats, GraphError
from trafficapp.roads.graph_versions import CREDIBLE_AHEAD, time_of
from trafficapp.roads.published import PublishedSpeedsError, decode_speeds
from trafficapp.roads.routes import RoutePlanner
from trafficapp.roads.search import Conditions
from trafficapp.roads.shipped import city_graph
from trafficapp.roads.usual_speeds import UsualSpeeds, decode_usual
from trafficapp.roads.weights import HORIZONS_SECONDS, travel_times
from trafficapp.settings import RoadSettings
from trafficapp.stores.published_graph import graph_channel, graph_key, profile_key
from trafficapp.stores.redis import UNAVAILABLE
from trafficapp.telemetry import Telemetry
from web.problems import ProblemError
from web.subscription import Subscription, Tasks

logger = logging.getLogger(__name__)

#: A message that was missed is made up for within this time.
_LOOK_SECONDS = 20.0
_LOAD_AGAIN_SECONDS = 30.0
#: Predictions are for so long from now on; later, roads are as usual at that time of day.
PREDICTED_AHEAD = timedelta(minutes=30)
#: Usual speeds are prepared for so many times of day.
_PREPARED_AT_MOST = 8


@dataclass(frozen=True, eq=False)
class Speeds:
    """Published speeds, ready for questions.

    Attributes:
        version: their name.
        made_at: when they were measured and predicted.
        horizons_seconds: for when they are, from that moment on.
        speeds_kmh: shape (horizons, edges), NaN where not told.
        conditions: for the planner.
    """

    version: str
    made_at: datetime
    horizons_seconds: tuple[float, ...]
    speeds_kmh: Floats
    conditions: Conditions


@dataclass(frozen=True, eq=False)
class Outlook:
    """Under what a departure is planned.

    Attributes:
        conditions: for the planner.
        departure_seconds: the departure in their time.
        source: what they are made of.
        note: why they are not the predictions, None when they are.
    """

    conditions: Conditions
    departure_seconds: float
    source: SpeedSource
    note: str | None


class RoutePlanning:
    """Keeps the planner and the newest speeds of a worker.

    Args:
        settings: of the roads.
        telemetry: learns what is in use.
        redis: for looking now and then; closed by its owner.
        connect: makes a client for the subscription.
    """

    def __init__(
        self, settings: RoadSettings, telemetry: Telemetry, redis: Redis, connect: Callable[[], Redis]
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._redis = redis
        self._planner: RoutePlanner | None = None
        self._why_not = "the road graph is being loaded"
        self._free_flow: Conditions | None = None
        self._speeds: Speeds | None = None
        self._usual: UsualSpeeds | None = None
        self._prepared: OrderedDict[tuple[str, tuple[int, ...]], asyncio.Task[Conditions]] = OrderedDict()
        self._seen: dict[str, bytes] = {}
        self._taking = asyncio.Lock()
        self._subscription = Subscription(
            connect, graph_channel(settings.city), self._look, lambda client, _: self._look(client)
        )
        self._tasks = Tasks()
        telemetry.watch_graph(self._age_seconds)

    def start(self) -> None:
        """Begin to load the graph; the worker does not wait for it."""
        self._tasks.start(self._run())

    async def stop(self) -> None:
        """Stop listening; the graph stays."""
        await self._tasks.stop()

    @property
    def planner(self) -> RoutePlanner:
        """The planner.

        Raises:
            ProblemError: 503, the graph is not there yet.
        """
        if self._planner is None:
            raise ProblemError(503, f"{self._why_not}; try again shortly", {"Retry-After": "2"})
        return self._planner

    def speeds(self, now: datetime) -> Speeds | None:
        """The published speeds, unless they are too old to be believed."""
        speeds = self._speeds
        if speeds is None or now - speeds.made_at > timedelta(seconds=self._settings.speeds_usable_seconds):
            return None
        return speeds

    async def outlook(self, departure: datetime, now: datetime) -> Outlook:
        """What is known of the roads at a departure.

        Raises:
            ProblemError: 503, the graph is not there yet.
        """
        _ = self.planner
        speeds = self.speeds(now)
        if speeds is not None and departure - now <= PREDICTED_AHEAD:
            ahead = (departure - speeds.made_at).total_seconds()
            return Outlook(speeds.conditions, max(ahead, 0.0), "predictions", None)
        if speeds is not None:
            why = f"the departure is later than predictions reach ({PREDICTED_AHEAD.seconds // 60} minutes)"
        elif self._speeds is not None:
            minutes = self._settings.speeds_usable_seconds / 60
            why = f"the newest speeds are of {rfc3339(epoch_us(self._speeds.made_at))}, older than {minutes:g} minutes"
        else:
            why = "no speeds have been published yet"
        if self._usual is None:
            assert self._free_flow is not None  # noqa: S101 - it is there when the planner is
            return Outlook(self._free_flow, 0.0, "free_flow", f"{why}; roads are taken to flow freely")
        conditions, since = await self._at_time_of_day(self._usual, departure)
        note = f"{why}; roads are taken to be as usual at this time of day"
        return Outlook(conditions, (departure - since).total_seconds(), "usual_speeds", note)

    # ------------------------------------------------------------------ loading

    async def _run(self) -> None:
        while self._planner is None:
            try:
                self._planner = await asyncio.to_thread(lambda: RoutePlanner(city_graph(self._settings)))
                self._free_flow = self._planner.conditions
            except GraphError as error:
                self._why_not = f"there are no routes: {error}"
                logger.error("the road graph cannot be loaded: %s", error)
                await asyncio.sleep(_LOAD_AGAIN_SECONDS)
        self._telemetry.graph_loaded.set(1)
        await asyncio.gather(self._subscription.run(), self._look_now_and_then())

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._look(self._redis)
            except UNAVAILABLE as error:
                logger.debug("the graph's speeds are not looked at: %s", error)  # the subscription tells it

    async def _look(self, client: Redis) -> None:
        """Take over what is published and not yet known.

        Raises:
            Exception: one of `UNAVAILABLE`.
        """
        async with self._taking:
            for key, take in ((graph_key, self._take_speeds), (profile_key, self._take_usual)):
                name = key(self._settings.city)
                # a document begins with its version
                parts: list[Any] = [await client.getrange(name, 0, 63), await client.strlen(name)]
                mark = b"%b %d" % tuple(parts)
                if not parts[1] or self._seen.get(name) == mark:
                    continue
                content: Any = await client.get(name)
                if content is not None:
                    await self._take(name, content, take)
                self._seen[name] = mark

    async def _take(self, name: str, content: bytes, take: Callable[[bytes], None]) -> None:
        try:
            await asyncio.to_thread(take, content)
        except (PublishedSpeedsError, ValueError) as error:
            self._telemetry.graph_refused.inc()
            logger.error("what stands in %s is refused, what was known stays in use: %s", name, error)

    def _take_speeds(self, content: bytes) -> None:
        """Make speeds ready and use them.

        Raises:
            ValueError: they cannot be used.
        """
        planner = self.planner
        published = decode_speeds(planner.graph, content)
        made_at = time_of(published.version)
        last = self._speeds
        if last is not None and made_at <= last.made_at <= datetime.now(UTC) + CREDIBLE_AHEAD:
            return
        times = travel_times(planner.graph, published.speeds_kmh, published.horizons_seconds)
        conditions = planner.prepare(times, published.version)
        planner.use(conditions)
        self._speeds = Speeds(published.version, made_at, published.horizons_seconds, published.speeds_kmh, conditions)

    def _take_usual(self, content: bytes) -> None:
        self._usual = decode_usual(self.planner.graph, content)

    async def _at_time_of_day(self, usual: UsualSpeeds, departure: datetime) -> tuple[Conditions, datetime]:
        """Conditions from usual speeds, and since when; of many who ask for the same, one prepares them."""
        step = timedelta(seconds=HORIZONS_SECONDS[1])
        since = departure - (departure - datetime(1970, 1, 1, tzinfo=UTC)) % step
        parts = tuple(usual.part_at(since + timedelta(seconds=seconds)) for seconds in HORIZONS_SECONDS)
        key = (usual.version, parts)
        preparing = self._prepared.get(key)
        if preparing is None or (preparing.done() and preparing.exception()):

            def prepare() -> Conditions:
                times = travel_times(self.planner.graph, usual.speeds_kmh[list(parts)].astype(float))
                return self.planner.prepare(times, usual.version)

            preparing = self._prepared[key] = asyncio.create_task(asyncio.to_thread(prepare))
            if len(self._prepared) > _PREPARED_AT_MOST:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        return await asyncio.shield(preparing), since

    def _age_seconds(self) -> float:
        speeds = self._speeds
        return nan if speeds is None else (datetime.now(UTC) - speeds.made_at).total_seconds()
