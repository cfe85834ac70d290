"""Settings of the dashboard."""

from __future__ import annotations

from pydantic import Field, field_validator

from trafficapp.settings.sections import Section


class DashboardSettings(Section):
    """The pages for people."""

    tiles_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/;,'\"]+/[^\s;,'\"]*$",
        description="Raster map tiles that the dashboard draws below its roads, with {z}, {x} and {y} in the address: "
        "browsers then ask that server. Without it they ask nobody but the workers.",
    )
    tiles_attribution: str = Field("", max_length=300, description="Whom a map with these tiles names.")

    @field_validator("tiles_url")
    @classmethod
    def _names_a_tile(cls, url: str | None) -> str | None:
        if url is not None and not all(part in url for part in ("{z}", "{x}", "{y}")):
            raise ValueError("it does not have {z}, {x} and {y} in it")
        return url
