"""The rules for each camera's windows, from the settings."""

from __future__ import annotations

from collections.abc import Callable

from trafficapp.congestion import CongestionScale
from trafficapp.settings import Settings
from trafficapp.speed import SpeedEstimator
from trafficapp.windows.clock import MICROSECONDS, EventClock
from trafficapp.windows.windower import Windower

#: How much later than it is over an alert is told to be over when no further window comes. Windows are finished
#: a while after their end, and the next one must not be able to show that it was not over.
_QUIET_MARGIN_SECONDS = 60.0


def quiet_limit_us(settings: Settings) -> int:
    """After how long, by the partition's clock, it is told that a camera finishes no more windows."""
    windows = settings.windows
    usual = 2 * windows.size_seconds + windows.allowed_lateness_seconds + windows.idle_timeout_seconds
    return round((settings.alerts.forget_seconds + max(_QUIET_MARGIN_SECONDS, usual)) * MICROSECONDS)


def windower_rules(settings: Settings) -> Callable[[str], Windower]:
    """A function that gives the rules for a camera_id; constants of single cameras override the general ones."""
    windows, congestion, speed = settings.windows, settings.congestion, settings.speed
    clock = EventClock(
        size_us=round(windows.size_seconds * MICROSECONDS),
        lateness_us=round(windows.allowed_lateness_seconds * MICROSECONDS),
        idle_us=round(windows.idle_timeout_seconds * MICROSECONDS),
        future_us=round(windows.future_guard_seconds * MICROSECONDS),
    )

    def rules(max_count: int | None, max_speed_kmh: float | None, pixel_to_meter: float | None) -> Windower:
        return Windower(
            clock=clock,
            scale=CongestionScale(
                max_count=max_count or congestion.max_count,
                max_speed_kmh=max_speed_kmh or congestion.max_speed_kmh,
                moderate=congestion.threshold_moderate,
                high=congestion.threshold_high,
                severe=congestion.threshold_severe,
            ),
            estimator=SpeedEstimator(
                pixel_to_meter=pixel_to_meter or speed.pixel_to_meter,
                forget_after_us=round(speed.forget_after_seconds * MICROSECONDS),
                max_kmh=speed.max_kmh,
            ),
            stopped_below_kmh=speed.stopped_below_kmh,
        )

    general = rules(None, None, None)
    special = {
        camera_id: rules(camera.max_count, camera.max_speed_kmh, camera.pixel_to_meter)
        for camera_id, camera in settings.cameras.items()
    }
    return lambda camera_id: special.get(camera_id, general)
