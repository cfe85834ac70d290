"""Agents that keep cameras and alerts in Redis as they are now, role ``live``; those of feeds are in `agents.feeds`."""

from __future__ import annotations

from trafficapp.engine.app import TrafficApp
from trafficapp.engine.kafka import aiokafka_config
from trafficapp.stores.alerts.live_sink import LiveAlertsSink
from trafficapp.stores.cameras.live_sink import LiveSink
from trafficapp.stores.cameras.live_upkeep import CameraUpkeep
from trafficapp.stores.cameras.periodic_events import PeriodicEvents, Surroundings
from trafficapp.stores.redis.connection import connect
from trafficapp.stores.redis.read_back import KafkaReadBack
from trafficapp.topics import ALERTS, METRICS

#: How far the clocks of workers may be apart.
_CLOCKS_DIFFER_SECONDS = 60.0


def register(app: TrafficApp) -> None:
    """Put the agents on an application."""
    settings, kafka = app.settings, aiokafka_config(app.settings)
    client = connect(settings.redis.url.get_secret_value())
    # the newest windows are a matter of minutes; an alert may be open for as long as the topic reaches back
    current_seconds = settings.windows.current_hours * 3600
    windows = KafkaReadBack(METRICS, kafka, min(settings.windows.finished_retention_seconds, current_seconds))
    steps = KafkaReadBack(ALERTS, kafka, settings.retention.alert_topic_days * 86_400)
    rows = app.telemetry.sink_rows

    def drop(reason: str) -> None:
        app.telemetry.events_dropped.labels(reason).inc()

    sink = LiveSink(
        client,
        windows,
        rows.labels("live").inc,
        current_seconds=current_seconds,
        ahead_seconds=settings.windows.future_guard_seconds + _CLOCKS_DIFFER_SECONDS,
        on_dropped=drop,
    )
    alerts = LiveAlertsSink(
        client,
        steps,
        rows.labels("live_alerts").inc,
        settings.events.replay_events,
        on_dropped=drop,
        withheld=app.withheld_alert,
    )
    app.read_in_runs(METRICS, sink, name="live")
    app.read_in_runs(ALERTS, alerts, name="live_alerts")
    app.telemetry.watch_sink("live", sink.is_waiting)
    app.telemetry.watch_sink("live_alerts", alerts.is_waiting)
    app.close_at_end(client.aclose)

    upkeep = CameraUpkeep(
        client,
        sink,
        current_seconds,
        # as many as the windows know at a time, and for as long as they know one that somebody made up
        most_cameras=settings.windows.max_cameras * settings.kafka.partitions,
        kept_seconds=settings.windows.forget_made_up_minutes * 60,
        on_in_two_partitions=app.telemetry.cameras_in_two_partitions.set,
    )
    surroundings = Surroundings(settings)
    periodic = PeriodicEvents(client, settings, surroundings)

    @app.task
    async def look_after_cameras() -> None:
        await upkeep.run()

    @app.task
    async def keep_surroundings_fresh() -> None:
        await surroundings.keep_fresh()

    @app.task
    async def tell_periodic_events() -> None:
        await periodic.run()
