"""The settings about public transport; part of `trafficapp.settings`."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from trafficapp.settings.sections import Seconds, Section


class VehicleRoom(Section):
    """How many people a vehicle takes."""

    seats: int = Field(ge=0, le=10_000, description="Places to sit.")
    standing: int = Field(ge=0, le=10_000, description="Places to stand.")

    @model_validator(mode="after")
    def _takes_somebody(self) -> VehicleRoom:
        if self.seats + self.standing == 0:
            raise ValueError("a vehicle has seats or room to stand, or both")
        return self


class TransitSettings(Section):
    """Vehicles of public transport and their routes."""

    time_zone: str = Field("UTC", description="Zone of times without an offset, as IANA names it.")
    future_seconds: Seconds | None = Field(
        86_400.0,
        description="How far the time of a vehicle may be ahead of its record: clocks minutes ahead are taken, "
        "but a time years ahead would never be overtaken. null takes any time.",
    )
    delay_seconds: Seconds = Field(
        120.0,
        description="A vehicle in service that is silent for longer is delayed: StreamCity's delay_detection.sql.",
    )
    delay_update_seconds: Seconds = Field(600.0, description="How often it is told how long it has been silent by now.")
    delay_critical_seconds: Seconds = Field(600.0, description="From which silence on that is critical.")
    breakdown_seconds: Seconds = Field(
        300.0, description="A vehicle in service that has not moved for so long has broken down; by its own times."
    )
    moved_m: float = Field(
        50.0,
        gt=0,
        le=10_000,
        description="What is farther than this from where it stood has moved; noise of GPS is less.",
    )
    forget_hours: float = Field(
        6.0, ge=1, le=24 * 30, description="A vehicle that was not heard of for so long is forgotten; its route is not."
    )
    route_days: float = Field(
        400.0, ge=1, le=36_500, description="A route is kept for so long: schedules tell them once, and not again."
    )
    positions_days: float = Field(30.0, ge=1, le=3650, description="How long positions are kept.")
    off_route_m: float = Field(
        200.0, gt=0, le=10_000, description="Farther from its path a vehicle is off its route: gtfs-rt-validator, E028."
    )
    noise_m: float = Field(
        30.0, gt=0, le=1000, description="How wrong a place mostly is: noise of GPS between buildings."
    )
    back_m: float = Field(
        100.0, ge=0, le=10_000, description="What looks like driving backwards by less is noise, or a turn of the path."
    )
    reach_kmh: float = Field(
        130.0,
        gt=0,
        le=1000,
        description="A vehicle gets on along its path no faster; gtfs-rt-validator lets it 26 m/s.",
    )
    reach_slack_m: float = Field(100.0, ge=0, le=10_000, description="What it may be further on than that.")
    closed_within_m: float = Field(
        100.0, ge=0, le=10_000, description="A path whose end is so near its beginning is driven round and round."
    )
    timetable_dir: Path | None = Field(
        None,
        description="Folder that `trafficapp gtfs import` wrote the timetable to. Without one there are no arrivals, "
        "headways or missed runs; whoever serves the API or has the role feeds reads it.",
    )
    runs_told_seconds: Seconds = Field(
        10.0, description="How often it is told anew when a run is expected at its stops, unless it reaches one."
    )
    arrivals_ahead_minutes: float = Field(90.0, gt=0, le=24 * 60, description="How far ahead arrivals are told.")
    capacity: dict[str, VehicleRoom] = Field(
        default_factory=lambda: {
            "bus": VehicleRoom(seats=35, standing=45),
            "tram": VehicleRoom(seats=60, standing=120),
            "train": VehicleRoom(seats=300, standing=300),
            "subway": VehicleRoom(seats=250, standing=750),
            "ferry": VehicleRoom(seats=150, standing=50),
            "rideshare": VehicleRoom(seats=4, standing=0),
        },
        description="Room of a type of vehicle; typical sizes, to be replaced by those of the fleet. Of other types it "
        "is not known how full they are.",
    )

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Europe/Rome") from None
        return zone

    @field_validator("capacity")
    @classmethod
    def _in_small_letters(cls, capacity: dict[str, VehicleRoom]) -> dict[str, VehicleRoom]:
        return {name.lower(): room for name, room in capacity.items()}

    @model_validator(mode="after")
    def _forgotten_later(self) -> TransitSettings:
        if self.forget_hours * 3600 <= self.delay_seconds:
            raise ValueError("forget_hours must be longer than delay_seconds")
        return self
