"""Bodies of ``/api/admin/...``: zones, cameras, thresholds, broadcasts, the audit log."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from models.alerts import SEVERITIES
from models.cameras.window_rows import Level
from models.plain_text import NAME_PATTERN, Name, Text

Latitude = Annotated[float, Meta(ge=-90, le=90, description="Degrees, WGS 84.")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="Degrees, WGS 84.")]
Share = Annotated[float, Meta(gt=0, lt=1)]

MAX_ZONE_POINTS = 2000


class Point(Struct, frozen=True):
    """A place in WGS 84."""

    lat: Latitude
    lon: Longitude


Ring = Annotated[list[Point], Meta(min_length=3, max_length=MAX_ZONE_POINTS)]


class NewZone(Struct, frozen=True, kw_only=True):
    """Body of ``POST /api/admin/zones``. The ring is closed by the server."""

    name: Name
    coordinates: Ring
    description: Text | None = None


class ZoneChange(Struct, frozen=True, kw_only=True):
    """Body of ``PUT /api/admin/zones/{id}``; what is left out stays."""

    name: Name | UnsetType = UNSET
    coordinates: Ring | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class Zone(Struct, frozen=True, kw_only=True):
    """A part of the city, by which lists are filtered.

    Attributes:
        coordinates: the ring, closed: the last point is the first one again.
        cameras: how many registered cameras stand in it, its border included.
    """

    id: int
    name: str
    description: str | None
    coordinates: list[Point]
    created_at: str
    updated_at: str
    cameras: int = 0


class NewCamera(Struct, frozen=True, kw_only=True):
    """Body of ``POST /api/admin/cameras``.

    Attributes:
        name: the camera_id unless given.
        latitude, longitude: both or neither.
    """

    camera_id: Name
    name: Name | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    road_segment: Name | None = None
    description: Text | None = None
    calibration: dict[str, Any] | None = None


class NewCameraBody(NewCamera, frozen=True, kw_only=True):
    """The same with the names of other systems.

    Attributes:
        lat: the same as latitude.
        lng, lon: the same as longitude.
    """

    lat: Latitude | None = None
    lng: Longitude | None = None
    lon: Longitude | None = None


class CameraChange(Struct, frozen=True, kw_only=True):
    """Body of ``PUT /api/admin/cameras/{camera_id}``; what is left out stays, null clears.

    Attributes:
        lat: the same as latitude.
        lng, lon: the same as longitude.
    """

    name: Name | UnsetType | None = UNSET
    latitude: Latitude | UnsetType | None = UNSET
    longitude: Longitude | UnsetType | None = UNSET
    road_segment: Name | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    calibration: dict[str, Any] | UnsetType | None = UNSET
    lat: Latitude | UnsetType | None = UNSET
    lng: Longitude | UnsetType | None = UNSET
    lon: Longitude | UnsetType | None = UNSET


class Camera(Struct, frozen=True, kw_only=True):
    """A camera of the registry.

    Attributes:
        registered: whether somebody registered it; else it is known because it reported.
        last_seen: end of its newest final window; None when it has none.
        id: the camera_id as a whole number that follows from it, at most 2^53 - 1.
        created_at: when it was registered, or else when it reported first; None of one that is not stored yet.
        updated_at: when somebody changed it last; None likewise.
    """

    camera_id: str
    name: str | None
    latitude: float | None
    longitude: float | None
    road_segment: str | None
    description: str | None
    calibration: dict[str, Any] | None
    registered: bool
    last_seen: str | None
    id: int = 0
    created_at: str | None = None
    updated_at: str | None = None


def camera_number(camera_id: str) -> int:
    """A camera_id as a whole number, 0..2^53 - 1: the first 53 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(camera_id.encode("utf-8", "surrogatepass")).digest()[:7]) >> 3


class ThresholdChange(Struct, frozen=True, kw_only=True):
    """Body of ``PUT /api/admin/thresholds``: scores at which a level ends, ascending.

    LOW is below low, MODERATE below moderate, HIGH below high; SEVERE is from high on. Where two are equal, the level
    between them does not occur.
    """

    congestion_threshold_low: Share
    congestion_threshold_moderate: Share
    congestion_threshold_high: Share


class ThresholdsInForce(Struct, frozen=True, kw_only=True):
    """The thresholds in force.

    Attributes:
        version: 0 for those of the settings.
        effective_from: begin of the first window they hold for; None for those of the settings.
    """

    congestion_threshold_low: float
    congestion_threshold_moderate: float
    congestion_threshold_high: float
    version: int
    effective_from: str | None
    set_by: str | None
    set_at: str | None


class LevelChange(Struct, frozen=True, kw_only=True):
    """A camera that would have another level.

    Attributes:
        congestion_score: of its newest window.
        congestion_level: that it has.
        would_be: that it would have.
    """

    camera_id: str
    congestion_score: float
    congestion_level: Level
    would_be: Level


class ThresholdPreview(Struct, frozen=True, kw_only=True):
    """What other thresholds would change, as of the newest windows.

    Attributes:
        cameras: that have a score now.
        now, then: how many cameras have each level, and would have.
        changes: cameras whose level would change, by camera_id.
    """

    cameras: int
    now: dict[Level, int]
    then: dict[Level, int]
    changes: list[LevelChange]


# JSON Schema knows no flag for this; in Python "$" is before a newline at the end, too
_ANY_CASE = f"^({'|'.join(''.join(f'[{c}{c.lower()}]' for c in word) for word in SEVERITIES)})$(?!\\n)"


class NewBroadcast(Struct, frozen=True, kw_only=True):
    """Body of ``POST /api/admin/notifications/broadcast``.

    Attributes:
        camera_id: the camera it is about.
        zone: id or name of the zone it is about.
    """

    message: Annotated[Text, Meta(min_length=1)]
    title: Annotated[str, Meta(max_length=4096, pattern=NAME_PATTERN.replace("+", "*"))] | None = None
    severity: Annotated[str, Meta(pattern=_ANY_CASE, description="In any case.")] = "WARNING"
    camera_id: Name | None = None
    zone: Name | None = None


class Broadcast(Struct, frozen=True, kw_only=True):
    """Data of the event ``admin_broadcast``."""

    id: str
    title: str
    message: str
    severity: str
    camera_id: str | None
    zone: str | None
    sent_by: str
    sent_at: str


class QueuedBroadcast(Broadcast, frozen=True, kw_only=True):
    """What the sender of a broadcast gets back."""

    status: Literal["queued"] = "queued"


class AuditEntry(Struct, frozen=True, kw_only=True):
    """A row of the audit log.

    Attributes:
        action: a stable word: ``thresholds.update``.
        target: what was changed.
        caller: who was authenticated: with the administrator's key anybody may choose the actor's name.
        before, after: what was there, and what is there now; null for nothing.
        remote: address that the request came from.
    """

    id: int
    at: str
    actor: str
    role: str
    action: str
    target: str
    before: msgspec.Raw
    after: msgspec.Raw
    remote: str | None
    request_id: str | None
    caller: str | None = None
