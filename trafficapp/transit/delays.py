"""A vehicle in service that is silent: opened once, told again now and then, over when it speaks.

Silence is measured by the partition's clock, which stands still while messages cannot come: an outage or a backlog
makes nobody late. The vehicle's own times say nothing about it.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.city_alerts import AlertState
from models.timestamps import MICROSECONDS_PER_SECOND
from models.transit.vehicles import VehicleAlert
from trafficapp.feeds.rules import When
from trafficapp.settings.transit import TransitSettings
from trafficapp.transit.alerts import vehicle_alert, whole_seconds
from trafficapp.transit.state import Vehicle


@dataclass(frozen=True, slots=True)
class DelayRule:
    """The rule in numbers, microseconds.

    Attributes:
        after_us: the shortest silence that is a delay: whole seconds are compared, as ksqlDB does.
        update_us: from one step of a delay to the next.
        critical_us: silence that is critical.
    """

    after_us: int
    update_us: int
    critical_us: int

    @classmethod
    def of(cls, settings: TransitSettings) -> DelayRule:
        """The rule of these settings."""
        return cls(
            after_us=(int(settings.delay_seconds) + 1) * MICROSECONDS_PER_SECOND,
            update_us=round(settings.delay_update_seconds * MICROSECONDS_PER_SECOND),
            critical_us=round(settings.delay_critical_seconds * MICROSECONDS_PER_SECOND),
        )

    def due_us(self, vehicle: Vehicle) -> int | None:
        """By the partition's clock, when the next step is due; None for a vehicle that nobody misses."""
        if vehicle.delay is not None:
            return vehicle.delay.told_us + self.update_us
        return vehicle.heard_us + self.after_us if vehicle.status == "in_service" else None

    def missed(self, vehicle_id: str, vehicle: Vehicle, clock_us: int) -> VehicleAlert | None:
        """The step that is due for a silent vehicle, if one is."""
        due_us = self.due_us(vehicle)
        if due_us is None or clock_us < due_us:
            return None
        silent_us = clock_us - vehicle.heard_us
        is_severe = silent_us >= self.critical_us
        if vehicle.delay is None:
            vehicle.delay = vehicle.raised(vehicle.record_us + self.after_us, clock_us, is_severe)
        else:
            vehicle.delay.revision += 1
            vehicle.delay.told_us, vehicle.delay.is_severe = clock_us, is_severe
        state: AlertState = "opened" if vehicle.delay.revision == 0 else "updated"
        # the words of StreamCity's delay_detection.sql
        message = f"Vehicle may be delayed. No update for {whole_seconds(silent_us)} seconds."
        at_us = vehicle.record_us + silent_us
        return vehicle_alert("delay", vehicle_id, vehicle, vehicle.delay, state, at_us, message, silent_us)

    def over(self, vehicle_id: str, vehicle: Vehicle, when: When) -> VehicleAlert | None:
        """The step that ends a delay at a message of the vehicle, if there is one.

        Args:
            vehicle_id: of the vehicle.
            vehicle: as it was when it fell silent.
            when: it is heard of again.
        """
        silent_us = when.clock_us - vehicle.heard_us
        message = f"Vehicle is heard of again after {whole_seconds(silent_us)} seconds."
        return _ended(vehicle_id, vehicle, when.record_us, message, silent_us)

    def forgotten(self, vehicle_id: str, vehicle: Vehicle, clock_us: int) -> VehicleAlert | None:
        """The step that ends a delay of a vehicle that nobody waits for any more, if there is one."""
        silent_us = clock_us - vehicle.heard_us
        message = f"Vehicle is forgotten. No update for {whole_seconds(silent_us)} seconds."
        return _ended(vehicle_id, vehicle, vehicle.record_us + silent_us, message, silent_us)


def _ended(vehicle_id: str, vehicle: Vehicle, at_us: int, message: str, silent_us: int) -> VehicleAlert | None:
    delay = vehicle.delay
    if delay is None:
        return None
    vehicle.delay = None
    delay.revision += 1
    return vehicle_alert("delay", vehicle_id, vehicle, delay, "resolved", at_us, message, silent_us)
