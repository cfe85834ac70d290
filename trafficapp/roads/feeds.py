"""The feeds of roads: what producers say, and what this application makes of it.

``road-speeds`` is read by an agent of its own (`agents.roads.feed`): what it says is completed by the graph and by
what was said before. The checked observations, the predictions, the notifications and the congestion events that follow
are ours.
"""

from __future__ import annotations

import uuid

from msgspec import structs

from models.roads.congestion import CongestionCause, CongestionEvent, CongestionPlace, CongestionRoad
from models.roads.current import RoadObservation
from models.roads.messages import RoadMessage
from models.roads.notifications import RoadNotification
from models.roads.predictions import RoadPrediction
from trafficapp.feeds.declaration import Check, Column, Current, Feed, History, NewestLog, Sends
from trafficapp.quality.city_sources import CITY_SOURCES, road_readings
from trafficapp.settings import Settings
from trafficapp.topics import (
    CITY_PARTITIONS,
    NOTIFICATIONS,
    PREDICTIONS,
    ROADS_RAW,
    congestion_events,
    folded_notifications,
    road_observations,
)

#: How long a road without a newer observation counts as known.
CURRENT_SECONDS = 600
#: As far as a prediction reaches.
PREDICTED_SECONDS = 1800

#: What was measured longer ago is history. A feed says speeds every five minutes at the latest, and what it says may
#: have been measured a few minutes before; a quarter of an hour later most jams have changed.
NEWS_SECONDS = 900.0

#: ``road:{road_id}:current``: `RoadObservation` as JSON; expires ten minutes after it came.
ROAD_DOCUMENTS = Current(
    document="road:{key}:current", listed="roads:observed", seconds=CURRENT_SECONDS, sent="record_timestamp"
)
#: ``road:{road_id}:predicted``: `RoadPrediction` as JSON; expires half an hour after it came.
PREDICTION_DOCUMENTS = Current(document="road:{key}:predicted", listed="roads:predicted", seconds=PREDICTED_SECONDS)
NOTIFICATION_LOG = NewestLog(
    list="notifications:newest",
    known="notification:{id}:known",
    id="event_id",
    kept=100,
    known_seconds=86_400,
    channel="traffic:notifications",
    news_seconds=NEWS_SECONDS,
)

_NOON = "2026-01-14T12:00:00Z"
_EVENT_ID = str(uuid.uuid5(uuid.NAMESPACE_OID, "sample"))
_REAL = Column("double precision")
_TEXT = Column("text")
_TIME = Column("timestamptz")
_JSON = Column("jsonb")


def _checks(settings: Settings) -> Check:
    from trafficapp.roads.feed import FeedChecks
    from trafficapp.roads.graph.shipped import city_graph
    from trafficapp.roads.road_edges import RoadEdges

    edges = RoadEdges(city_graph(settings.roads), settings.roads.match_reach_m)
    return FeedChecks(settings.roads, edges.box).check


ROAD_SPEEDS = Feed(
    name="road-speeds",
    summary="Measured speeds of roads.",
    topic=ROADS_RAW,
    shape=RoadMessage,
    sample=RoadMessage(
        event_id="sample",
        timestamp=_NOON,
        road_id="sample",
        road_name="Via Stalingrado",
        current_speed=31.0,
        free_flow_speed=50.0,
        jam_factor=3.2,
        coordinates=[[11.3266, 44.4993], [11.3216, 44.5012]],
    ),
    key="road_id",
    partitions=lambda settings: settings.kafka.partitions,
    checks=_checks,
)

ROADS = Feed(
    name="roads",
    summary="Checked observations of roads, with the edges of the graph that they are on.",
    topic=road_observations,
    shape=RoadObservation,
    sample=RoadObservation(
        event_id="sample",
        timestamp=_NOON,
        road_id="sample",
        road_name="Via Stalingrado",
        current_speed=31.0,
        free_flow_speed=50.0,
        jam_factor=3.2,
        congestion_level="low",
        speed_ratio=0.62,
        rush_hour=False,
        coordinates=[(11.3175, 44.4985), (11.3195, 44.4995)],
        edges=[("a10", 1.0)],
        graph_version="",
        source_partition=0,
        source_offset=0,
    ),
    key="road_id",
    partitions=CITY_PARTITIONS,
    future_seconds=None,
    is_ours=True,
    sends=Sends(to=CITY_SOURCES, messages=road_readings),
    current=ROAD_DOCUMENTS,
    history=History(
        table="road_observations",
        columns={
            "road_id": _TEXT,
            "observed_at": Column("timestamptz", of="timestamp"),
            "event_id": _TEXT,
            "current_speed": _REAL,
            "free_flow_speed": _REAL,
            "jam_factor": _REAL,
            "congestion_level": _TEXT,
            "speed_ratio": _REAL,
            "rush_hour": Column("boolean"),
            "closed": Column("boolean"),
            "confidence": _REAL,
            "vehicles": Column("integer"),
            "credibility": _REAL,
        },
        key=("road_id", "observed_at"),
        partitioned_by="observed_at",
        days=lambda settings: settings.retention.roads_days,
    ),
)

