"""The roads as they usually are at a time of day, ready for questions: prepared when somebody asks for that time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from trafficapp.roads.routing.routes import RoutePlanner
from trafficapp.roads.routing.search import Conditions
from trafficapp.roads.routing.usual_speeds import UsualSpeeds
from trafficapp.roads.routing.weights import travel_times

#: Departures within one of these are planned under the same conditions, and they change under way as often.
STEP = timedelta(minutes=15)
_HORIZONS_SECONDS = tuple(number * STEP.total_seconds() for number in range(4))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREPARED_AT_MOST = 16


class UsualConditions:
    """Keeps those that were asked for last.

    One thread of their own prepares them, one after the other: who asks for many times waits, and nobody else does.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "usual-speeds")
        self._prepared: OrderedDict[tuple[str, tuple[int, ...]], asyncio.Future[Conditions]] = OrderedDict()

    async def of(self, planner: RoutePlanner, usual: UsualSpeeds, departure: datetime) -> tuple[Conditions, datetime]:
        """Conditions for a departure, and since when they are; of many who ask for the same, one prepares them."""
        since = departure - (departure - _EPOCH) % STEP
        parts = tuple(usual.part_at(since + timedelta(seconds=seconds)) for seconds in _HORIZONS_SECONDS)
        key = (usual.version, parts)
        preparing = self._prepared.get(key)
        if preparing is None or preparing.cancelled() or (preparing.done() and preparing.exception()):

            def prepare() -> Conditions:
                times = travel_times(planner.graph, usual.speeds_kmh[list(parts)].astype(float), _HORIZONS_SECONDS)
                return planner.prepare(times, usual.version)

            preparing = self._prepared[key] = asyncio.get_running_loop().run_in_executor(self._thread, prepare)
            if len(self._prepared) > _PREPARED_AT_MOST:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        return await asyncio.shield(preparing), since
