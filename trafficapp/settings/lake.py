"""Settings of the lake."""

from __future__ import annotations

from pydantic import Field, field_validator

from trafficapp.settings.sections import Seconds, Section

_SCHEMES = ("file", "s3")


class LakeSettings(Section):
    """Parquet files of all records, written by workers of the role ``lake``. Without ``url`` none are.

    Keys of an S3 storage are read from the environment as its own clients do (``AWS_ACCESS_KEY_ID`` and so on).
    """

    url: str | None = Field(
        None, description="Where the files go: file:///a/folder, or s3://bucket/prefix?endpoint_override=host:port."
    )
    feeds: tuple[str, ...] = Field(
        (),
        description="What goes there: names of feeds that have a history, and events, metrics or alerts; empty: all.",
    )
    piece_records: int = Field(50_000, ge=100, le=1_000_000, description="Records of one partition in a file at most.")
    piece_bytes: int = Field(
        64 << 20, ge=1 << 16, description="Bytes of one partition's records that are gathered before they are written."
    )
    piece_seconds: Seconds = Field(60.0, description="Records are written at the latest after this time.")
    days: int = Field(2_557, ge=1, description="Days that files are kept for: seven years.")

    @field_validator("url")
    @classmethod
    def _is_a_place(cls, url: str | None) -> str | None:
        if url is not None and url.partition("://")[0] not in _SCHEMES:
            raise ValueError("it begins neither with file:// nor with s3://")
        return url
