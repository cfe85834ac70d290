"""Every topic that the application reads from outside: detections of cameras, and all that is declared as a feed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from trafficapp.cameras.incoming import CAMERA_DETECTIONS
from trafficapp.feeds.declaration import Feed
from trafficapp.feeds.declared import FEEDS
from trafficapp.feeds.incoming import Incoming, incoming_of
from trafficapp.roads.feeds import ROAD_SPEEDS
from trafficapp.roads.incoming import road_speeds
from trafficapp.settings import Settings

#: Feeds with more rules than their declarations say.
_WITH_MORE_RULES: Mapping[str, Callable[[Settings], Incoming]] = {ROAD_SPEEDS.name: road_speeds}


def incoming_feeds(settings: Settings, feeds: Iterable[Feed[Any]] = FEEDS) -> list[Incoming]:
    """All of them, in the order in which they are shown.

    Args:
        settings: of the process.
        feeds: those that are switched on.
    """
    found = [CAMERA_DETECTIONS]
    for feed in feeds:
        if not feed.is_ours:
            more_rules = _WITH_MORE_RULES.get(feed.name)
            found.append(incoming_of(feed, settings) if more_rules is None else more_rules(settings))
    return found
