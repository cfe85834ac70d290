"""What writes the history of each feed into Postgres."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from trafficapp.areas.feeds import AREAS
from trafficapp.feeds.declaration import Feed
from trafficapp.roads.feeds import ROADS
from trafficapp.settings import Settings
from trafficapp.stores.feeds.rows_sink import RowsSink

#: Makes the history sink of a feed that writes more than its rows; told when to stop waiting.
MakeSink: TypeAlias = Callable[[Settings, Callable[[], bool]], RowsSink]


def _keep_roads(settings: Settings, should_stop: Callable[[], bool]) -> RowsSink:
    from trafficapp.stores.roads.observations_sink import HistoryRoadsSink

    return HistoryRoadsSink(settings, should_stop)


def _keep_areas(settings: Settings, should_stop: Callable[[], bool]) -> RowsSink:
    from trafficapp.stores.areas.areas_sink import HistoryAreasSink

    return HistoryAreasSink(settings, should_stop)


#: By name of the feed.
_WITH_MORE_ROWS: Mapping[str, MakeSink] = {ROADS.name: _keep_roads, AREAS.name: _keep_areas}


def history_sink(feed: Feed[Any], settings: Settings, should_stop: Callable[[], bool] = lambda: False) -> RowsSink:
    """The sink of a feed with a history.

    Args:
        feed: the declaration.
        settings: of the process.
        should_stop: asked while Postgres is away; True gives up waiting.
    """
    make = _WITH_MORE_ROWS.get(feed.name)
    return RowsSink(feed, settings, should_stop) if make is None else make(settings, should_stop)
