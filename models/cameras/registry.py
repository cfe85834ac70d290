"""Body of ``GET /cameras``, and how congested cameras are."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from models.cameras.window_rows import Level


class CameraSeen(Struct, frozen=True):
    """A camera that reported.

    Attributes:
        last_seen: end of its newest window, RFC 3339 UTC.
        partitions: only there while its rows keep coming from more than one partition, because its producers choose
            the partition in different ways: these partitions. Its numbers are wrong then.
    """

    camera_id: str
    last_seen: str
    partitions: list[int] | UnsetType = UNSET


class CameraCongestion(Struct, frozen=True):
    """How congested a camera's newest window was."""

    camera_id: str
    congestion_level: Level
    congestion_score: float | None
    vehicle_count: int
    avg_speed_kmh: float | None
    window_end: str


encode_cameras = msgspec.json.Encoder().encode
