"""Every feed that is switched on. A feed that is declared is listed here, and nowhere else."""

from __future__ import annotations

from typing import Any

from trafficapp.feeds.declaration import Feed
from trafficapp.riders.feeds import SURGES, TAPS, WINDOWS
from trafficapp.roads.feeds import NOTIFIED, PREDICTED, ROAD_SPEEDS, ROADS
from trafficapp.still_cameras.feeds import STILL_CAMERA_MESSAGES, STILL_CAMERAS, STILL_SNAPSHOTS

_OF_ROADS = (ROAD_SPEEDS, ROADS, PREDICTED, NOTIFIED)
_OF_RIDERS = (TAPS, WINDOWS, SURGES)
_OF_STILL_CAMERAS = (STILL_CAMERA_MESSAGES, STILL_CAMERAS, STILL_SNAPSHOTS)

FEEDS: tuple[Feed[Any], ...] = (*_OF_ROADS, *_OF_RIDERS, *_OF_STILL_CAMERAS)
