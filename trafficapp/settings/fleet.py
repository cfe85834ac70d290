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
    road_speeds: bool = Field(
        True,
        description="Whether what matched vehicles drive becomes speeds of roads, beside those of the road-speed "
        "feed; only with matching.",
    )
    road_speed_vehicles: int = Field(
        2,
        ge=1,
        le=100,
        description="A speed of a road is of so many vehicles a minute at least: one may have parked, and its way is "
        "its own.",
    )
    drives_days: float = Field(
        31.0,
        gt=0,
        description="Days of trips, of events at zones and of driving: a month's figures; whole months are dropped at "
        "a time. They tell where people live, too.",
    )
    trips: bool = Field(True, description="Whether trips of vehicles are told.")
    trip_gap_seconds: int = Field(
        600,
        ge=10,
        le=86_400,
        description="A trip is over when no place of the vehicle follows for this long by its own clock: nobody knows "
        "what it did.",
    )
    trip_silence_seconds: int = Field(
        900,
        ge=10,
        le=86_400,
        description="A trip is over, too, when nothing was heard of the vehicle for this long by the clock here.",
    )
    trip_stand_seconds: int = Field(
        200, ge=10, le=86_400, description="A trip is over when the vehicle stands for this long: Geotab's definition."
    )
    trip_from_m: float = Field(
        200.0,
        ge=0,
        le=100_000,
        description="What gets no farther from where it began is no trip: a car that is parked anew, or whose "
        "satellites err.",
    )
    moving_kmh: float = Field(
        5.0, gt=0, le=100, description="Slower is standing; as vehicles at cameras stand below 5 km/h."
    )
    standing_m: float = Field(
        20.0,
        ge=0,
        le=1000,
        description="A vehicle stands while it gets no farther than this: two fixes that are each twice as wrong as "
        "under open sky (4.9 m, gps.gov).",
    )
    geofences: bool = Field(True, description="Whether vehicles that enter and leave monitoring zones are told.")
    geofence_border_m: float = Field(
        30.0,
        ge=0,
        le=10_000,
        description="A vehicle leaves a zone when it is farther than this from its border: one that drives along the "
        "border, or whose satellites err, enters once.",
    )
    geofence_dwell_seconds: int = Field(
        600, ge=1, le=86_400, description="A vehicle that has been in a zone for this long is told once more."
    )
    braking: bool = Field(True, description="Whether harsh braking is told.")
    braking_mps2: float = Field(
        3.4,
        gt=0,
        le=12,
        description="Deceleration, m/s², from which braking is harsh: 3.4 is what most drivers are comfortable with "
        "(AASHTO, A Policy on Geometric Design of Highways and Streets, stopping sight distance).",
    )
    braking_least_seconds: float = Field(
        0.5,
        gt=0,
        le=60,
        description="Speeds of one feed that are nearer in time say nothing of braking: they are told in whole km/h.",
    )
    braking_most_mps2: float = Field(
        12.0,
        gt=0,
        le=1000,
        description="More is no braking but a wrong speed: tyres hold about 1 g on a dry road, 9.8 m/s².",
    )
    braking_pause_seconds: int = Field(
        10, ge=0, le=3600, description="What is braked within this time after it is the same braking."
    )
    speeding: bool = Field(
        True, description="Whether speeding against the limits of roads.graph is told; where there is no graph, none."
    )
    speeding_over_kmh: float = Field(
        5.0,
        ge=0,
        le=200,
        description="So much above the limit is allowed for errors, or speeding_over_share where that is more: 5 km/h "
        "and 5 % are Italy's tolerance (D.P.R. 495/1992, art. 345).",
    )
    speeding_over_share: float = Field(0.05, ge=0, le=2, description="See speeding_over_kmh.")
    speeding_places: int = Field(
        2, ge=1, le=1000, description="Places in a row that are too fast, for speeding to be told; one may be wrong."
    )

    @field_validator("time_zone", "gps_time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str | None) -> str | None:
        try:
            ZoneInfo(zone or "UTC")
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Asia/Jakarta") from None
        return zone

    wrong_way_vehicles: int = Field(
        2,
        ge=1,
        le=1000,
        description="When more different vehicles than this drive against an edge within a week, the road graph lacks "
        "a direction there, and no more of them are told.",
    )

    @property
    def tells_road_speeds(self) -> bool:
        """Whether speeds of roads are made of what vehicles drive."""
        return self.matching and self.road_speeds

    @property
    def gps_zone(self) -> str:
        """The zone of times without an offset in gps_data."""
        return self.time_zone if self.gps_time_zone is None else self.gps_time_zone
