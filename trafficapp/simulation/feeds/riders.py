"""Riders of the simulated city: they wait at stops, and tap on when they get on a bus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson

from models.timestamps import rfc3339
from trafficapp.simulation.feeds.forms import MessageIds
from trafficapp.simulation.feeds.lines import Stop
from trafficapp.sources.outgoing import Outgoing

RIDER_TAPPED_ON = "rider_tapped_on"

#: Riders an hour in the whole city when most are under way. Chosen so that a usual minute has less taps than are a
#: surge, and one in which a late bus finds all who waited for it has more.
PEAK_RIDERS_PER_HOUR = 280.0
#: So many times as many come to a hub as to another stop.
_HUB_WEIGHT = 5.0
#: So long people have come to stops before the start: as long as they wait on average.
_WAITED_SECONDS = 360.0
#: Who finds so many waiting before them goes on foot.
_MOST_WAITING = 60
#: Gates and phones are found within so many degrees of their station.
_AROUND_DEGREES = 0.001
_MILLISECOND_US = 1000


class Riders:
    """Who waits where.

    Args:
        stops: of all routes, in order of their numbers.
        chance: the source of chance.
        ids: of messages.
        demand: how many are under way at the start, as a share of the morning peak.
    """

    def __init__(self, stops: Sequence[Stop], chance: np.random.Generator, ids: MessageIds, demand: float) -> None:
        self._chance, self._ids = chance, ids
        weights = np.array([_HUB_WEIGHT if stop.is_hub else 1.0 for stop in stops])
        self._share = weights / weights.sum()
        #: How many wait at each stop.
        self.waiting = chance.poisson(PEAK_RIDERS_PER_HOUR / 3600 * demand * self._share * _WAITED_SECONDS)

    def come(self, demand: float) -> None:
        """Let come who comes to the stops in a second.

        Args:
            demand: how many are under way, as a share of the morning peak.
        """
        coming = self._chance.poisson(PEAK_RIDERS_PER_HOUR / 3600 * demand * self._share)
        self.waiting = np.minimum(self.waiting + coming, _MOST_WAITING)

    def tap(self, stop: Stop, time_us: int) -> Outgoing:
        """One of those who wait gets on."""
        self.waiting[stop.number] -= 1
        beside = self._chance.uniform(-_AROUND_DEGREES, _AROUND_DEGREES, 2).tolist()
        earlier_ms = int(self._chance.integers(1000))
        event_id = self._ids.next()
        message = {
            "event_id": event_id,
            "rider_id": f"rider-{int(self._chance.integers(100_000)):05d}",
            "station_id": stop.station_id,
            "latitude": round(stop.latitude + beside[0], 6),
            "longitude": round(stop.longitude + beside[1], 6),
            "timestamp": rfc3339(time_us - earlier_ms * _MILLISECOND_US),
        }
        return Outgoing(time_us, event_id.encode(), orjson.dumps(message), 0, RIDER_TAPPED_ON)
