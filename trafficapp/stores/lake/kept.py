"""All that goes to the lake, and the sinks that fill Postgres from it again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trafficapp.feeds.declaration import Feed
from trafficapp.history_sinks import history_sink
from trafficapp.settings import Settings
from trafficapp.stores.alerts.history_sink import HistoryAlertsSink
from trafficapp.stores.cameras.windows_sink import HistoryMetricsSink
from trafficapp.stores.lake.restore import RestoredEventsSink
from trafficapp.stores.lake.tables import AlertsTable, EventsTable, FeedTable, LakeTable, WindowsTable
from trafficapp.stores.postgres.sink import HistorySink


def lake_tables(feeds: Iterable[Feed[Any]], settings: Settings) -> dict[str, LakeTable]:
    """Every table that there may be, by its name in ``lake.feeds``: of feeds with a history, and of cameras."""
    found = [FeedTable(feed, settings) for feed in feeds if feed.history is not None]
    return {table.name: table for table in (EventsTable(settings), WindowsTable(), AlertsTable(), *found)}


def restoring_sink(name: str, feeds: Iterable[Feed[Any]], settings: Settings) -> HistorySink[Any]:
    """What `trafficapp.stores.lake.restore.restore` writes a table of that name with."""
    if name == "events":
        return RestoredEventsSink(settings)
    if name == "metrics":
        return HistoryMetricsSink(settings)
    if name == "alerts":
        return HistoryAlertsSink(settings)
    return history_sink(next(feed for feed in feeds if feed.name == name), settings)
