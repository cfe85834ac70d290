"""Topics of alerts of the city: each is a feed of ours, all share a table, and each has its list and socket."""

from __future__ import annotations

from typing import Any, TypeVar

from models.city_alerts import CityAlert
from trafficapp.feeds.declaration import Column, Current, Feed, History

_Alert = TypeVar("_Alert", bound=CityAlert)

#: For so long an alert's newest step is found among what is current.
CURRENT_SECONDS = 86_400

_TEXT = Column("text")
_REAL = Column("double precision")


def alert_feed(topic: str, summary: str, shape: type[_Alert], sample: _Alert, path: str) -> Feed[_Alert]:
    """The feed of a topic of alerts.

    Args:
        topic: such as ``surge_alerts``; the record key is what its readers go by, such as the zone.
        summary: a sentence.
        shape: of its steps.
        sample: a step.
        path: of the list, such as ``/api/riders/surges``.
    """
    name = topic.replace("_", "-")
    return Feed(
        name=name,
        summary=summary,
        topic=topic,
        shape=shape,
        sample=sample,
        key="alert_id",
        future_seconds=None,
        retention_hours=lambda settings: settings.retention.alert_topic_days * 24,
        is_ours=True,
        any_clock=True,
        current=Current(
            document=f"alert:{topic}:{{key}}",
            listed=f"alerts:{topic}",
            seconds=CURRENT_SECONDS,
            channel=f"alerts:{topic}:told",
        ),
        history=History(
            table="city_alerts",
            columns={
                "alert_id": Column("uuid"),
                "revision": Column("integer"),
                "alert_type": _TEXT,
                "state": _TEXT,
                "severity": _TEXT,
                "subject": _TEXT,
                "title": _TEXT,
                "message": _TEXT,
                "told_at": Column("timestamptz", of="timestamp"),
                "opened_at": Column("timestamptz"),
                "resolved_at": Column("timestamptz"),
                "latitude": _REAL,
                "longitude": _REAL,
            },
            key=("alert_id", "revision"),
            days=lambda settings: settings.retention.notifications_days,
        ),
        path=path,
    )


def is_alert_feed(feed: Feed[Any]) -> bool:
    """Whether a feed's messages are steps of alerts."""
    return isinstance(feed.shape, type) and issubclass(feed.shape, CityAlert)
