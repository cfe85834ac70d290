"""The settings about riders; part of `trafficapp.settings`."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from trafficapp.settings.sections import Seconds, Section

_HOUR_SECONDS = 3600


class RiderSettings(Section):
    """Taps at fare gates, windows of zones, surges."""

    time_zone: str = Field(
        "UTC",
        description="Zone of times without an offset, and of the hours of the week that usual levels are of; an IANA "
        "name such as Europe/Rome.",
    )
    geohash_characters: int = Field(
        5, ge=1, le=9, description="Length of the geohash of a zone; 5 (4.9 km wide) is what readers of surges expect."
    )
    window_seconds: int = Field(
        60, ge=1, le=_HOUR_SECONDS, description="Length of a tumbling window: a minute, as the outside contract says."
    )
    allowed_lateness_seconds: float = Field(
        10.0, ge=0, le=_HOUR_SECONDS, description="How far a zone's watermark trails its newest tap."
    )
    idle_timeout_seconds: Seconds = Field(
        90.0,
        description="Silence after which a zone's windows are final; at least a window and its lateness, so that a "
        "quiet zone's window does not end before its time.",
    )
    future_guard_seconds: Seconds = Field(60.0, description="How far a tap may be ahead of its record.")
    jump_seconds: Seconds = Field(
        10.0,
        description="A tap further ahead of all that its zone said before moves the zone's time only once another tap "
        "confirms it, as for cameras.",
    )
    surge_taps: int = Field(
        10, ge=0, description="More taps in a window are a surge: what StreamCity's own query asks for."
    )
    surge_factor: float = Field(
        2.0,
        ge=1,
        le=1000,
        description="Once the usual level is known, a surge also has more than so many times the usual taps: twice the "
        "usual is beyond what an hour varies by chance from about 20 taps a window on (a Poisson count's standard "
        "deviation is its root).",
    )
    usual_weeks: int = Field(
        8, ge=1, le=52, description="The usual level is the mean of the same hour of so many past weeks."
    )
    usual_least_weeks: int = Field(
        2, ge=1, le=52, description="It is known once so many weeks were seen; until then surge_taps alone decides."
    )
    max_zones: int = Field(
        20_000, ge=1, le=1_000_000, description="Zones known at once in a partition; taps of further ones are refused."
    )
    max_window_taps: int = Field(
        100_000, ge=1, le=1_000_000, description="Taps of a zone in one window; further ones are refused."
    )
    keep_days: float = Field(
        30.0,
        ge=1,
        le=3660,
        description="Days that finished windows are kept. A zone is forgotten after as long a silence, and no earlier: "
        "else a window could be made a second time.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> RiderSettings:
        if _HOUR_SECONDS % self.window_seconds:
            raise ValueError("window_seconds must divide an hour, such as 60 or 300")
        if self.idle_timeout_seconds < self.window_seconds + self.allowed_lateness_seconds:
            raise ValueError("idle_timeout_seconds must be at least window_seconds and allowed_lateness_seconds")
        if self.usual_least_weeks > self.usual_weeks:
            raise ValueError("usual_least_weeks must not be more than usual_weeks")
        return self

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Europe/Rome") from None
        return zone
