"""The roads as they usually are at a time of day, ready for questions: prepared when somebody asks for that time.

Where the weather slows roads, it slows these: what is usual is told of all weathers, and mostly that is a fair one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from trafficapp.roads.routing.routes import FREE_FLOW, RoutePlanner
from trafficapp.roads.routing.search import Conditions
from trafficapp.roads.routing.usual_speeds import UsualSpeeds
from trafficapp.roads.routing.weights import free_flow, travel_times
from trafficapp.weather.road_weather import RoadWeather

#: Departures within one of these are planned under the same conditions, and they change under way as often.
STEP = timedelta(minutes=15)
_HORIZONS_SECONDS = tuple(number * STEP.total_seconds() for number in range(4))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREPARED_AT_MOST = 16

#: Version of the usual speeds, parts of the day, version of the weather.
_Key: TypeAlias = tuple[str, tuple[int, ...], str]


class UsualConditions:
    """Keeps those that were asked for last.

    One thread of their own prepares them, one after the other: who asks for many times waits, and nobody else does.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "usual-speeds")
        self._prepared: OrderedDict[_Key, asyncio.Future[Conditions]] = OrderedDict()

    async def of(
        self, planner: RoutePlanner, usual: UsualSpeeds, departure: datetime, weather: RoadWeather | None = None
    ) -> tuple[Conditions, datetime]:
        """Conditions for a departure, and since when they are; of many who ask for the same, one prepares them.

        Args:
            planner: makes them.
            usual: over the day.
            departure: aware.
            weather: that slows roads then.
        """
        since = departure - (departure - _EPOCH) % STEP
        parts = tuple(usual.part_at(since + timedelta(seconds=seconds)) for seconds in _HORIZONS_SECONDS)

        def prepare() -> Conditions:
            speeds, factors = usual.speeds_kmh[list(parts)].astype(float), None
            if weather is not None:
                factors = weather.factors
                speeds *= factors
            return planner.prepare(travel_times(planner.graph, speeds, _HORIZONS_SECONDS, factors), usual.version)

        return await self._once((usual.version, parts, _version(weather)), prepare), since

    async def free_flow(self, planner: RoutePlanner, weather: RoadWeather) -> Conditions:
        """The empty road in a weather."""

        def prepare() -> Conditions:
            return planner.prepare(free_flow(planner.graph, weather.factors), FREE_FLOW)

        return await self._once((FREE_FLOW, (), weather.version), prepare)

    async def _once(self, key: _Key, prepare: Callable[[], Conditions]) -> Conditions:
        preparing = self._prepared.get(key)
        if preparing is None or preparing.cancelled() or (preparing.done() and preparing.exception()):
            preparing = self._prepared[key] = asyncio.get_running_loop().run_in_executor(self._thread, prepare)
            if len(self._prepared) > _PREPARED_AT_MOST:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        return await asyncio.shield(preparing)


def _version(weather: RoadWeather | None) -> str:
    return "" if weather is None else weather.version
