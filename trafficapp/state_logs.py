"""The changelogs of all agents' states, each with what its rows are decoded by."""

from __future__ import annotations

from trafficapp import topics
from trafficapp.alerts import partition as alerts
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state import StateLog
from trafficapp.forecast.city import roads as city
from trafficapp.roads import partition as road_feed
from trafficapp.settings import Settings
from trafficapp.windows import partition as windows


def camera_state_log(settings: Settings, outbox: Outbox) -> StateLog:
    """The changelog of the windows agent."""
    changelog = topics.camera_state_changelog(settings)
    return StateLog(settings, outbox, changelog, settings.kafka.partitions, windows.decode_row)


def alert_state_log(settings: Settings, outbox: Outbox) -> StateLog:
    """The changelog of the alerts agent."""
    changelog = topics.alert_state_changelog(settings)
    return StateLog(settings, outbox, changelog, settings.kafka.partitions, alerts.decode_row)


def road_feed_state_log(settings: Settings, outbox: Outbox) -> StateLog:
    """The changelog of the agent that checks the road-speed feed."""
    changelog = topics.road_feed_changelog(settings)
    return StateLog(settings, outbox, changelog, settings.kafka.partitions, road_feed.decode_row)


def road_forecast_state_log(settings: Settings, outbox: Outbox) -> StateLog:
    """The changelog of the agent that predicts."""
    changelog = topics.road_forecast_changelog(settings)
    return StateLog(settings, outbox, changelog, topics.CITY_PARTITIONS, city.decode_row)
