"""The settings about connected cars and trackers; part of `trafficapp.settings`."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from trafficapp.settings.sections import Section


class FleetSettings(Section):
    """The feeds ``vehicle_data`` and ``gps_data``, and the vehicles that follow from them."""

    time_zone: str = Field("UTC", description="Zone of times without an offset in vehicle_data, as IANA names it.")
    gps_time_zone: str | None = Field(None, description="The same in gps_data; without one that of vehicle_data.")
    max_speed_kmh: float = Field(
        250.0,
        ge=1,
        le=2000,
        description="A speed above this is refused as impossible; the same as roads.max_speed_kmh.",
    )
    direction_from_m: float = Field(
        10.0,
        ge=0,
        le=10_000,
        description="A vehicle that tells no direction drives the way it came, when it came from at least so far: a "
        "satellite fix is right within 4.9 m under open sky (gps.gov).",
    )
    set_back_seconds: int = Field(
        3600,
        ge=60,
        le=86_400,
        description="A clock that was set back counts anew when nothing newer was heard for this long; as long as a "
        "document stays in Redis.",
    )
    forget_hours: float = Field(
        24.0, ge=1, le=24 * 366, description="A device that was not heard for this long is forgotten."
    )
    history_days: float = Field(
        7.0,
        gt=0,
        description="Days of trajectories. They tell where people live, so no longer than they are needed; whole "
        "months are dropped at a time, since clocks of devices may say any time.",
    )
    matching: bool = Field(
        False,
        description="Whether fixes are put onto the road graph: positions get their road and edge, and who drives "
        "against a one-way road is told.",
    )

    @field_validator("time_zone", "gps_time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str | None) -> str | None:
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Asia/Jakarta") from None
        return zone

    @property
    def gps_zone(self) -> str:
        """The zone of times without an offset in gps_data."""
        return self.time_zone if self.gps_time_zone is None else self.gps_time_zone
