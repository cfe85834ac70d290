"""The simulated city as it sends: road speeds, cameras, probes and its other feeds, second by second."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from models.timestamps import from_epoch_us
from trafficapp.simulation.chance import Incident
from trafficapp.simulation.city import City, Floats
from trafficapp.simulation.days import CityNow
from trafficapp.simulation.detections import Cameras
from trafficapp.simulation.feed import Feed
from trafficapp.simulation.feeds.city_feeds import CityFeeds
from trafficapp.simulation.feeds.forms import FeedZones, LocalClock, MessageIds
from trafficapp.simulation.probes import Probes
from trafficapp.simulation.vehicles import Vehicles
from trafficapp.simulation.views import CameraView
from trafficapp.sources.outgoing import Outgoing

_SECOND_US = 1_000_000
_UTC = FeedZones()
_MINUTE = timedelta(minutes=1)
_STEP_MINUTES = 5
_FRIDAY = 4
_DAY_BEGINS, _DAY_ENDS, _PEAK_HOUR = 8, 19, 8


def clock_shift(now: datetime, zone: ZoneInfo, start_hour: int | None) -> timedelta:
    """What to add to the clock so that it is a given hour in the city, on this or the last working day.

    Whole minutes; none without an hour.
    """
    if start_hour is None:
        return timedelta(0)
    local = now.astimezone(zone)
    working = local - timedelta(days=max(local.weekday() - _FRIDAY, 0))
    played = working.replace(hour=start_hour, minute=0, second=0, microsecond=0)
    return -((local - played) // _MINUTE) * _MINUTE


def _this_second_us() -> int:
    return time.time_ns() // 1_000_000_000 * _SECOND_US


def daylight_hour(now: datetime, zone: ZoneInfo) -> int | None:
    """The hour to play when there is little traffic in the city now: the morning peak; None in the daytime."""
    return None if _DAY_BEGINS <= now.astimezone(zone).hour < _DAY_ENDS else _PEAK_HOUR


@dataclass(frozen=True)
class LiveCity:
    """A city that sends.

    Attributes:
        city: the city.
        views: its cameras.
        seed: of all chance.
        zone: the city's time zone.
        incidents: besides those of chance; their times are the city's.
        shift: the city's time less the clock.
        feed_seconds: interval of the feed.
        past_minutes: of the feed that are sent at the start, one observation a step of five minutes.
        zones: in which producers write times that have no offset.
        has_feeds: whether there are more than road speeds, cameras and trackers.
    """

    city: City
    views: Sequence[CameraView]
    seed: int
    zone: ZoneInfo
    incidents: Sequence[Incident] = ()
    shift: timedelta = timedelta(0)
    feed_seconds: int = 60
    past_minutes: int = 0
    zones: FeedZones = _UTC
    has_feeds: bool = True

    def messages(self, first_at_us: int | None = None) -> Iterator[Outgoing]:
        """Yield messages without end in the order they are due.

        Args:
            first_at_us: a whole second from which on they are; else the second in which all of the simulated day
                until now has been gone through.
        """
        now = CityNow(self.city, self.seed, self.zone, self.incidents)
        begin_us = first_at_us or _this_second_us()
        now.at(self._played(begin_us) - timedelta(minutes=self.past_minutes + _STEP_MINUTES))
        first_at_us = first_at_us or _this_second_us()
        feed = Feed(self.city)
        yield from self._past(now, feed, first_at_us)
        traffic, measured = now.at(self._played(first_at_us))
        chance = np.random.default_rng([self.seed, first_at_us // _SECOND_US])
        vehicles = Vehicles(self.city, traffic, chance)
        name = f"v{first_at_us // _SECOND_US:x}-"
        cameras = Cameras(self.city.graph, self.views, name, chance)
        ids = MessageIds(np.random.default_rng([self.seed, first_at_us // _SECOND_US, 9]))
        clocks = LocalClock(self.zones.trackers), LocalClock(self.zones.cars)
        probes = Probes(self.city.graph, name, chance, ids, clocks, with_cars=self.has_feeds)
        feeds = self._feeds(now, first_at_us) if self.has_feeds else None
        second_us = first_at_us
        while True:
            traffic, measured = now.at(self._played(second_us))
            if (second_us - first_at_us) // _SECOND_US % self.feed_seconds == 0:
                yield from feed.batch(measured, second_us, second_us)
            fleet = vehicles.step(traffic)
            yield from cameras.picture(fleet, second_us)
            yield from probes.fixes(fleet, second_us)
            if feeds is not None:
                played = self._played(second_us)
                yield from feeds.messages(now.chance, played, traffic.speed_kmh[0], fleet, second_us)
            second_us += _SECOND_US

    def _feeds(self, now: CityNow, first_at_us: int) -> CityFeeds:
        demand = now.chance.demand(self._played(first_at_us))
        return CityFeeds(self.city, self.seed, self.zone, self.zones, self.shift, first_at_us, demand)

    def _played(self, time_us: int) -> datetime:
        return from_epoch_us(time_us).astimezone(UTC) + self.shift

    def _past(self, now: CityNow, feed: Feed, first_at_us: int) -> Iterator[Outgoing]:
        """The feed before the start: the mean of each whole step, told as of its middle."""
        step_us = _STEP_MINUTES * 60 * _SECOND_US
        last_us = first_at_us // step_us * step_us
        for begin_us in range(last_us - self.past_minutes // _STEP_MINUTES * step_us, last_us, step_us):
            minutes: list[Floats] = []
            for minute in range(_STEP_MINUTES):
                minutes.append(now.at(self._played(begin_us + minute * 60 * _SECOND_US))[1])
            yield from feed.batch(np.mean(minutes, axis=0), begin_us + step_us // 2, first_at_us)
