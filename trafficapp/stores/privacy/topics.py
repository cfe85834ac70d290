"""Which topics may have a vehicle, and when what is in them now is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from trafficapp.feeds.declaration import Feed, rules_of
from trafficapp.settings import Settings
from trafficapp.topics import (
    CLEANUP_POLICY,
    DEAD_LETTERS,
    EVENTS_RAW,
    SEGMENT_MS,
    camera_state_changelog,
    declared_topics,
)

#: Fields of messages that name a vehicle or a person, or may.
_FIELDS = frozenset({"vehicle_id", "device_id", "rider_id", "subject"})

#: The broker looks for segments to delete or to compact as often.
_LOOKS = timedelta(minutes=5)


def personal_topics(feeds: Iterable[Feed[Any]], settings: Settings) -> list[str]:
    """Topics whose records may name a vehicle or a person."""
    feeds = list(feeds)
    found = {EVENTS_RAW, DEAD_LETTERS, camera_state_changelog(settings)}
    for feed in feeds:
        if feed.personal or _FIELDS & set(feed.shape.__struct_fields__):
            found |= {feed.topic_in(settings), feed.kept_topic_in(settings)}
    for rules in rules_of(feeds, settings):
        found |= {rules.topic_in(settings), rules.changelog_in(settings)}
    return sorted(found & {topic.name for topic in declared_topics(settings, feeds)})


def gone_by(feeds: Iterable[Feed[Any]], settings: Settings, now: datetime) -> Mapping[str, datetime]:
    """For each of these, when records written by now are gone, as it is declared.

    Of a compacted topic it is when a record is gone that a newer one of its key, or a null, followed at once.
    """
    feeds = list(feeds)
    config = {topic.name: topic.config for topic in declared_topics(settings, feeds)}
    return {name: now + _kept(config[name]) + _LOOKS for name in personal_topics(feeds, settings)}


def _kept(config: Mapping[str, str]) -> timedelta:
    segment = timedelta(milliseconds=int(config[SEGMENT_MS]))
    if config.get(CLEANUP_POLICY) == "compact":
        # the segment is closed, and then it is old enough to be compacted
        return segment + timedelta(milliseconds=int(config.get("min.compaction.lag.ms", "0")))
    return segment + timedelta(milliseconds=int(config["retention.ms"]))
