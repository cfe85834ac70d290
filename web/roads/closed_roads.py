"""Roads on which nobody may drive, and those that incidents slow: which these are now, and travel times with them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import NamedTuple

from trafficapp.roads.routing.published import PublishedSpeeds
from trafficapp.roads.routing.routes import RoutePlanner
from trafficapp.roads.routing.search import Conditions
from trafficapp.roads.routing.weights import closed_to_traffic, slowed

#: Predictions, and some departures for which others count.
_PREPARED_AT_MOST = 6


def closed_now(published: PublishedSpeeds | None, now: datetime, closed_seconds: float) -> Mapping[int, datetime]:
    """Closed edges, and when that was told last; what was told too long ago counts no more.

    Args:
        published: the newest speeds, also where these say nothing of the traffic any more.
        now: aware.
        closed_seconds: how long a closure holds without being told again.
    """
    if published is None:
        return {}
    longest = timedelta(seconds=closed_seconds)
    return {edge: told_at for edge, told_at in published.closed_at.items() if now - told_at <= longest}


class InTheWay(NamedTuple):
    """What is in the way of traffic.

    Attributes:
        closed: positions of edges on which nobody may drive.
        shares: what is left of the speed of others, with their positions.
        are_measured: whether the speeds that are known are of now.
    """

    closed: frozenset[int]
    shares: frozenset[tuple[int, float]] = frozenset()
    are_measured: bool = False


class ClosedConditions:
    """Travel times with something in the way, made when somebody asks for them first; the last ones are kept.

    One thread of their own prepares them, one after the other.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "closed-roads")
        self._prepared: OrderedDict[tuple[Conditions, InTheWay], asyncio.Future[Conditions]] = OrderedDict()

    async def of(self, planner: RoutePlanner, conditions: Conditions, in_the_way: InTheWay) -> Conditions:
        """The conditions with that in the way, under the same version."""
        if not (in_the_way.closed or in_the_way.shares):
            return conditions
        key = (conditions, in_the_way)
        preparing = self._prepared.get(key)
        if preparing is None or preparing.cancelled() or (preparing.done() and preparing.exception()):
            preparing = self._prepared[key] = asyncio.get_running_loop().run_in_executor(
                self._thread, prepare_closed, planner, conditions, in_the_way
            )
            if len(self._prepared) > _PREPARED_AT_MOST:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        return await asyncio.shield(preparing)


def prepare_closed(planner: RoutePlanner, conditions: Conditions, in_the_way: InTheWay) -> Conditions:
    """The conditions with something in the way; takes some milliseconds a horizon."""
    times = conditions.times
    if in_the_way.shares:
        times = slowed(times, planner.graph, dict(in_the_way.shares), are_measured=in_the_way.are_measured)
    return planner.prepare(closed_to_traffic(times, in_the_way.closed), conditions.version)
