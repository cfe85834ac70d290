"""Every feed that is switched on. A feed that is declared is listed here, and nowhere else."""

from __future__ import annotations

from typing import Any

from trafficapp.feeds.declaration import Feed
from trafficapp.incidents import feeds as incidents
from trafficapp.roads.feeds import NOTIFIED, PREDICTED, ROAD_SPEEDS, ROADS

FEEDS: tuple[Feed[Any], ...] = (ROAD_SPEEDS, ROADS, PREDICTED, NOTIFIED, *incidents.FEEDS)
