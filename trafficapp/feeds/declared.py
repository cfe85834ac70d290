"""Every feed that is switched on. A feed that is declared is listed here, and nowhere else."""

from __future__ import annotations

from typing import Any

from trafficapp.areas.feeds import AREA_DATA, AREA_INCOMING, AREAS
from trafficapp.feeds.declaration import Feed
from trafficapp.fleet.drive_feeds import DRIVE_FEEDS
from trafficapp.fleet.feeds import CARS, POSITIONS, TRACKERS
from trafficapp.incidents import feeds as incidents
from trafficapp.movement.feeds import QUALITY
from trafficapp.quality.feeds import QUALITY_FEEDS
from trafficapp.riders.feeds import SURGES, TAPS, WINDOWS
from trafficapp.roads.feeds import CONGESTION, FOLDED, NOTIFIED, PREDICTED, ROAD_SPEEDS, ROADS
from trafficapp.still_cameras.feeds import STILL_CAMERA_MESSAGES, STILL_CAMERAS, STILL_SNAPSHOTS
from trafficapp.timetables.live.agency_feeds import AGENCY_FEEDS
from trafficapp.timetables.live.feeds import TIMETABLE_FEEDS
from trafficapp.transit.feeds import TRANSIT_FEEDS
from trafficapp.weather.feeds import WEATHER_FEEDS

FEEDS: tuple[Feed[Any], ...] = (
    *(ROAD_SPEEDS, ROADS, PREDICTED, NOTIFIED, FOLDED, CONGESTION),
    *(AREA_DATA, AREA_INCOMING, AREAS),
    *(*TRANSIT_FEEDS, *TIMETABLE_FEEDS, *AGENCY_FEEDS),
    *(TAPS, WINDOWS, SURGES),
    *(CARS, TRACKERS, POSITIONS, *DRIVE_FEEDS),
    *(QUALITY, *QUALITY_FEEDS),
    *incidents.FEEDS,
    *WEATHER_FEEDS,
    *(STILL_CAMERA_MESSAGES, STILL_CAMERAS, STILL_SNAPSHOTS),
)
