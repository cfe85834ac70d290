"""The road graph of a worker: loaded after the start, its speeds exchanged whenever a new version is published.

A question is answered under one `Speeds` from beginning to end, and a new one takes the place of the last in one
assignment. A document that cannot be read, or is for another graph, changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import nan
from typing import Any

from redis.asyncio import Redis

from models.roads.routes import SpeedSource
from trafficapp.engine.telemetry import Telemetry
from trafficapp.incidents.effects import Effects
from trafficapp.roads.graph.index import RoadIndex
from trafficapp.roads.graph.road_graph import Floats, GraphError
from trafficapp.roads.graph.shipped import city_graph
from trafficapp.roads.routing.credibility import caveat, why_unusable
from trafficapp.roads.routing.published import PublishedSpeeds, PublishedSpeedsError, decode_speeds
from trafficapp.roads.routing.routes import RoutePlanner
from trafficapp.roads.routing.search import Conditions
from trafficapp.roads.routing.usual_speeds import UsualSpeeds, decode_usual
from trafficapp.roads.routing.weights import travel_times
from trafficapp.settings import RoadSettings, WeatherSettings
from trafficapp.stores.redis.connection import UNAVAILABLE
from trafficapp.stores.roads.published_graph import graph_channel, graph_key, profile_key
from trafficapp.weather.road_weather import RoadWeather
from web.roads.closed_roads import ClosedConditions, InTheWay, closed_now
from web.roads.usual_conditions import UsualConditions
from web.roads.weather_now import WeatherNow
from web.serving.problems import ProblemError
from web.sockets.subscription import Subscription, Tasks

logger = logging.getLogger(__name__)

#: A message that was missed is made up for within this time.
_LOOK_SECONDS = 20.0
_LOAD_AGAIN_SECONDS = 30.0
#: Predictions are for so long from now on; later, roads are as usual at that time of day.
PREDICTED_AHEAD = timedelta(minutes=30)

_NO_EFFECTS = Effects()


@dataclass(frozen=True, eq=False)
class Speeds:
    """Published speeds, ready for questions, and the weather that slows those roads that were not measured."""

    published: PublishedSpeeds
    conditions: Conditions
    weather: RoadWeather | None = None


@dataclass(frozen=True, eq=False)
class Outlook:
    """Under what a departure is planned.

    Attributes:
        conditions: for the planner.
        departure_seconds: the departure in their time.
        source: what they are made of.
        note: why they are not the predictions, or what else is to be told with them; None when nothing is.
        free_flow_kmh: of each edge as last told, what congestion is measured against; None when never told.
        as_if_open: the same without anything in the way; None where nothing is.
        closed_at: closed edges, and when that was told last.
        weather: that slows roads whose speed is not measured; None when none does.
        effects: what incidents do.
    """

    conditions: Conditions
    departure_seconds: float
    source: SpeedSource
    note: str | None
    free_flow_kmh: Floats | None
    as_if_open: Conditions | None = None
    closed_at: Mapping[int, datetime] = field(default_factory=dict)
    weather: RoadWeather | None = None
    effects: Effects = _NO_EFFECTS

    @property
    def version(self) -> str:
        """The version of its speeds, and where something is in the way or slows, a name for what."""
        parts = [self.conditions.version]
        if self.closed_at:
            closed = ",".join(map(str, sorted(self.closed_at)))
            parts.append(hashlib.blake2b(closed.encode(), digest_size=8).hexdigest())
        if self.weather is not None:
            parts.append(f"weather:{self.weather.version}")
        return " ".join(filter(None, [*parts, self.effects.name]))


class RoutePlanning:
    """Keeps the planner and the newest speeds of a worker.

    Args:
        settings: of the roads.
        telemetry: learns what is in use.
        redis: for looking now and then; closed by its owner.
        connect: makes a client for the subscription.
        weather: settings of the weather.
        effects: given the index of the graph, what incidents do to it now.
        slows_ahead: departures up to so far ahead meet what incidents slow now.
    """

    def __init__(
        self,
        settings: RoadSettings,
        telemetry: Telemetry,
        redis: Redis,
        connect: Callable[[], Redis],
        weather: WeatherSettings,
        effects: Callable[[RoadIndex], Effects] = lambda _: _NO_EFFECTS,
        slows_ahead: timedelta = timedelta(hours=1),
    ) -> None:
        self._effects, self._slows_ahead = effects, slows_ahead
        self._settings, self._weather_settings = settings, weather
        self._telemetry = telemetry
        self._redis = redis
        self._planner: RoutePlanner | None = None
        self._why_not = "the road graph is being loaded"
        self._free_flow: Conditions | None = None
        self._speeds: Speeds | None = None
        self._weather: WeatherNow | None = None
        self._usual: UsualSpeeds | None = None
        self._at_time_of_day = UsualConditions()
        self._closed_conditions = ClosedConditions()
        self._seen: dict[str, bytes] = {}
        self._taking = asyncio.Lock()
        self._is_loaded = asyncio.Event()
        self._subscription = Subscription(
            connect, graph_channel(settings.city), self._look, lambda client, _: self._look(client)
        )
        self._tasks = Tasks()
        telemetry.watch_graph(self._age_seconds)

    def start(self) -> None:
        """Begin to load the graph; the worker does not wait for it."""
        self._tasks.start(self._load(), self._hear(), self._look_now_and_then())

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

    @property
    def graph_name(self) -> str:
        """City and version of the graph that the planner has."""
        return f"{self._settings.city} {self.planner.graph.version}"

    def speeds(self, now: datetime) -> PublishedSpeeds | None:
        """The published speeds, unless they say nothing of the traffic."""
        return self._speeds.published if self._speeds is not None and self._doubt(now) is None else None

    def closed(self, now: datetime) -> Mapping[int, datetime]:
        """Edges on which nobody may drive, and when that was told last."""
        return self._closed(self.effects(), now)

    def _closed(self, effects: Effects, now: datetime) -> Mapping[int, datetime]:
        published = None if self._speeds is None else self._speeds.published
        by_feed = closed_now(published, now, self._settings.closed_seconds)
        by_incidents = effects.closed_at
        if not by_incidents:
            return by_feed
        both = by_feed.keys() & by_incidents.keys()
        return {**by_feed, **by_incidents, **{edge: max(by_feed[edge], by_incidents[edge]) for edge in both}}

    def effects(self) -> Effects:
        """What incidents do to the roads now; nothing while the graph is not there yet."""
        return _NO_EFFECTS if self._planner is None else self._effects(self._planner.index)

    async def outlook(self, departure: datetime, now: datetime, passing: str | None = None) -> Outlook:
        """What is known of the roads at a departure. What is closed now is so whenever one starts.

        Args:
            departure: when, aware.
            now: aware.
            passing: id of an incident that is no obstacle: for those who are sent to it.

        Raises:
            ProblemError: 503, the graph is not there yet.
        """
        planner, effects = self.planner, self.effects()
        if passing is not None:
            effects = effects.without(passing)
        closed_at = self._closed(effects, now)
        outlook = await self._with_all_open(departure, now)
        shares = effects.shares if departure - now <= self._slows_ahead else {}
        if not closed_at and not shares:
            return outlook
        is_measured = outlook.source == "predictions"
        in_the_way = InTheWay(frozenset(closed_at), frozenset(shares.items()), is_measured)
        conditions = await self._closed_conditions.of(planner, outlook.conditions, in_the_way)
        as_if_open = outlook.conditions
        return replace(outlook, conditions=conditions, as_if_open=as_if_open, closed_at=closed_at, effects=effects)

    async def _with_all_open(self, departure: datetime, now: datetime) -> Outlook:
        why, speeds = self._doubt(now), self._speeds
        free_kmh = None if speeds is None else speeds.published.free_flow_kmh
        if why is None and speeds is not None and departure - now <= PREDICTED_AHEAD:
            ahead = (departure - speeds.published.made_at).total_seconds()
            note = _joined(caveat(speeds.published), speeds.weather)
            return Outlook(speeds.conditions, max(ahead, 0.0), "predictions", note, free_kmh, weather=speeds.weather)
        if why is None:
            why = f"the departure is later than predictions reach ({PREDICTED_AHEAD.seconds // 60} minutes)"
        weather = None if self._weather is None else self._weather.at(departure, now)
        if self._usual is None:
            assert self._free_flow is not None  # noqa: S101 - it is there when the planner is
            conditions = self._free_flow
            if weather is not None:
                conditions = await self._at_time_of_day.free_flow(self.planner, weather)
            note = _joined(f"{why}; roads are taken to flow freely", weather)
            return Outlook(conditions, 0.0, "free_flow", note, free_kmh, weather=weather)
        conditions, since = await self._at_time_of_day.of(self.planner, self._usual, departure, weather)
        note = _joined(f"{why}; roads are taken to be as usual at this time of day", weather)
        begun_seconds = (departure - since).total_seconds()
        return Outlook(conditions, begun_seconds, "usual_speeds", note, free_kmh, weather=weather)

    def _doubt(self, now: datetime) -> str | None:
        """Why the published speeds are not used, None when they are."""
        if self._speeds is None:
            return "no speeds have been published yet"
        return why_unusable(self._speeds.published, now, self._settings.speeds_usable_seconds)

    # ------------------------------------------------------------------ loading

    async def _load(self) -> None:
        while self._planner is None:
            try:
                planner = await asyncio.to_thread(lambda: RoutePlanner(city_graph(self._settings)))
                self._weather = await asyncio.to_thread(WeatherNow, self._weather_settings, planner.graph)
                self._planner, self._free_flow = planner, planner.conditions
            except GraphError as error:
                self._why_not = f"there are no routes: {error}"
                logger.error("the road graph cannot be loaded: %s", error)
                await asyncio.sleep(_LOAD_AGAIN_SECONDS)
        self._telemetry.graph_loaded.set(1)
        self._is_loaded.set()

    async def _hear(self) -> None:
        await self._is_loaded.wait()
        await self._subscription.run()

    async def _look_now_and_then(self) -> None:
        await self._is_loaded.wait()
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
            await self._look_at_weather(client)
            for key, take in ((graph_key, self._take_speeds), (profile_key, self._take_usual)):
                name = key(self._settings.city)
                # a document begins with its version and its publisher
                parts: list[Any] = [await client.getrange(name, 0, 127), await client.strlen(name)]
                mark = b"%b %d" % tuple(parts)
                if not parts[1] or self._seen.get(name) == mark:
                    continue
                content: Any = await client.get(name)
                if content is not None:
                    await self._take(name, content, take)
                self._seen[name] = mark

    async def _look_at_weather(self, client: Redis) -> None:
        """Take over the weather; the newest speeds are made ready again in another one."""
        weather = self._weather
        if weather is None:
            return
        before = weather.newest.version
        try:
            await weather.look(client)
        finally:
            if weather.newest.version != before and self._speeds is not None:
                await asyncio.to_thread(self._use_speeds, self._speeds.published)

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
        last = self._speeds
        if last is not None and published.is_older_than(last.published):
            return
        self._use_speeds(published)

    def _use_speeds(self, published: PublishedSpeeds) -> None:
        """Make speeds ready in the weather that is now: it slows what is not told."""
        planner = self.planner
        # what is closed is told by itself; a closure that grows old says nothing of the speed there
        speeds_kmh = published.speeds_kmh.copy()
        speeds_kmh[:, list(published.closed_at)] = nan
        weather = None if self._weather is None or not self._weather.newest.version else self._weather.newest
        factors = None if weather is None else weather.factors
        times = travel_times(planner.graph, speeds_kmh, published.horizons_seconds, factors)
        if times.known.all() and not published.sources.get("time_of_day", 0):
            weather = None  # every speed was measured, or predicted from measured ones
        conditions = planner.prepare(times, published.version)
        planner.use(conditions)
        self._speeds = Speeds(published, conditions, weather)

    def _take_usual(self, content: bytes) -> None:
        self._usual = decode_usual(self.planner.graph, content)

    def _age_seconds(self) -> float:
        speeds = self._speeds
        return nan if speeds is None else (datetime.now(UTC) - speeds.published.made_at).total_seconds()


def _joined(note: str | None, weather: RoadWeather | None) -> str | None:
    """A note, and what is to be told of the weather."""
    return "; ".join(filter(None, (note, None if weather is None else weather.note()))) or None
