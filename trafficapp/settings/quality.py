"""The settings about whom to believe, and what people are told or spared; part of `trafficapp.settings`."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, model_validator

from trafficapp.settings.sections import Seconds, Section

LaneClass: TypeAlias = Literal["main", "exit", "queue", "auxiliary", "reversible", "parking"]

#: Of IRIS, by class of lane; its bypass and shoulder lanes are as its reversible ones.
NO_HITS_HOURS: dict[LaneClass, float] = {
    "main": 4.0,
    "exit": 8.0,
    "queue": 12.0,
    "auxiliary": 24.0,
    "reversible": 72.0,
    "parking": 336.0,
}
_IRIS = "IRIS (mnit-rtmc/iris, docs/vehicle_detection.md)"


class QualitySettings(Section):
    """When a camera or lane is not to be trusted, by its finished windows."""

    lane_classes: dict[str, LaneClass] = Field(
        default_factory=dict,
        description="Class of a lane by `<camera_id>/<lane_id>`; others are main lanes. Lanes that are named here are "
        "missed also when they never counted.",
    )
    no_hits_hours: dict[LaneClass, float] = Field(
        default_factory=lambda: dict(NO_HITS_HOURS),
        description=f"A lane without a vehicle for so long is out of order, while its camera counts: {_IRIS}. "
        "Classes that are not named keep theirs.",
    )
    chatter_vehicles: int = Field(
        38, ge=1, le=10_000, description=f"So many vehicles of a lane in 30 s, two bins running, are chatter: {_IRIS}."
    )
    chatter_moving_kmh: float = Field(
        20.0,
        ge=0,
        le=200,
        description="Windows whose mean speed is lower count nothing for chatter: who stands is in each of them anew.",
    )
    chatter_clears_hours: float = Field(24.0, gt=0, le=1000, description=f"When chatter is over: {_IRIS}.")
    locked_on_minutes: float = Field(
        30.0,
        gt=0,
        le=10_000,
        description="A lane with the same number of vehicles, all of them standing, for so long is locked on. "
        f"{_IRIS} has 2 min of full occupancy on main lanes and 30 on ramps; at a city's lights 2 min are a queue.",
    )
    locked_on_clears_hours: float = Field(24.0, gt=0, le=1000, description=f"When that is over: {_IRIS}.")
    no_change_minutes: float = Field(
        10.0,
        gt=0,
        le=10_000,
        description="A lane whose windows are the same to the last decimal of a speed for so long is frozen. "
        f"{_IRIS} has 24 h of the same occupancy, which is a much coarser figure.",
    )
    spike_vehicles: float = Field(
        16.0,
        gt=0,
        le=10_000,
        description="A jump of a lane's mean vehicles a window from one 30 s to the next that counts as a spike. "
        f"{_IRIS} has 25 of 100 points of occupancy, which windows do not tell; a lane at the saturation flow of 1,900 "
        "an hour (HCM) passes 16 in 30 s, so a traffic light makes no such jump.",
    )
    spike_seconds: Seconds = Field(
        60.0, description=f"Each spike adds 30 s, each 30 s without one take 30 s off; above this it is told: {_IRIS}."
    )
    spike_clears_hours: float = Field(1.0, gt=0, le=1000, description=f"When that is over: {_IRIS}.")
    outage_cameras: int = Field(
        5, ge=2, le=10_000, description="So many silent cameras of one area are one regional outage."
    )
    outage_reach_m: float = Field(
        1000.0, gt=0, le=100_000, description="How far each may be from the next one of the same outage, metres."
    )
    outage_seconds: Seconds = Field(300.0, description="How long after another one of it each may have fallen silent.")
    churn_share: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="Share of vehicles seen in one picture only, over ten minutes, from which on ids are not kept.",
    )
    churn_vehicles: int = Field(50, ge=1, le=100_000, description="Of fewer vehicles that share says nothing.")
    one_id_minutes: float = Field(
        5.0, gt=0, le=10_000, description="One vehicle in several lanes at once, window after window for so long."
    )
    most_kmh: float = Field(
        200.0, gt=0, le=2000, description="A mean speed above this cannot be: three windows of a lane running are told."
    )
    drift_seconds: Seconds = Field(
        30.0,
        description="A camera whose windows come so much later or earlier than those of the median camera of its "
        "partition, over ten minutes, has a clock that is wrong.",
    )
    calm_minutes: float = Field(
        10.0, gt=0, le=10_000, description="When id churn, one id, impossible speeds and drift are over: no sign since."
    )
    told_seconds: Seconds = Field(300.0, description="How often it is told anew how a source is, if nothing changes.")
    forget_hours: float = Field(
        48.0, ge=1, le=24 * 30, description="A camera that finished no window for so long is forgotten."
    )


class ReadingSettings(Section):
    """When a road, a station or a vehicle of public transport is not to be trusted, by its readings."""

    stuck_minutes: dict[str, float] = Field(
        default_factory=lambda: {"road": 30.0, "station": 180.0, "vehicle": 20.0},
        description="The same value to the last digit for so long, by kind of source, while others of its kind change. "
        "PeMS (cagov/caldata-mdsa-caltrans-pems) calls a detector constant after 4 h of coarser figures.",
    )
    stuck_readings: int = Field(10, ge=3, le=10_000, description="And in so many readings at least.")
    others_share: float = Field(
        0.5, gt=0, le=1, description="So many of the others change, or are heard: what all do is no fault of one."
    )
    jump_by_kind: dict[str, list[float]] = Field(
        default_factory=lambda: {"road": [60.0], "station": [8.0], "vehicle": []},
        description="Largest change of each value from one reading to the next, km/h of roads and °C of stations; as "
        "much more for each ten minutes between. Vehicles have the rule of the section movement.",
    )
    jump_readings: int = Field(4, ge=1, le=10, description="So many of ten readings that cannot follow are told.")
    wrong_readings: int = Field(3, ge=1, le=10, description="So many of ten readings that cannot be are told.")
    most_kmh: float = Field(200.0, gt=0, le=2000, description="No road is faster.")
    most_free_flow_share: float = Field(
        2.5, gt=1, le=100, description="Nor so many times as fast as it is when it flows freely."
    )
    temperature_c: tuple[float, float] = Field(
        (-60.0, 60.0), description="Coldest and hottest that it can be, °C; the records of the Earth are -89 and 57."
    )
    silent_gaps: float = Field(
        10.0, gt=1, le=1000, description="Nothing for so many times its usual gap is silence, while others are heard."
    )
    silent_seconds: Seconds = Field(300.0, description="And for so long at least, in seconds.")
    drift_seconds: Seconds = Field(
        30.0, description="A clock so far from those of the median source, over ten minutes, is wrong."
    )
    slope_seconds_an_hour: float = Field(
        20.0, gt=0, le=3600, description="A clock that goes so much slower or faster, over an hour, is told before."
    )
    calm_minutes: float = Field(10.0, gt=0, le=10_000, description="When jumps, bounds and clocks are over.")
    told_seconds: Seconds = Field(300.0, description="How often it is told anew how a source is, if nothing changes.")
    forget_hours: float = Field(48.0, ge=1, le=720, description="Who told nothing for so long is forgotten.")


class MovementSettings(Section):
    """When a vehicle of any feed cannot have moved as it says."""

    speed_limit_kmh: float = Field(
        250.0,
        gt=0,
        le=2000,
        description="Nobody moves faster; the same as roads.max_speed_kmh, and above any train of a city.",
    )
    slack_m: float = Field(
        200.0,
        ge=0,
        le=100_000,
        description="A place may be wrong by so much: gtfs-rt-validator lets a vehicle be 200 m off its shape.",
    )
    judged_moves: int = Field(10, ge=1, le=62, description="Newest moves of a vehicle that are looked at.")
    implausible_moves: int = Field(
        3,
        ge=1,
        le=62,
        description="An alert is raised when so many of them are impossible. One wrong fix makes two: there and back.",
    )
    plausible_moves: int = Field(
        20, ge=1, le=10_000, description="The alert is over after so many possible moves in a row."
    )

    @model_validator(mode="after")
    def _can_be_reached(self) -> MovementSettings:
        if self.implausible_moves > self.judged_moves:
            raise ValueError("implausible_moves must not be more than judged_moves")
        return self


class AlarmSettings(Section):
    """What operators may be spared, and how alarms are measured."""

    most_shelf_hours: float = Field(
        24.0,
        gt=0,
        le=1440,
        description="Longest that an alarm can be shelved, in hours, so that nothing is forgotten on a shelf.",
    )
    on_delay_seconds: float = Field(
        90.0,
        ge=0,
        le=3600,
        description="People are told that a camera's level is HIGH once it has been so for this long without a break, "
        "in seconds: longer than a red light. SEVERE, standing traffic and what people raise is told at once. The "
        "alert itself is not delayed. 0 tells of each.",
    )
    suppress_unhealthy: bool = Field(
        True,
        description="Whether alerts from the figures of a camera that is out of order are suppressed: its open outage "
        "alert is told instead.",
    )
    fold_cameras: bool = Field(
        True,
        description="Whether alerts of traffic of cameras that stand on a congestion event are folded into it.",
    )
    fold_silent: bool = Field(
        True, description="Whether alerts of silent cameras that belong to a regional outage are folded into it."
    )
    hold_silent_seconds: float = Field(
        15.0,
        ge=0,
        le=600,
        description="So long people are told later that a camera is silent, in seconds: others of its area may be, "
        "too, and it is one outage. 0 tells it at once.",
    )
    look_seconds: Seconds = Field(
        1.0, description="How often the role live looks for what is shelved, suppressed or folded, in seconds."
    )
