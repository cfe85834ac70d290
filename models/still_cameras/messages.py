"""Still cameras: as they send, topic ``traffic_camera_data``, and what is kept: what they said, and their pictures."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

_Number: TypeAlias = float | str
_Id: TypeAlias = Annotated[str, Meta(max_length=256)] | int

#: What stands in ``snapshot``: a picture, the address of one, something else, or nothing.
SnapshotKind: TypeAlias = Literal["image", "url", "text", "none"]


class StillCameraMessage(Struct, kw_only=True, frozen=True, gc=False):
    """A message as a still camera sends it.

    Attributes:
        camera_id: of the camera.
        timestamp: when: ISO 8601, or epoch seconds or milliseconds.
        id: of the message.
        device_id: of the device that sends it.
        snapshot: a picture in base64, also as a ``data:`` address; the address of one; or any text.
        location: [latitude, longitude] in degrees WGS 84.
        direction: a compass word or degrees.
        speed: km/h, whatever it is the speed of.
    """

    camera_id: Annotated[str, Meta(min_length=1, max_length=256)]
    timestamp: str | int | float
    id: _Id | None = None
    device_id: _Id | None = None
    snapshot: Any = None
    location: Annotated[list[_Number], Meta(min_length=2, max_length=2)] | None = None
    direction: Annotated[str, Meta(max_length=64)] | float | None = None
    speed: _Number | None = None


class StillCamera(Struct, kw_only=True, frozen=True):
    """What a still camera said, without its picture.

    Attributes:
        camera_id: of the camera.
        device_id, message_id: as it said them.
        timestamp: when, by its clock, RFC 3339.
        received_at: when it came, by the broker's clock, RFC 3339: the age counts from here.
        latitude, longitude: degrees WGS 84.
        direction: as it said it.
        speed_kmh: likewise, km/h.
        snapshot_kind: what it sent as its snapshot.
        snapshot_type: of a picture, such as ``image/jpeg``, by what is in it.
        snapshot_bytes: length of the picture; of an address or a text that of its UTF-8.
        snapshot_sha256: of the picture, in hexadecimal digits.
        snapshot_url: the address, if that is what it sent.
    """

    camera_id: str
    device_id: str | None
    message_id: str | None
    timestamp: str
    received_at: str
    latitude: float | None
    longitude: float | None
    direction: str | None
    speed_kmh: float | None
    snapshot_kind: SnapshotKind
    snapshot_type: str | None
    snapshot_bytes: int
    snapshot_sha256: str | None
    snapshot_url: str | None


class StillSnapshot(Struct, kw_only=True, frozen=True):
    """The picture of a camera, as Redis holds it.

    Attributes:
        camera_id: of the camera.
        timestamp, received_at: as in `StillCamera`.
        content_type: by what is in the picture.
        picture: its bytes; base64 in JSON.
    """

    camera_id: str
    timestamp: str
    received_at: str
    content_type: str
    picture: bytes
