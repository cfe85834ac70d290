"""The settings about how vehicles move; part of `trafficapp.settings`."""

from __future__ import annotations

from pydantic import Field, model_validator

from trafficapp.settings.sections import Section


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
