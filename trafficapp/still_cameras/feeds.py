"""Still cameras as feeds: what they said goes to the stores, and their pictures to Redis alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from models.still_cameras.messages import StillCamera, StillCameraMessage, StillSnapshot
from models.text_numbers import number
from models.timestamps import rfc3339
from trafficapp.feeds.declaration import Column, Convert, Current, Feed, History, Origin, Sends
from trafficapp.settings import Settings
from trafficapp.still_cameras.snapshots import read_snapshot

#: For so long the newest of a camera is current; its key and picture are gone then.
_CURRENT_SECONDS = 3600

_NOON = "2026-01-14T12:00:00Z"
_TEXT = Column("text")
_REAL = Column("double precision")


def _place_of(message: StillCameraMessage) -> tuple[float, float] | None:
    location = message.location
    return None if location is None else (number(location[0]), number(location[1]))


def _kept_of(settings: Settings) -> Convert:
    """What is kept of a message: what it says, and its picture apart."""
    max_bytes = settings.still_cameras.snapshot_max_bytes

    def messages(message: StillCameraMessage, time_us: int, origin: Origin) -> Iterator[tuple[str, Struct]]:
        snapshot = read_snapshot(message.snapshot, max_bytes)
        place, speed_kmh = _place_of(message), number(message.speed)
        camera_id, moments = message.camera_id, (rfc3339(time_us), rfc3339(origin.record_us))
        yield (
            camera_id,
            StillCamera(
                camera_id=camera_id,
                device_id=_text(message.device_id),
                message_id=_text(message.id),
                timestamp=moments[0],
                received_at=moments[1],
                latitude=None if place is None else place[0],
                longitude=None if place is None else place[1],
                direction=_text(message.direction),
                speed_kmh=speed_kmh,
                snapshot_kind=snapshot.kind,
                snapshot_type=snapshot.content_type,
                snapshot_bytes=snapshot.size,
                snapshot_sha256=snapshot.sha256,
                snapshot_url=snapshot.url,
            ),
        )
        if snapshot.content_type is not None:
            yield (
                camera_id,
                StillSnapshot(
                    camera_id=camera_id,
                    timestamp=moments[0],
                    received_at=moments[1],
                    content_type=snapshot.content_type,
                    picture=snapshot.picture,
                ),
            )

    return messages


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


STILL_CAMERAS = Feed(
    name="still-cameras",
    summary="What still cameras said, without their pictures.",
    topic=lambda settings: f"{settings.app_id}-still-cameras",
    shape=StillCamera,
    sample=StillCamera(
        camera_id="still-17",
        device_id="device-4",
        message_id="3f0e0d6a-6c0b-4f0f-a5a0-0e6f1d2c9b11",
        timestamp=_NOON,
        received_at=_NOON,
        latitude=44.5056,
        longitude=11.3430,
        direction="North-East",
        speed_kmh=None,
        snapshot_kind="image",
        snapshot_type="image/jpeg",
        snapshot_bytes=48_213,
        snapshot_sha256="9b6a04e15b1c7a57a9e5a7cf0be60c9fdcc9a5a9b0c1d2e3f405162738495a6b",
        snapshot_url=None,
    ),
    key="camera_id",
    future_seconds=None,
    is_ours=True,
    any_clock=True,
    current=Current(
        document="still_camera:{key}:current",
        listed="still_cameras:known",
        seconds=_CURRENT_SECONDS,
        channel="still_cameras:told",
    ),
    history=History(
        table="still_cameras",
        columns={
            "camera_id": _TEXT,
            "observed_at": Column("timestamptz", of="timestamp"),
            "received_at": Column("timestamptz"),
            "device_id": _TEXT,
            "message_id": _TEXT,
            "latitude": _REAL,
            "longitude": _REAL,
            "direction": _TEXT,
            "speed_kmh": _REAL,
            "snapshot_kind": _TEXT,
            "snapshot_type": _TEXT,
            "snapshot_bytes": Column("integer"),
            "snapshot_sha256": _TEXT,
        },
        key=("camera_id", "observed_at"),
        partitioned_by="observed_at",
        days=lambda settings: settings.still_cameras.keep_days,
    ),
    path="/api/still-cameras",
)

STILL_SNAPSHOTS = Feed(
    name="still-snapshots",
    summary="Pictures of still cameras: Redis holds the newest of each, and nothing else does.",
    topic=lambda settings: f"{settings.app_id}-still-snapshots",
    shape=StillSnapshot,
    sample=StillSnapshot(
        camera_id="still-17",
        timestamp=_NOON,
        received_at=_NOON,
        content_type="image/jpeg",
        picture=b"\xff\xd8\xff\xe0",
    ),
    key="camera_id",
    future_seconds=None,
    # as long as a picture is current, an emptied Redis can be filled again
    retention_hours=_CURRENT_SECONDS / 3600,
    is_ours=True,
    any_clock=True,
    current=Current(
        document="still_camera:{key}:snapshot", listed="still_cameras:with_snapshot", seconds=_CURRENT_SECONDS
    ),
)

STILL_CAMERA_MESSAGES = Feed(
    name="traffic-camera-data",
    summary="Still cameras, with a snapshot.",
    topic="traffic_camera_data",
    shape=StillCameraMessage,
    sample=StillCameraMessage(
        camera_id="still-17",
        timestamp="2026-01-14T12:00:00",
        id="3f0e0d6a-6c0b-4f0f-a5a0-0e6f1d2c9b11",
        device_id="device-4",
        snapshot="Base64EncodedString",
        location=[44.5056, 11.3430],
        direction="North-East",
        speed=0.0,
    ),
    key="camera_id",
    zone=lambda settings: settings.still_cameras.time_zone,
    future_seconds=None,
    sends=Sends(to=(STILL_CAMERAS, STILL_SNAPSHOTS), messages=_kept_of, with_origin=True),
    place=_place_of,
)
