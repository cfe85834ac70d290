"""The changelogs of all agents' states, each with what its rows are decoded by: loaded by who asks for the log."""

from __future__ import annotations

from trafficapp import topics
from trafficapp.engine.outbox import Outbox
from trafficapp.engine.state import StateLog
from trafficapp.settings import Settings


def camera_state_log(settings: Settings, outbox: Outbox) -> StateLog:
    """The changelog of the windows agent."""
    from trafficapp.windows import partition as windows

    changelog = topics.camera_state_changelog(settings)
    return StateLog(settings, outbox, changelog, settings.kafka.partitions, windows.decode_row)


def alert_state_log(settings: Settings, outbox: Outbox) -> StateLog:
    """The changelog of the alerts agent."""
    from trafficapp.alerts import partition as alerts

    changelog = topics.alert_state_changelog(settings)
    return StateLog(settings, outbox, changelog, settings.kafka.partitions, alerts.decode_row)


def road_feed_state_log(settings: Settings, outbox: Outbox) -> StateLog:
    """The changelog of the agent that checks the road-speed feed."""
    from trafficapp.roads import partition as road_feed

    changelog = topics.road_feed_changelog(settings)
    return StateLog(settings, outbox, changelog, settings.kafka.partitions, road_feed.decode_row)


def road_forecast_state_log(settings: Settings, outbox: Outbox) -> StateLog:
    """The changelog of the agent that predicts."""
    from trafficapp.forecast.city import roads as city

    changelog = topics.road_forecast_changelog(settings)
    return StateLog(settings, outbox, changelog, topics.CITY_PARTITIONS, city.decode_row)
