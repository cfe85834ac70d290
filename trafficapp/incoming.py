"""Every topic that the application reads from outside: cameras, roads, and what is declared as a feed."""

from __future__ import annotations

from trafficapp.cameras.incoming import CAMERA_DETECTIONS
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.incoming import Incoming, incoming_of
from trafficapp.roads.incoming import ROAD_SPEEDS
from trafficapp.settings import Settings


def incoming_feeds(settings: Settings) -> list[Incoming]:
    """All of them, in the order in which they are shown."""
    declared = [incoming_of(feed, settings) for feed in FEEDS if not feed.is_ours]
    return [CAMERA_DETECTIONS, ROAD_SPEEDS, *declared]
