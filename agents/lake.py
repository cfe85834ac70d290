"""The agents of the role ``lake``: records into Parquet files, and what keeps these few and none too old."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from trafficapp.engine.app import TrafficApp
from trafficapp.settings import SettingsError
from trafficapp.stores.lake.compaction import expired, left_over
from trafficapp.stores.lake.kept import lake_tables
from trafficapp.stores.lake.sink import LakeSink
from trafficapp.stores.lake.storage import Storage
from trafficapp.stores.lake.tables import LakeTable
from trafficapp.topics import kept_in_lake

logger = logging.getLogger(__name__)

_COMPACT_SECONDS = 600.0
_SWEEP_SECONDS = 3600.0


def register(app: TrafficApp) -> None:
    """Put them on an application.

    Raises:
        SettingsError: the settings name something that cannot be kept, or a place that is none.
    """
    try:
        kept = kept_in_lake(app.feeds, app.settings)
        tables = lake_tables(app.feeds, app.settings) if kept else {}
        sinks = [_keep(app, tables[name], partitions) for name, partitions in kept.items()]
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if not sinks:
        return

    @app.timer(interval=min(1.0, app.settings.lake.piece_seconds))
    async def write_old() -> None:
        await asyncio.gather(*(sink.write_old() for sink in sinks))

    @app.timer(interval=_COMPACT_SECONDS)
    async def compact() -> None:
        for sink in sinks:
            if count := await sink.compact():
                logger.info("%s: made %d files of many", sink.topic, count)

    @app.timer(interval=_SWEEP_SECONDS)
    async def sweep() -> None:
        named = set[str]()
        for sink in sinks:
            named |= await sink.named()
        await asyncio.to_thread(_sweep, sinks[0].storage, app.settings.lake.days, named)


def _keep(app: TrafficApp, table: LakeTable, partitions: int) -> LakeSink:
    name = f"lake_{table.name.replace('-', '_')}"
    sink = LakeSink(table, app.settings, app.telemetry.sink_rows.labels(name).inc)
    app.read_in_runs(sink.topic, sink, name=name, partitions=partitions)
    app.telemetry.watch_sink(name, sink.is_waiting)
    app.close_at_end(sink.close)
    return sink


def _sweep(storage: Storage, days: int, named: set[str]) -> None:
    """Delete what is kept no longer, and what nobody will see; another worker may do the same."""
    now = datetime.now(UTC)
    try:
        old, lost = expired(storage, days, now), left_over(storage, named, now)
        for piece in old:
            storage.delete(piece)
        storage.forget(lost)
    except OSError as error:
        logger.warning("%s cannot be swept now: %s", storage.name, error)
        return
    if old or lost:
        logger.info(
            "%s: deleted %d files of more than %d days, %d that nobody saw", storage.name, len(old), days, len(lost)
        )
