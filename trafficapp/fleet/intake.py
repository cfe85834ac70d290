"""Messages of cars and trackers as fixes: in plain numbers, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from models.fleet.fixes import Fix
from models.fleet.messages import (
    CarMessage,
    TrackerMessage,
    direction_of,
    place_of,
    speed_of,
    words_of,
    year_of,
)
from trafficapp.settings import Settings


def car_fixes(settings: Settings) -> Callable[[CarMessage, int], Sequence[tuple[str, Fix]]]:
    """What turns a message of a connected car and its time into the fix to send on, with its key.

    It raises `models.cameras.detections.Rejected` for what cannot be true.
    """
    highest_kmh = settings.fleet.max_speed_kmh

    def fixes(message: CarMessage, time_us: int) -> Sequence[tuple[str, Fix]]:
        latitude, longitude = place_of(message)
        fix = Fix(
            "vehicle_data",
            message.device_id,
            time_us,
            latitude,
            longitude,
            speed_of(message, highest_kmh),
            direction_of(message),
            words_of(message.make),
            words_of(message.model),
            year_of(message.year),
            words_of(message.fuel_type),
        )
        return ((message.device_id, fix),)

    return fixes


def tracker_fixes(settings: Settings) -> Callable[[TrackerMessage, int], Sequence[tuple[str, Fix]]]:
    """The same of a tracker."""
    highest_kmh = settings.fleet.max_speed_kmh

    def fixes(message: TrackerMessage, time_us: int) -> Sequence[tuple[str, Fix]]:
        latitude, longitude = place_of(message)
        fix = Fix(
            "gps_data",
            message.device_id,
            time_us,
            latitude,
            longitude,
            speed_of(message, highest_kmh),
            direction_of(message),
            vehicle_type=words_of(message.vehicle_type),
        )
        return ((message.device_id, fix),)

    return fixes
