"""Health of cameras as feeds: finished windows, which are ours, go to the rules; how sources are comes out."""

from __future__ import annotations

from collections.abc import Iterator

from models.cameras.window_rows import WindowRow
from models.quality.feeds import FeedMinute
from models.quality.sources import ObservedWindow, SourceHealth
from models.timestamps import epoch_us
from trafficapp.feeds.declaration import Column, Convert, Current, Feed, History, Origin, Sends
from trafficapp.feeds.rules import Rules
from trafficapp.quality.partition import SOURCE_HEALTH, make_rules
from trafficapp.settings import Settings
from trafficapp.topics import METRICS, feed_minutes

_NOON = "2026-01-14T12:00:00Z"
#: For so long it is known how a source is that finishes nothing any more.
_CURRENT_SECONDS = 86_400
#: Minutes of feeds are kept for so long: what is usual is told by a week.
FEED_MINUTES_DAYS = 30

QUALITY_OF_CAMERAS: Rules[ObservedWindow] = Rules(
    name="camera-quality",
    summary="How far cameras and their lanes are to be trusted.",
    key="camera_id",
    shape=ObservedWindow,
    make=make_rules,
)


def _observed(_: Settings) -> Convert:
    def messages(row: WindowRow, time_us: int, origin: Origin) -> Iterator[tuple[str, ObservedWindow]]:
        start_us, end_us = epoch_us(row.window_start), time_us
        counted = row.vehicle_count, row.detections, row.avg_speed_kmh, row.stopped_ratio
        # windows are finished, and told, in the partition that their detections came in
        yield row.camera_id, ObservedWindow(row.camera_id, row.lane_id, start_us, end_us, *counted, origin.partition)

    return messages


CAMERA_WINDOWS = Feed(
    name="camera-windows",
    summary="Finished windows of cameras and lanes, as the rules about their health read them.",
    topic=METRICS,
    shape=WindowRow,
    sample=WindowRow(
        camera_id="camera-1",
        window_start="2026-01-14T12:00:00Z",
        window_end="2026-01-14T12:00:10Z",
        lane_id=None,
        vehicle_count=7,
        counts_by_class={"car": 7},
        avg_speed_kmh=31.5,
        stopped_ratio=0.1,
        queue_length=1,
        congestion_level="LOW",
        congestion_score=0.2,
        detections=140,
    ),
    key="camera_id",
    time="window_end",
    future_seconds=None,
    partitions=lambda settings: settings.kafka.partitions,
    is_ours=True,
    any_clock=True,
    sends=Sends(to=QUALITY_OF_CAMERAS, messages=_observed, with_origin=True),
)

SOURCES = Feed(
    name="source-health",
    summary="How far each camera and lane is to be trusted: state, reason, since when, evidence.",
    topic=SOURCE_HEALTH,
    shape=SourceHealth,
    sample=SourceHealth(
        source_id="camera-1/2",
        kind="lane",
        camera_id="camera-1",
        lane_id=2,
        state="unhealthy",
        reason="no_hits",
        since=_NOON,
        evidence="no vehicle for 4.0 h, while its camera counts",
        completeness=0.0,
        validity=0.0,
        timeliness=0.0,
        timestamp=_NOON,
    ),
    key="source_id",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    current=Current(
        document="source:{key}:health",
        listed="sources:health",
        seconds=_CURRENT_SECONDS,
        channel="sources:health:told",
    ),
    path="/api/quality",
)

FEED_MINUTES = Feed(
    name="feed-minutes",
    summary="Minutes of feeds: how many accepted messages were in time, late, repeated.",
    topic=feed_minutes,
    shape=FeedMinute,
    sample=FeedMinute(
        feed_minute=f"connected-cars/0/{_NOON}",
        feed="connected-cars",
        topic="vehicle_data",
        partition=0,
        minute=_NOON,
        messages=600,
        timely=598,
        late_us=900_000_000,
        repeated=3,
    ),
    key="feed_minute",
    time="minute",
    future_seconds=None,
    partitions=1,
    is_ours=True,
    any_clock=True,
    history=History(
        table="feed_intake_minutes",
        columns={
            "feed_minute": Column("text"),
            "feed": Column("text"),
            "topic": Column("text"),
            "partition": Column("integer"),
            "minute": Column("timestamptz"),
            "messages": Column("bigint"),
            "timely": Column("bigint"),
            "late_us": Column("bigint"),
            "repeated": Column("bigint"),
        },
        key=("feed_minute",),
        days=FEED_MINUTES_DAYS,
    ),
)

QUALITY_FEEDS = (CAMERA_WINDOWS, SOURCES, FEED_MINUTES)
