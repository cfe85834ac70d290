"""Bodies of ``GET /cameras`` and ``GET /congestion/current``."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from models.window_rows import Level


class CameraSeen(Struct, frozen=True):
    """A camera that reported; ``last_seen`` is the end of its newest window, RFC 3339 UTC."""

    camera_id: str
    last_seen: str


class CameraCongestion(Struct, frozen=True):
    """How congested a camera's newest window was."""

    camera_id: str
    congestion_level: Level
    congestion_score: float | None
    vehicle_count: int
    avg_speed_kmh: float | None
    window_end: str


encode_cameras = msgspec.json.Encoder().encode