PREDICTED = Feed(
    name="predictions",
    summary="Predicted speeds of roads; of a road the newest counts.",
    topic=PREDICTIONS,
    shape=RoadPrediction,
    sample=RoadPrediction(
        event_id=_EVENT_ID,
        timestamp=_NOON,
        road_id="sample",
        current_speed=31.0,
        predicted_speed_10min=30.0,
        predicted_speed_20min=29.0,
        predicted_speed_30min=28.0,
        prediction_confidence=None,
        model_version="baseline:last_value",
        source="last_value",
        note="",
        low_kmh=[None, None, None],
        high_kmh=[None, None, None],
        confidences=[None, None, None],
        step_start=_NOON,
    ),
    key="road_id",
    partitions=CITY_PARTITIONS,
    future_seconds=None,
    is_ours=True,
    current=PREDICTION_DOCUMENTS,
    history=History(
        table="predictions",
        columns={
            "road_id": _TEXT,
            "step_start": Column("timestamptz"),
            "made_at": Column("timestamptz", of="timestamp"),
            "event_id": Column("uuid"),
            "current_speed": _REAL,
            "predicted_speed_10min": _REAL,
            "predicted_speed_20min": _REAL,
            "predicted_speed_30min": _REAL,
            "prediction_confidence": _REAL,
            "low_kmh": Column("double precision[]"),
            "high_kmh": Column("double precision[]"),
            "model_version": _TEXT,
            "source": _TEXT,
            "step_speed_kmh": _REAL,
            "model_versions": _JSON,
        },
        key=("road_id", "step_start"),
        newest_by="made_at",
        partitioned_by="step_start",
        days=lambda settings: settings.retention.predictions_days,
    ),
)

NOTIFIED = Feed(
    name="notifications",
    summary="Notifications about roads; the same event_id may come again.",
    topic=NOTIFICATIONS,
    shape=RoadNotification,
    sample=RoadNotification(
        event_id=_EVENT_ID,
        timestamp=_NOON,
        alert_type="severe_traffic",
        road_id="sample",
        road_name="Via Stalingrado",
        severity="WARNING",
        message="Via Stalingrado: jam factor 8.4 of 10, severe is above 8; now 9 km/h, 50 km/h when it is free",
        affected_routes_count=2,
    ),
    key="road_id",
    partitions=CITY_PARTITIONS,
    future_seconds=None,
    retention_hours=lambda settings: settings.retention.alert_topic_days * 24,
    is_ours=True,
    current=NOTIFICATION_LOG,
    history=History(
        table="notifications",
        columns={
            "event_id": Column("uuid"),
            "notified_at": Column("timestamptz", of="timestamp"),
            "alert_type": _TEXT,
            "road_id": _TEXT,
            "road_name": _TEXT,
            "severity": _TEXT,
            "message": _TEXT,
            "affected_routes_count": Column("integer"),
            "congestion_event_id": _TEXT,
            "change": _TEXT,
            "folded": Column("boolean"),
        },
        key=("event_id",),
        days=lambda settings: settings.retention.notifications_days,
    ),
)

FOLDED = Feed(
    name="folded-notifications",
    summary="Notifications about single roads that a congestion event tells of in their place.",
    topic=folded_notifications,
    shape=RoadNotification,
    sample=structs.replace(NOTIFIED.sample, congestion_event_id=_EVENT_ID, folded=True),
    key="road_id",
    partitions=CITY_PARTITIONS,
    future_seconds=None,
    is_ours=True,
    history=NOTIFIED.history,
)

CONGESTION = Feed(
    name="congestion-events",
    summary="Jammed roads that touch each other as one event; of an event the newest counts.",
    topic=congestion_events,
    shape=CongestionEvent,
    sample=CongestionEvent(
        event_id=_EVENT_ID,
        state="growing",
        severity="WARNING",
        began_at=_NOON,
        updated_at=_NOON,
        ended_at=None,
        latitude=44.4995,
        longitude=11.3195,
        head=CongestionPlace(road_id="sample", road_name="Via Stalingrado", latitude=44.4995, longitude=11.3195),
        tail=CongestionPlace(road_id="sample", road_name="Via Stalingrado", latitude=44.4985, longitude=11.3175),
        length_m=193.0,
        extent_m=193.0,
        delay_vehicle_hours=1.25,
        delay_method="greenshields",
        cause=CongestionCause(kind="incident", id="inc-4711", description="accident"),
        roads=[
            CongestionRoad(
                road_id="sample",
                road_name="Via Stalingrado",
                speed_kmh=9.0,
                free_flow_kmh=50.0,
                since=_NOON,
                jammed=True,
            )
        ],
        merged_into=None,
        suspected_incident=None,
    ),
    key="event_id",
    time="updated_at",
    partitions=CITY_PARTITIONS,
    future_seconds=None,
    retention_hours=lambda settings: settings.retention.alert_topic_days * 24,
    is_ours=True,
    path="/api/congestion/events",
    current=Current(
        document="congestion:event:{key}",
        listed="congestion:events",
        seconds=CURRENT_SECONDS,
        channel="traffic:congestion",
    ),
    history=History(
        table="congestion_events",
        columns={
            "event_id": Column("uuid"),
            "state": _TEXT,
            "severity": _TEXT,
            "began_at": _TIME,
            "updated_at": _TIME,
            "ended_at": _TIME,
            "head": _JSON,
            "tail": _JSON,
            "length_m": _REAL,
            "extent_m": _REAL,
            "delay_vehicle_hours": _REAL,
            "delay_method": _TEXT,
            "cause": _JSON,
            "roads": _JSON,
            "merged_into": _TEXT,
            "suspected_incident": _JSON,
        },
        key=("event_id",),
        newest_by="updated_at",
        days=lambda settings: settings.retention.notifications_days,
    ),
)
