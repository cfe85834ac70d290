"""The settings about still cameras; part of `trafficapp.settings`."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from trafficapp.settings.sections import Section

#: What of a message of 1 MiB a picture in base64 may take.
_MOST_BYTES = 720 << 10


class StillCameraSettings(Section):
    """Still cameras and their pictures."""

    time_zone: str = Field(
        "UTC",
        description="Zone of times without an offset, which these cameras send; an IANA name such as Europe/Rome.",
    )
    snapshot_max_bytes: int = Field(
        256 << 10,
        ge=1024,
        le=_MOST_BYTES,
        description="Largest snapshot; a message with a larger one is refused. A photo of 1280 x 720 in usual quality "
        "has about 150 KiB, and Redis holds one of each camera.",
    )
    keep_days: float = Field(30.0, gt=0, le=3660, description="Days that what cameras said is kept, without pictures.")

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no IANA time zone such as Europe/Rome") from None
        return zone
