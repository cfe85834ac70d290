"""A vehicle that has broken down: it says so, or it is in service and has not moved for long, by its own times."""

from __future__ import annotations

from dataclasses import dataclass

from models.city_alerts import AlertState
from models.timestamps import MICROSECONDS_PER_SECOND
from models.transit.vehicles import VehicleAlert
from trafficapp.movement.distance import metres_between
from trafficapp.settings.transit import TransitSettings
from trafficapp.transit.alerts import vehicle_alert, whole_seconds
from trafficapp.transit.state import Vehicle

_SAYS_SO = "Vehicle has broken down. Its status is broken_down."
_REPAIRED = "Vehicle is in service again."
_ENDED = "Vehicle has ended its service."


@dataclass(frozen=True, slots=True)
class BreakdownRule:
    """The rule in numbers.

    Attributes:
        after_us: how long one that does not move is waited for, microseconds.
        moved_m: what is farther has moved.
    """

    after_us: int
    moved_m: float

    @classmethod
    def of(cls, settings: TransitSettings) -> BreakdownRule:
        """The rule of these settings."""
        return cls(round(settings.breakdown_seconds * MICROSECONDS_PER_SECOND), settings.moved_m)

    def judge(self, vehicle_id: str, vehicle: Vehicle, clock_us: int, silent_us: int) -> VehicleAlert | None:
        """What follows from the newest state of a vehicle.

        Args:
            vehicle_id: of the vehicle.
            vehicle: with the newest state in it; where it stands is as before.
            clock_us: the partition's clock.
            silent_us: since the message before, by that clock.
        """
        stood_us = self._stood_us(vehicle)
        says_so, stands = vehicle.status == "broken_down", stood_us >= self.after_us
        alert = vehicle.breakdown
        state: AlertState
        if alert is None:
            if not (says_so or stands):
                return None
            vehicle.breakdown = alert = vehicle.raised(vehicle.time_us, clock_us, says_so)
            state, message = "opened", _SAYS_SO if says_so else self._stands(stood_us)
        elif says_so:
            if alert.is_severe:
                return None
            alert.revision += 1
            alert.is_severe, alert.told_us = True, clock_us
            state, message = "updated", _SAYS_SO
        else:
            # one that said so is repaired, whether or not it drives already: how long it stands is counted anew
            if stands:
                return None
            vehicle.breakdown = None
            alert.revision += 1
            state, message = "resolved", _REPAIRED if vehicle.status == "in_service" else _ENDED
        return vehicle_alert("breakdown", vehicle_id, vehicle, alert, state, vehicle.time_us, message, silent_us)

    def forgotten(self, vehicle_id: str, vehicle: Vehicle, clock_us: int) -> VehicleAlert | None:
        """The step that ends the alert of a vehicle that nobody waits for any more, if there is one."""
        alert = vehicle.breakdown
        if alert is None:
            return None
        vehicle.breakdown = None
        alert.revision += 1
        silent_us = clock_us - vehicle.heard_us
        at_us = vehicle.record_us + silent_us
        message = f"Vehicle is forgotten. No update for {whole_seconds(silent_us)} seconds."
        return vehicle_alert("breakdown", vehicle_id, vehicle, alert, "resolved", at_us, message, silent_us)

    def _stood_us(self, vehicle: Vehicle) -> int:
        """How long it has been in service where it is."""
        if vehicle.status != "in_service":
            vehicle.stood_us = None
            return 0
        if vehicle.stood_us is not None:
            metres = metres_between(*vehicle.stood_at, vehicle.latitude, vehicle.longitude)
            if metres <= self.moved_m:
                return vehicle.time_us - vehicle.stood_us
        vehicle.stood_at, vehicle.stood_us = (vehicle.latitude, vehicle.longitude), vehicle.time_us
        return 0

    def _stands(self, stood_us: int) -> str:
        return (
            f"Vehicle may have broken down. In service, and no more than {self.moved_m:g} m away from one place for "
            f"{whole_seconds(stood_us)} seconds."
        )
