"""From records of ``traffic.events.raw`` to rows of ``traffic_events``.

What is accepted is decided by the rules that need no state, and as the windows decide it: the form of
the message, its key, and how far its time is ahead of its record. Late and repeated detections stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import UNSET, ValidationError

from models.cameras.detections import (
    MAX_MESSAGE_BYTES,
    TICK_HEADER,
    UNDECODABLE,
    Detection,
    DetectionDecoder,
    Frame,
    FrameDetection,
    Rejected,
    check_key,
    time_us_of,
)
from trafficapp.stores.postgres.rows import NUL, REPLACEMENT
from trafficapp.stores.postgres.sink import POSTGRES_EPOCH_US

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

EventRow: TypeAlias = tuple[object, ...]

COLUMNS = (
    "camera_id",
    "ts",
    "vehicle_id",
    "class",
    "frame_id",
    "confidence",
    "bbox_x",
    "bbox_y",
    "bbox_w",
    "bbox_h",
    "centroid_x",
    "centroid_y",
    "lane_id",
    "speed_kmh",
)


_MOST_CAMERAS_REMEMBERED = 100_000


class EventRows:
    """Turns runs of records into rows.

    Args:
        decoder: reads the messages.
        future_us: how far an event may be ahead of its record's timestamp, microseconds.
    """

    def __init__(self, decoder: DetectionDecoder, future_us: int) -> None:
        self._decoder = decoder
        self._future_us = future_us
        self._frames_first = False
        self._cameras: dict[bytes | None, tuple[str, str]] = {}

    def rows(self, records: Sequence[ConsumerRecord]) -> tuple[list[EventRow], int]:
        """The rows of some records, in order, ready for the connection of a sink.

        Returns:
            the rows, and how many detections were left out as unacceptable; a message that cannot be
            read counts as one.
        """
        rows: list[EventRow] = []
        append = rows.append
        rejected = 0
        cameras = self._cameras
        decode, future_us = self._decoder.decode_detection, self._future_us
        message: Detection | Frame
        parts: Sequence[FrameDetection]
        for record in records:
            headers = record.headers
            if headers and headers[0][0] == TICK_HEADER:
                continue
            try:
                value = record.value
                if len(value) > MAX_MESSAGE_BYTES:
                    raise ValidationError("the message needs a closer look")
                if self._frames_first:
                    message = self._decoder.decode_frame(value)
                    parts = message.detections
                else:
                    message = decode(value)
                    if message.detections is not UNSET:
                        raise ValidationError("the message needs a closer look")
                    parts = (message,)
            except UNDECODABLE:
                try:
                    message, left_out = self._decoder.decode_otherwise(record.value, self._frames_first)
                except Rejected as error:
                    rejected += error.events
                    continue
                self._frames_first = isinstance(message, Frame)
                rejected += len(left_out)
                parts = (message,) if isinstance(message, Detection) else message.detections
            try:
                known = cameras.get(record.key) or self._camera(record, message)
                if known[0] != message.camera_id:
                    known = self._camera(record, message)
                time_us = time_us_of(message)
            except Rejected as error:
                rejected += error.events
                continue
            if time_us > record.timestamp * 1000 + future_us:
                rejected += len(parts) or 1
                continue
            camera_id = known[1]
            ts = (time_us - POSTGRES_EPOCH_US,)
            frame_id = message.frame_id
            for part in parts:
                vehicle_id = part.vehicle_id
                if NUL in vehicle_id:
                    vehicle_id = vehicle_id.replace(NUL, REPLACEMENT)
                box = part.bbox
                x, y, w, h = box.x, box.y, box.w, box.h
                centroid = part.centroid
                if centroid is None:
                    centroid_x, centroid_y = x + w / 2, y + h / 2
                else:
                    centroid_x, centroid_y = centroid.x, centroid.y
                append(
                    (
                        camera_id,
                        ts,
                        vehicle_id,
                        part.vehicle_class,
                        frame_id,
                        part.confidence,
                        x,
                        y,
                        w,
                        h,
                        centroid_x,
                        centroid_y,
                        part.lane_id,
                        part.speed_estimate,
                    )
                )
        return rows, rejected

    def _camera(self, record: ConsumerRecord, message: Detection | Frame) -> tuple[str, str]:
        """The camera of a record as the message names it and as it is stored.

        Raises:
            Rejected: the record's key is another.
        """
        key, camera_id = record.key, message.camera_id
        check_key(key, message)
        if len(self._cameras) >= _MOST_CAMERAS_REMEMBERED:
            self._cameras.clear()
        known = self._cameras[key] = (camera_id, camera_id.replace(NUL, REPLACEMENT))
        return known
