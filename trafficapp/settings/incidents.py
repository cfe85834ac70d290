"""The settings about incidents; part of `trafficapp.settings`."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from trafficapp.settings.sections import Seconds, Section

_Class = Literal["low", "medium", "high", "critical"]
_Level = Annotated[int, Field(ge=1, le=5)]
_Minutes = Annotated[float, Field(gt=0, le=60 * 24 * 366)]
_Share = Annotated[float, Field(gt=0, le=1)]


class IncidentSettings(Section):
    """Incidents and emergencies: what reports mean, which are one, how long they count, what they do to roads."""

    time_zone: str = Field("UTC", description="Zone of times without an offset in both desks' feeds, as IANA names it.")
    merge_metres: float = Field(
        200.0, gt=0, le=5000, description="Reports this near to where an incident was reported first may be of it."
    )
    merge_seconds: Seconds = Field(
        600.0, description="A report may be of an incident whose reports are no further away in event time."
    )
    reopen_seconds: Seconds = Field(
        300.0,
        description="A report of a cleared incident opens it again for this long, as in IRIS, the freeway management "
        "system of Minnesota; then traffic counts as normal.",
    )
    severity_classes: tuple[_Class, _Class, _Class, _Class, _Class] = Field(
        ("low", "low", "medium", "high", "critical"), description="Classes of the severities 1 to 5."
    )
    kind_severity: dict[str, _Level] = Field(
        {
            **{"accident": 4, "fire": 5, "medical": 4, "hazard": 3, "road_closure": 3},
            **{"breakdown": 2, "heavy_traffic": 2, "theft": 2, "other": 2},
        },
        description="Severity of kinds where the report has none; a kind that is not listed has 2.",
    )
    expiry_minutes: dict[str, _Minutes] = Field(
        {
            **{"accident": 120, "fire": 240, "medical": 60, "hazard": 240, "road_closure": 1440},
            **{"breakdown": 120, "heavy_traffic": 60, "theft": 60, "other": 120},
        },
        description="An incident of a kind that nobody reported or touched for so long is cleared; from 120 minutes on "
        "the MUTCD (6O.02) calls a traffic incident a major one. A kind that is not listed has 120.",
    )
    unverified_minutes: _Minutes = Field(30.0, description="The same for what only citizens reported.")
    remember_minutes: _Minutes = Field(
        60.0, description="How long the names of an incident are known after its end, so that late messages find it."
    )
    max_incidents: int = Field(
        20_000, ge=1, le=1_000_000, description="Incidents known at once; beyond, the one longest unheard is cleared."
    )
    # Highway Capacity Manual 2010, exhibit 10-17: what is left of a freeway's capacity with a disabled vehicle on the
    # shoulder (two lanes), an accident on the shoulder (two), one lane blocked of three, and one lane blocked of two
    speed_shares: dict[_Class, _Share] = Field(
        {"low": 0.95, "medium": 0.81, "high": 0.49, "critical": 0.35},
        description="What is left of the speed beside an incident of a class: the shares of capacity that the HCM 2010 "
        "(exhibit 10-17) tells for incidents on the shoulder and in one lane.",
    )
    slowing_kinds: tuple[str, ...] = Field(
        ("accident", "fire", "hazard", "breakdown", "heavy_traffic"),
        description="Kinds that slow the road they are on.",
    )
    reach_m: float = Field(50.0, gt=0, le=1000, description="How far from its road an incident may be reported.")
    slows_ahead_minutes: _Minutes = Field(
        60.0, description="Departures up to so far ahead meet what is slow now; what is closed is so for all."
    )
    reports_per_minute: float = Field(6.0, gt=0, description="Reports that a caller may send to a worker, sustained.")
    reports_burst: int = Field(5, ge=1, description="Reports that a caller may send at once.")
    report_late_minutes: _Minutes = Field(60.0, description="How long ago what a citizen reports may have been seen.")
    unit_types: tuple[str, ...] = Field(
        ("police", "ambulance", "fire", "fire_truck"), description="Types of vehicles that are units, in small letters."
    )
    units: dict[str, str] = Field(
        default_factory=dict, description='Further units, by vehicle_id with their type: {"veh-7": "ambulance"}.'
    )
    unit_seconds: Seconds = Field(300.0, description="A unit that was not heard for this long is not recommended.")
    incidents_days: float = Field(730.0, gt=0, description="Days of incidents in the history.")
    reports_days: float = Field(90.0, gt=0, description="Days of single reports.")

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Europe/Rome") from None
        return zone

    @model_validator(mode="after")
    def _all_classes(self) -> IncidentSettings:
        if missing := {"low", "medium", "high", "critical"} - set(self.speed_shares):
            raise ValueError(f"speed_shares has no {', '.join(sorted(missing))}")
        return self
