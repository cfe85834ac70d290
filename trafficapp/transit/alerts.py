"""The steps of alerts about vehicles."""

from __future__ import annotations

from typing import Literal, TypeAlias

from models.city_alerts import AlertState, alert_id_of
from models.timestamps import MICROSECONDS_PER_SECOND, rfc3339
from models.transit.vehicles import VehicleAlert
from trafficapp.transit.state import OpenAlert, Vehicle

VehicleAlertType: TypeAlias = Literal["delay", "breakdown"]

_TITLES: dict[VehicleAlertType, str] = {"delay": "Vehicle delayed", "breakdown": "Vehicle broken down"}


def whole_seconds(microseconds: int) -> int:
    """Seconds that have passed; never less than none."""
    return max(microseconds, 0) // MICROSECONDS_PER_SECOND


def vehicle_alert(
    alert_type: VehicleAlertType,
    vehicle_id: str,
    vehicle: Vehicle,
    alert: OpenAlert,
    state: AlertState,
    at_us: int,
    message: str,
    silent_us: int,
) -> VehicleAlert:
    """A step.

    Args:
        alert_type: which rule.
        vehicle_id: about whom.
        vehicle: its newest state.
        alert: after the step.
        state: what the step says.
        at_us: when it happened, microseconds since the epoch.
        message: what people read.
        silent_us: time from the message of the vehicle before to the step.
    """
    at_us = max(at_us, alert.opened_us)
    # its own times may come again after it was forgotten, and one time may be told of twice
    which = f"{vehicle_id}\0{vehicle.met_us}\0{alert.number}"
    return VehicleAlert(
        alert_id=alert_id_of(alert_type, which, alert.opened_us),
        revision=alert.revision,
        alert_type=alert_type,
        state=state,
        severity="CRITICAL" if alert.is_severe else "WARNING",
        subject=vehicle_id,
        title=_TITLES[alert_type],
        message=message,
        timestamp=rfc3339(at_us),
        opened_at=rfc3339(alert.opened_us),
        resolved_at=rfc3339(at_us) if state == "resolved" else None,
        latitude=vehicle.latitude,
        longitude=vehicle.longitude,
        VEHICLE_ID=vehicle_id,
        ALERT_MESSAGE=message,
        TIME_SINCE_LAST_UPDATE_SECONDS=whole_seconds(silent_us),
    )
