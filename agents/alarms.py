"""Alarm management in the background: what is withheld (role ``live``), ends of shelves and gauges (``history``)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from msgspec import structs

from models.alarms import Withheld
from models.alerts import AlertEvent
from models.city_alerts import CityAlert
from models.roads.notifications import RoadNotification
from models.timestamps import MICROSECONDS_PER_SECOND, epoch_us, rfc3339
from trafficapp.alarms.withholding import RULES_OF_OUTAGES, Withholding
from trafficapp.engine.app import TrafficApp
from trafficapp.engine.history_telemetry import AlarmTelemetry
from trafficapp.feeds.city_alerts import is_alert_feed
from trafficapp.feeds.declaration import Current
from trafficapp.quality.outages import REGIONAL_OUTAGE
from trafficapp.roads.feeds import NOTIFIED
from trafficapp.stores.alarms.event_cameras import EventCameras
from trafficapp.stores.alarms.performance import performance_of
from trafficapp.stores.alarms.regional_outages import RegionalOutages
from trafficapp.stores.alarms.shelves import end_shelves
from trafficapp.stores.alarms.standing import StandingAlarms, StandingAlerts, StandingCityAlerts, StandingCongestion
from trafficapp.stores.alarms.withheld import WithheldNow
from trafficapp.stores.postgres.connection import create_pool, is_transient
from trafficapp.stores.redis.connection import UNAVAILABLE, connect

if TYPE_CHECKING:
    from trafficapp.stores.postgres.connection import Pool

logger = logging.getLogger(__name__)

#: What the gauges are of.
_GAUGED = timedelta(hours=24)
_GAUGES_SECONDS, _SHELVES_SECONDS, _CAMERAS_SECONDS, _OUTAGES_SECONDS = 60.0, 1.0, 2.0, 2.0
_RETRY_SECONDS = 5.0


def register(app: TrafficApp) -> None:
    """Put on an application what its roles do."""
    if "live" in app.roles:
        _keep_withheld(app)
    if "history" in app.roles:
        _look_after(app)


def withheld_alert(known: Withholding, step: AlertEvent, hold_silent_us: int = 0) -> Withheld | None:
    """Why people are not to be told of a step of an alert: by when it opened, or by when it goes on.

    Args:
        known: what is shelved, suppressed or folded.
        step: of an alert.
        hold_silent_us: how long an alert is held that may turn out to be part of a regional outage.
    """
    at_us = epoch_us(step.triggered_at if step.action == "opened" else step.updated_at)
    found = known.of("alert", step.id, step.alert_type, step.camera_id, at_us)
    if found is None and hold_silent_us and step.action == "opened" and step.alert_type in RULES_OF_OUTAGES:
        until = rfc3339(at_us + hold_silent_us)
        return Withheld(how="held", by=REGIONAL_OUTAGE, reason="others of its area may be silent as well", until=until)
    return found


def marked_notification(known: Withholding, message: RoadNotification) -> RoadNotification | None:
    """A notification with why people are not to be told of it; None when they are."""
    at_us = epoch_us(message.timestamp)
    why = known.of("notification", message.event_id, message.alert_type, message.road_id, at_us)
    return None if why is None else structs.replace(message, withheld=why)


def marked_city_alert(known: Withholding, message: CityAlert) -> CityAlert | None:
    """A step of an alert of the city's other feeds, marked likewise; its end is told, since its begin may have been."""
    if message.state == "resolved":
        return None
    at_us = epoch_us(message.opened_at if message.state == "opened" else message.timestamp)
    why = known.of("city_alert", message.alert_id, message.alert_type, message.subject, at_us)
    return None if why is None else structs.replace(message, withheld=why)


def _keep_withheld(app: TrafficApp) -> None:
    now = WithheldNow(app.settings)
    alert_feeds = [feed for feed in app.feeds if isinstance(feed.current, Current) and is_alert_feed(feed)]
    hold_silent_us = round(app.settings.alarms.hold_silent_seconds * MICROSECONDS_PER_SECOND)
    app.withheld_messages[NOTIFIED.name] = lambda message: marked_notification(now.known, message)
    for feed in alert_feeds:
        app.withheld_messages[feed.name] = lambda message: marked_city_alert(now.known, message)
    client = connect(app.settings.redis.url.get_secret_value())
    app.close_at_end(client.aclose)
    standing = StandingAlarms(
        [
            StandingAlerts(client, app.settings.events.replay_events),
            StandingCongestion(client),
            *(StandingCityAlerts(client, feed) for feed in alert_feeds),
        ]
    )

    def of_alert(step: AlertEvent) -> Withheld | None:
        found = withheld_alert(now.known, step, hold_silent_us)
        if found is not None and found.how == "held":
            standing.look_until(time.time_ns() // 1000 + hold_silent_us)
        return found

    app.withheld_alert = of_alert

    @app.task
    async def know_what_is_withheld() -> None:
        await now.keep_fresh()

    @app.task
    async def tell_what_is_shelved_no_more() -> None:
        while not app.should_stop:
            await asyncio.sleep(app.settings.alarms.look_seconds)
            if now.is_known:
                try:
                    await standing.look(now.known, time.time_ns() // 1000)
                except Exception as error:
                    # the sinks beside us tell that Redis is away
                    if not isinstance(error, UNAVAILABLE):
                        logger.exception("what is shelved no more cannot be told")
                    await asyncio.sleep(_RETRY_SECONDS)


def _look_after(app: TrafficApp) -> None:
    settings, cameras = app.settings, EventCameras(app.settings)
    telemetry = AlarmTelemetry(app.telemetry.registry)

    async def show(pool: Pool) -> None:
        now = datetime.now(UTC)
        telemetry.show(await performance_of(pool, now - _GAUGED, now, settings.alarms))

    async def end(pool: Pool) -> None:
        await end_shelves(pool, datetime.now(UTC))

    async def put_cameras(pool: Pool) -> None:
        if settings.alarms.fold_cameras:
            await cameras.put(pool)

    outages = RegionalOutages(settings.quality)

    async def follow_outages(pool: Pool) -> None:
        await outages.look(pool)

    _again_and_again(app, "regional outages cannot be followed", follow_outages, _OUTAGES_SECONDS)
    _again_and_again(app, "alarms cannot be measured", show, _GAUGES_SECONDS)
    _again_and_again(app, "ends of shelves cannot be written down", end, _SHELVES_SECONDS)
    _again_and_again(app, "cameras cannot be put on congestion events", put_cameras, _CAMERAS_SECONDS)


def _again_and_again(app: TrafficApp, trouble: str, work: Callable[[Pool], Awaitable[None]], seconds: float) -> None:
    @app.task
    async def run() -> None:
        async with create_pool(app.settings.postgres) as pool:
            while not app.should_stop:
                pause = seconds
                try:
                    await work(pool)
                except Exception as error:
                    # the sinks beside us tell that Postgres is away
                    if not is_transient(error):
                        logger.exception("%s", trouble)
                    pause = max(pause, _RETRY_SECONDS)
                await asyncio.sleep(pause)
