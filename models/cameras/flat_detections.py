"""The flat form of a detection, as it is documented; `models.cameras.detections.DetectionDecoder` reads it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from models.cameras.detections import Coordinate, Extent, FrameNumber, Identifier, Ratio, Timestamp


class FlatDetection(Struct, kw_only=True, frozen=True, gc=False, rename={"vehicle_class": "class"}):
    """One vehicle seen by one camera in one picture, not nested. ``speed_kmh`` is km/h, places are pixels."""

    camera_id: Identifier
    ts: Timestamp
    frame_id: FrameNumber
    vehicle_id: Identifier
    vehicle_class: str
    confidence: Ratio
    bbox_x: Coordinate
    bbox_y: Coordinate
    bbox_w: Extent
    bbox_h: Extent
    centroid_x: Coordinate | None = None
    centroid_y: Coordinate | None = None
    lane_id: Annotated[int, Meta(ge=0, le=32_767)] | None = None
    speed_kmh: Annotated[float, Meta(ge=0.0)] | None = None
