"""Alerts about vehicles that cannot have moved as they say, whichever feed tells them."""

from __future__ import annotations

from models.city_alerts import CityAlert, alert_id_of
from trafficapp.feeds.city_alerts import alert_feed
from trafficapp.movement.plausibility import IMPLAUSIBLE_MOVEMENT, QUALITY_ALERTS

_NOON = "2026-01-14T12:00:00Z"

QUALITY = alert_feed(
    QUALITY_ALERTS,
    "Vehicles whose places are not to be trusted: one alert for one that jumps about, over when it drives again.",
    CityAlert,
    CityAlert(
        alert_id=alert_id_of(IMPLAUSIBLE_MOVEMENT, "vehicle\0car-17", 0),
        revision=0,
        alert_type=IMPLAUSIBLE_MOVEMENT,
        state="opened",
        severity="WARNING",
        subject="car-17",
        title="Implausible movement",
        message="vehicle car-17 jumps about: its places are too far apart for the time between them",
        timestamp=_NOON,
        opened_at=_NOON,
        latitude=44.4985,
        longitude=11.3175,
    ),
    "/api/quality/alerts",
)
