"""Agent for ``traffic.metrics`` in the windows workers: files finished windows in local tables."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from trafficapp.engine.app import TrafficApp
from trafficapp.engine.finished import FinishedSink, FinishedStore, FinishedTable
from trafficapp.engine.kafka import end_offsets, offsets_at_time
from trafficapp.topics import METRICS


def register(app: TrafficApp) -> None:
    """Declare the tables by camera and by lane and the agent that fills them."""
    settings = app.settings

    def store(name: str, purpose: str) -> FinishedStore:
        table = FinishedTable(app, name=name, help=purpose, partitions=settings.kafka.partitions)
        app.tables.add(table)
        table.tumbling(settings.windows.size_seconds, expires=settings.windows.finished_retention_seconds)
        finished: FinishedStore = table.data
        finished.size_us = round(settings.windows.size_seconds * 1e6)
        finished.keep_seconds = settings.windows.finished_retention_seconds
        return finished

    async def offsets(partitions: Collection[int], epoch_seconds: float) -> dict[int, int]:
        return await offsets_at_time(settings, METRICS, partitions, epoch_seconds)

    async def ends(partitions: Collection[int]) -> dict[int, int]:
        return await end_offsets(settings, METRICS, partitions) if partitions else {}

    sink = FinishedSink(
        lambda: Path(app.conf.tabledir),
        store("camera_windows", "finished windows of each camera (tumbling, RocksDB)"),
        store("lane_windows", "finished windows of each lane (tumbling, RocksDB)"),
        offsets,
        ends,
    )
    app.local_current = sink.current
    app.read_in_runs(METRICS, sink, name="finished_windows")
