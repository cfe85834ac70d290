"""Roads on which nobody may drive, as routes meet them: which these are now, and travel times that keep off them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from trafficapp.roads.routing.published import PublishedSpeeds
from trafficapp.roads.routing.routes import RoutePlanner
from trafficapp.roads.routing.search import Conditions
from trafficapp.roads.routing.weights import closed_to_traffic

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


class ClosedConditions:
    """Travel times with edges closed, made when somebody asks for them first; the last ones are kept.

    One thread of their own prepares them, one after the other.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "closed-roads")
        self._prepared: OrderedDict[tuple[Conditions, frozenset[int]], asyncio.Future[Conditions]] = OrderedDict()

    async def of(self, planner: RoutePlanner, conditions: Conditions, closed: frozenset[int]) -> Conditions:
        """The conditions with these edges closed, under the same version."""
        if not closed:
            return conditions
        key = (conditions, closed)
        preparing = self._prepared.get(key)
        if preparing is None or preparing.cancelled() or (preparing.done() and preparing.exception()):
            preparing = self._prepared[key] = asyncio.get_running_loop().run_in_executor(
                self._thread, prepare_closed, planner, conditions, closed
            )
            if len(self._prepared) > _PREPARED_AT_MOST:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        return await asyncio.shield(preparing)


def prepare_closed(planner: RoutePlanner, conditions: Conditions, closed: frozenset[int]) -> Conditions:
    """The conditions with edges closed; takes some milliseconds a horizon."""
    return planner.prepare(closed_to_traffic(conditions.times, closed), conditions.version)
