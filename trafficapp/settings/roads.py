"""The settings about roads: feeds and graph, forecasts, notifications, jams; part of `trafficapp.settings`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator

from trafficapp.settings.due_times import WEEKLY_PATTERN
from trafficapp.settings.sections import Seconds, Section


class RoadSettings(Section):
    """The road-speed feed and the road graph."""

    city: str = Field("bologna", pattern=r"^[a-z0-9_-]{1,64}$", description="Name of the city, in keys and versions.")
    graph: Path | None = Field(
        None, description="Folder that `trafficapp graph import` made; without one the shipped graph of Bologna."
    )
    zone: str = Field("Europe/Rome", description="Time zone of the city, as IANA names it.")
    rush_hours: tuple[tuple[int, int], ...] = Field(
        ((7, 9), (17, 19)), description="Local hours [from, to) that count as rush hour."
    )
    jam_factor_high: float = Field(7.0, gt=0, le=10, description="Jam factor from which congestion is high.")
    jam_factor_medium: float = Field(4.0, gt=0, le=10, description="Jam factor from which congestion is medium.")
    max_speed_kmh: float = Field(250.0, ge=1, le=1000, description="A speed above this is rejected as impossible.")
    future_guard_seconds: Seconds = Field(60.0, description="How far ahead of its record an observation may be.")
    late_seconds: Seconds = Field(3600.0, description="How far behind its record an observation may be.")
    forget_hours: float = Field(
        24.0, ge=1, le=24 * 366, description="A road that the feed has not told of for this long is forgotten."
    )
    max_roads: int = Field(
        50_000, ge=1, le=1_000_000, description="Roads that are known at once, at most; further ones are rejected."
    )
    match_reach_m: float = Field(25.0, gt=0, le=200, description="How far a road may lie from the graph's edges.")
    place_reach_m: float = Field(
        500.0, gt=0, le=5000, description="How far origin and destination of a route may lie from a road."
    )
    speeds_usable_seconds: Seconds = Field(
        1800.0, description="Published speeds older than this count as unknown: usual speeds or free flow take over."
    )
    closed_seconds: Seconds = Field(
        1800.0,
        description="A road that was told to be closed counts as open again when nothing was heard of it so long.",
    )
    route_cache_seconds: int = Field(
        300, ge=0, le=3600, description="How long an answer for a route may be repeated; 0: never."
    )

    @model_validator(mode="after")
    def _ascending(self) -> RoadSettings:
        if self.jam_factor_medium >= self.jam_factor_high:
            raise ValueError("jam_factor_medium must be below jam_factor_high")
        if any(not 0 <= begin < end <= 24 for begin, end in self.rush_hours):
            raise ValueError("rush_hours are pairs of hours [from, to) with 0 <= from < to <= 24")
        return self

    @field_validator("zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Europe/Rome") from None
        return zone


class HereSettings(Section):
    """The flow of traffic that HERE tells, as `trafficapp poll-here` asks for it."""

    url: str = Field(
        "https://data.traffic.hereapi.com", pattern=r"^https?://[^\s?#]+$", description="Where it is asked."
    )
    api_key: SecretStr | None = Field(None, description="Key of the API.")
    bbox: tuple[float, float, float, float] | None = Field(
        None, description="West, south, east, north in degrees; without one the extent of the road graph."
    )
    poll_seconds: float = Field(60.0, ge=5, le=3600, description="Interval between questions.")
    timeout_seconds: Seconds = Field(15.0, description="Longest that an answer is waited for.")
    max_answer_bytes: int = Field(64 << 20, ge=1 << 10, description="A larger answer is refused.")

    @field_validator("bbox")
    @classmethod
    def _is_a_box(cls, bbox: tuple[float, float, float, float] | None) -> tuple[float, float, float, float] | None:
        if bbox is not None:
            west, south, east, north = bbox
            if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
                raise ValueError("a bounding box is west, south, east, north, with west < east and south < north")
        return bbox


class ForecastSettings(Section):
    """Predictions of road speeds, and the training of models."""

    models_dir: Path = Field(Path("build/models"), description="Folder of trained models, shared by all workers.")
    step_seconds: int = Field(300, ge=60, le=3600, description="Length of a step of the speeds.")
    settle_seconds: Seconds = Field(
        0.25, description="A batch of the feed is complete when nothing came for this long; then all is predicted."
    )
    settle_at_most_seconds: Seconds = Field(2.0, description="Longest that a batch is waited for.")
    # versions of the graph are a second each
    round_seconds: float = Field(2.0, ge=1, le=600, description="From one round of predictions to the next, at least.")
    refresh_seconds: Seconds = Field(60.0, description="Without new speeds, predictions are made again this often.")
    train_weekly: str = Field(
        "",
        pattern=WEEKLY_PATTERN,
        description="When a history worker trains anew and promotes what is better, in the city's time, as sun 03:00; "
        "empty is never. Needs the extra train.",
    )
    train_days: int = Field(28, ge=3, le=366, description="Days of history that a training takes.")
    zero_speeds: Literal["missing", "measured"] = Field(
        "missing",
        description="What a speed of 0 says to a training, from files and from Postgres: that nothing was measured, as "
        "loop detectors write it, or that traffic stood.",
    )


class NotificationSettings(Section):
    """When a road raises a notification and when it may do so again.

    A sudden jam is a road that flowed, fell through a threshold and stays there. Shares of free flow are those of the
    Highway Capacity Manual, 6th edition, exhibit 16-3 (urban streets): above 50 % of the base free-flow speed is level
    of service C or better, 40 % or less is E or F. Persistence is what TTI report 1232-20 recommends against false
    alarms: a condition counts when further intervals show it, too.
    """

    grouped: bool = Field(
        True,
        description="Whether traffic-notifications tells congestion events in the place of what their roads raise one "
        "by one; false tells single roads only.",
    )
    heavy_congestion_kmh: float = Field(15.0, gt=0, description="A predicted speed below this is heavy_congestion.")
    heavy_congestion_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="The same as a share of free flow, for roads that are slow when empty; the smaller counts.",
    )
    sudden_jam_drop: float = Field(0.5, gt=0, lt=1, description="Share of its speed that a road loses in a sudden_jam.")
    sudden_jam_minutes: float = Field(10.0, gt=0, le=60, description="Within how long it loses it.")
    sudden_jam_flowed_share: float = Field(
        0.5, gt=0, le=1, description="Share of free flow that the road had before: what stands already jams no more."
    )
    sudden_jam_below_share: float = Field(
        0.4, gt=0, lt=1, description="Share of free flow that the speed fell below in a sudden_jam."
    )
    severe_jam_factor: float = Field(8.0, gt=0, le=10, description="A jam factor above this is severe_traffic.")
    raise_observations: int = Field(
        2, ge=1, le=100, description="Observations in a row that raise a notification; a closed road is told at once."
    )
    calm_observations: int = Field(
        3, ge=1, le=100, description="Calm observations in a row after which a road may raise the same again."
    )
    calm_margin: float = Field(
        0.2, ge=0, lt=1, description="Calm is beyond the threshold by this share of it, so that nothing flaps."
    )


class SuspicionSettings(Section):
    """When a road that becomes jammed is suspected to be barred by an incident.

    Persistence is that of the section ``jams``. Shares and times were chosen on simulated days; what they come to on
    others is measured by ``make bench-incidents`` (docs/incidents.md).
    """

    enabled: bool = Field(True, description="Whether incidents are suspected.")
    fall_seconds: float = Field(
        180.0, gt=0, le=3600, description="How long before its first slow observation a road must have flowed."
    )
    flowed_share: float = Field(0.5, gt=0, le=1, description="Share of free flow that it must have had then.")
    flowed_share_a_day: float = Field(
        0.05,
        ge=0,
        le=1,
        description="So much more for each of the last seven days on which it was slow at this time: what recurs is no "
        "incident.",
    )
    match_m: float = Field(300.0, gt=0, le=10_000, description="How far a report of the same incident may be, metres.")
    match_minutes: float = Field(30.0, gt=0, le=1440, description="How long before or after it may be made.")


class JamSettings(Section):
    """When roads are jammed, and which changes of a congestion event are told.

    Shares of free flow are those of the Highway Capacity Manual, 6th edition, exhibit 16-3 (urban streets): at 40 % of
    the base free-flow speed or less a street is at level of service E or F, above 50 % at C or better. That a condition
    has to persist follows TTI report 1232-20; that what is over may go on again for 300 s is how IRIS, the freeway
    management system of Minnesota, treats cleared incidents. ``jam_vehicles_per_km`` is a vehicle of 5 m and a gap of
    2.5 m, the defaults of SUMO.
    """

    jam_share: float = Field(0.4, gt=0, lt=1, description="Share of free flow below which a road is slow.")
    clear_share: float = Field(0.5, gt=0, le=1, description="Share of free flow from which a jammed road is calm.")
    jam_observations: int = Field(2, ge=1, le=100, description="Slow observations in a row that make a jam.")
    jam_seconds: float = Field(
        30.0, ge=0, le=3600, description="How long they span at least, for feeds that tell of a road every few seconds."
    )
    clear_observations: int = Field(2, ge=1, le=100, description="Calm observations in a row that end a road's jam.")
    reopen_seconds: float = Field(
        300.0, ge=0, le=7200, description="So long after its last road is calm an event goes on when one jams again."
    )
    silent_seconds: float = Field(
        900.0, ge=60, le=86_400, description="A road that nothing was heard of for so long is not jammed any more."
    )
    jam_vehicles_per_km: float = Field(
        1000 / 7.5, gt=0, le=1000, description="Vehicles on a kilometre of standing lane, for the estimate of delay."
    )
    told_length_m: float = Field(
        50.0, ge=0, description="A shorter event is told only when it has lasted for told_minutes."
    )
    told_minutes: float = Field(5.0, ge=0, le=1440, description="See told_length_m.")
    critical_length_m: float = Field(1000.0, gt=0, description="A queue that is so long is CRITICAL.")
    grown_by: float = Field(
        2.0, gt=1, le=100, description="An event is told again when its queue is so many times as long as told last."
    )
    told_again_minutes: float = Field(
        10.0, ge=0, le=1440, description="The same event is told of no sooner than so long after, but its end."
    )

    @model_validator(mode="after")
    def _ascending(self) -> JamSettings:
        if self.clear_share <= self.jam_share:
            raise ValueError("clear_share must be above jam_share")
        return self
