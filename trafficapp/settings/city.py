"""Settings that all feeds of a city share."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import Field, field_validator

from trafficapp.settings.sections import Seconds, Section

#: South, west, north, east, degrees WGS 84.
Bounds: TypeAlias = tuple[float, float, float, float]


class CitySettings(Section):
    """The city as a whole."""

    bounds: Bounds | None = Field(
        None,
        description="South, west, north and east border, degrees: feeds of the city refuse places outside, and so "
        "latitudes and longitudes that are swapped. Without it, any place on earth is accepted.",
    )
    partitions: int = Field(
        4,
        ge=1,
        le=256,
        description="Partitions of topics of the city's feeds that do not exist yet. One does some thousand messages "
        "a second; more than needed cost a transaction each.",
    )

    summary_seconds: Seconds = Field(5.0, description="How often traffic in the whole city is reckoned.")
    present_seconds: Seconds = Field(
        300.0, description="A vehicle counts as on its road for this long after its last fix, by the broker's clock."
    )

    @field_validator("bounds")
    @classmethod
    def _are_an_area(cls, bounds: Bounds | None) -> Bounds | None:
        if bounds is not None:
            south, west, north, east = bounds
            if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
                raise ValueError("it is not south, west, north, east in degrees, such as [44.4, 11.2, 44.6, 11.5]")
        return bounds
