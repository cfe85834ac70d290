"""Every Kafka topic, declared once: name, key, partitions and retention."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trafficapp.feeds.declaration import Feed, number_in, rules_of
from trafficapp.settings import Settings

EVENTS_RAW = "traffic.events.raw"
METRICS = "traffic.metrics"
ALERTS = "traffic.alerts"
DEAD_LETTERS = "traffic.dead-letters"
ROADS_RAW = "traffic-raw"
PREDICTIONS = "traffic-predictions"
ROUTE_UPDATES = "route-updates"
NOTIFICATIONS = "traffic-notifications"
VEHICLE_DATA = "vehicle_data"
GPS_DATA = "gps_data"
#: The newest state of each vehicle of the transit system; its map on ``/ws`` is told of it.

#: All roads of a city are predicted together, so their checked observations meet in one partition: decision 0013.
CITY_PARTITIONS = 1

#: What of cameras goes to the lake, beside what feeds have: topics, by what they are called in ``lake.feeds``.
CAMERAS_IN_LAKE = {"events": EVENTS_RAW, "metrics": METRICS, "alerts": ALERTS}

#: The largest record of ours. A dead letter holds a refused message as base64, so it is larger than what
#: came in; a state row holds every vehicle of a camera's open windows.
MAX_RECORD_BYTES = 8 << 20

#: Settings of topics by the broker's names, that a topic is brought to when it exists already.
TIMESTAMP_TYPE = "message.timestamp.type"
MAX_MESSAGE_BYTES = "max.message.bytes"
CLEANUP_POLICY = "cleanup.policy"
SEGMENT_MS = "segment.ms"

_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class TopicDeclaration:
    """A topic as it is created when it does not exist.

    Attributes:
        key: what the record key is, for people.
        config: topic settings of the broker, as it names them.
    """

    name: str
    key: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OwnTopic:
    """A topic of this application alone: its name begins with the application's id."""

    rest: str

    def __call__(self, settings: Settings) -> str:
        """The name of the topic."""
        return f"{settings.app_id}-{self.rest}"


#: The changelog topic of the table ``camera_state``.
camera_state_changelog = OwnTopic("camera_state-changelog")

#: The changelog topic of the table ``alert_state``.
alert_state_changelog = OwnTopic("alerts-alert_state-changelog")

#: The topic on which the windows tell the alerts of cameras that finish no more windows.
quiet_cameras = OwnTopic("quiet-cameras")

#: The topic of checked road observations; it has one partition.
road_observations = OwnTopic("road-observations")

#: The topic of congestion events; it has one partition.
congestion_events = OwnTopic("congestion-events")

#: The topic of notifications about single roads that a congestion event tells of in their place; it has one partition.
folded_notifications = OwnTopic("folded-notifications")

#: The topic of the newest states of vehicles of public transport, with all that is known of them.
live_vehicles = OwnTopic("live-vehicles")

#: The topic of vehicles of public transport on their runs, with the stops before them.
live_runs = OwnTopic("live-runs")

#: The topic of the routes of vehicles of public transport, completed.
transit_routes = OwnTopic("transit-routes")

#: The topic of minutes of feeds, as who checks their messages saw them.
feed_minutes = OwnTopic("feed-minutes")

#: The changelog topic of the table ``road_feed_state``, partitioned like ``traffic-raw``.
road_feed_changelog = OwnTopic("roads-road_feed_state-changelog")

#: The changelog topic of the table ``road_forecast_state``; it has one partition.
road_forecast_changelog = OwnTopic("roads-road_forecast_state-changelog")


#: Whoever reads such a topic from its beginning reads little more than one record of each key.
_NEWEST_OF_EACH = {
    CLEANUP_POLICY: "compact",
    SEGMENT_MS: str(_HOUR_MS // 6),
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.1",
}


def _kept_for(hours: float) -> dict[str, str]:
    """How long records stay.

    A broker deletes whole segments, and the one that is written to never: by itself it closes one after a week. So that
    a topic keeps what it says it keeps, a segment is closed after a sixth of that, an hour at most.
    """
    kept_ms = int(hours * _HOUR_MS)
    return {"retention.ms": str(kept_ms), SEGMENT_MS: str(min(max(kept_ms // 6, _HOUR_MS // 60), _HOUR_MS))}


def how_to_begin_anew(topic: str) -> str:
    """What a person does when what was kept of a topic does not fit it any more."""
    return (
        "Stop all workers. If partitions were added, pause the producers for longer than a window and its lateness. "
        f"Run `trafficapp topics begin-anew {topic}`, and start the workers again: they compute everything that is "
        "still in the topic once more"
    )


def declared_topics(settings: Settings, feeds: Iterable[Feed[Any]] = ()) -> list[TopicDeclaration]:
    """All topics of the application.

    Args:
        settings: numbers of partitions and retention.
        feeds: whose topics are declared by them, in place of what is here; those of roads are here, too, beside what
            follows from them.
    """
    retention = _kept_for(settings.retention.topic_hours)
    # few and small, and an alert may be open for long
    alerts = _kept_for(settings.retention.alert_topic_days * 24)
    large = {MAX_MESSAGE_BYTES: str(MAX_RECORD_BYTES)}
    # A row that a frozen process writes late must not survive its newer twin: owners write their rows
    # again every ten minutes, and nothing younger than an hour is compacted.
    changelog = {
        CLEANUP_POLICY: "compact",
        SEGMENT_MS: str(_HOUR_MS // 6),
        "segment.bytes": str(64 << 20),
        "min.cleanable.dirty.ratio": "0.1",
        "min.compaction.lag.ms": str(_HOUR_MS),
    }
    # what is ahead of its time, late or silent is judged by the broker's clock, not by that of a producer or a worker
    stamped = {TIMESTAMP_TYPE: "LogAppendTime"}
    partitions, copies = settings.kafka.partitions, settings.kafka.replication_factor
    listed = [
        TopicDeclaration(EVENTS_RAW, "camera_id", partitions, copies, retention | stamped),
        TopicDeclaration(METRICS, "camera_id", partitions, copies, retention | stamped),
        TopicDeclaration(ALERTS, "camera_id", partitions, copies, alerts),
        TopicDeclaration(DEAD_LETTERS, "source key", partitions, copies, retention | large),
        TopicDeclaration(quiet_cameras(settings), "camera_id", partitions, copies, retention),
        TopicDeclaration(camera_state_changelog(settings), "camera_id", partitions, copies, changelog | large),
        TopicDeclaration(alert_state_changelog(settings), "camera_id", partitions, copies, changelog),
        TopicDeclaration(ROADS_RAW, "road_id", partitions, copies, retention | stamped),
        TopicDeclaration(road_observations(settings), "road_id", CITY_PARTITIONS, copies, retention | stamped),
        TopicDeclaration(PREDICTIONS, "road_id", CITY_PARTITIONS, copies, retention),
        TopicDeclaration(ROUTE_UPDATES, "none", CITY_PARTITIONS, copies, retention),
        TopicDeclaration(NOTIFICATIONS, "road_id", CITY_PARTITIONS, copies, alerts),
        TopicDeclaration(congestion_events(settings), "event_id", CITY_PARTITIONS, copies, alerts),
        TopicDeclaration(folded_notifications(settings), "road_id", CITY_PARTITIONS, copies, retention),
        TopicDeclaration(road_feed_changelog(settings), "road_id", partitions, copies, changelog | large),
        TopicDeclaration(road_forecast_changelog(settings), "road_id", CITY_PARTITIONS, copies, changelog | large),
    ]
    declared = {topic.name: topic for topic in listed}
    feeds = list(feeds)
    declared |= {topic.name: topic for feed in feeds for topic in topics_of(feed, settings)}
    for subject, count in kept_in_lake(feeds, settings).items():
        name = lake_changelog(settings, subject)
        declared[name] = TopicDeclaration(name, "partition", count, copies, changelog)
    for rules in rules_of(feeds, settings):
        partitions = rules.partitions_in(settings)
        inner = TopicDeclaration(rules.topic_in(settings), rules.key, partitions, copies, retention | large)
        kept = TopicDeclaration(rules.changelog_in(settings), rules.key, partitions, copies, changelog | large)
        declared |= {inner.name: inner, kept.name: kept}
    return list(declared.values())


def kept_in_lake(feeds: Iterable[Feed[Any]], settings: Settings) -> dict[str, int]:
    """What goes to the lake, by name, and how many partitions its topic has; nothing where there is no lake.

    Raises:
        ValueError: the settings name a feed that has no history or is not there.
    """
    if settings.lake.url is None:
        return {}
    found = dict.fromkeys(CAMERAS_IN_LAKE, settings.kafka.partitions)
    found |= {feed.name: feed.partitions_in(settings) for feed in feeds if feed.history is not None}
    wanted = settings.lake.feeds
    if unknown := [name for name in wanted if name not in found]:
        raise ValueError(f"lake.feeds names {unknown[0]}; what has a history is: {', '.join(sorted(found))}")
    return {name: count for name, count in found.items() if not wanted or name in wanted}


def lake_changelog(settings: Settings, name: str) -> str:
    """The topic that names the files of the lake, of what is called so in ``lake.feeds``."""
    return f"{settings.app_id}-{name}-lake-changelog"


def topics_of(feed: Feed[Any], settings: Settings) -> list[TopicDeclaration]:
    """The topics of a feed: that which producers write, and the one by natural key where there is one."""
    hours = settings.retention.topic_hours if feed.retention_hours is None else feed.retention_hours
    retention = _kept_for(number_in(hours, settings))
    partitions = feed.partitions_in(settings)
    copies = settings.kafka.replication_factor
    # what is ahead is judged by the broker's clock; behind it a record keeps the time that it got there
    stamped = {} if feed.is_ours and not feed.takes_any_key else {TIMESTAMP_TYPE: "LogAppendTime"}
    kept = _NEWEST_OF_EACH if feed.compacted else retention
    outer = TopicDeclaration(feed.topic_in(settings), feed.key, partitions, copies, kept | stamped)
    if not feed.rekey:
        return [outer]
    # a message that came compressed goes on as it is
    large = {MAX_MESSAGE_BYTES: str(MAX_RECORD_BYTES)}
    return [outer, TopicDeclaration(feed.kept_topic_in(settings), feed.key, partitions, copies, retention | large)]
