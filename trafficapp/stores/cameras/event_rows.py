"""From records of ``traffic.events.raw`` to rows of ``traffic_events``.

What is accepted is decided where the windows have it from, in `trafficapp.windows.acceptance`: the form of the message,
its key, and how far its time is ahead of its record. Late and repeated detections stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from trafficapp.stores.postgres.rows import NUL, REPLACEMENT
from trafficapp.stores.postgres.sink import POSTGRES_EPOCH_US
from trafficapp.windows.acceptance import Acceptance, Picture, Record, Refused

EventRow: TypeAlias = tuple[object, ...]

#: Types by name, in the order of a row.
COLUMNS = {
    "camera_id": "text",
    "ts": "timestamptz",
    "vehicle_id": "text",
    "class": "text",
    "frame_id": "bigint",
    "confidence": "double precision",
    **dict.fromkeys(("bbox_x", "bbox_y", "bbox_w", "bbox_h", "centroid_x", "centroid_y"), "double precision"),
    "lane_id": "smallint",
    "speed_kmh": "double precision",
}


class EventRows:
    """Turns runs of records into rows; several threads may at once.

    Args:
        acceptance: what is accepted as an event.
    """

    def __init__(self, acceptance: Acceptance) -> None:
        self._reader = acceptance.reader()

    def rows(self, records: Sequence[Record]) -> tuple[list[EventRow], int]:
        """The rows of some records, in order, ready for the connection of a sink.

        Returns:
            the rows, and how many detections were left out as unacceptable; a message that cannot be
            read counts as one.
        """
        rows: list[EventRow] = []
        rejected = 0
        for one in self._reader.read(records):
            if type(one) is Picture:
                if one.left_out:
                    rejected += sum(part.events for part in one.left_out)
                _append_rows(rows, one)
            elif type(one) is Refused:
                rejected += sum(part.events for part in one.parts)
        return rows, rejected

    def pictures(self, records: Sequence[Record]) -> Iterator[tuple[Picture, list[EventRow]]]:
        """What is accepted, picture by picture, in order: its rows."""
        for one in self._reader.read(records):
            if type(one) is Picture and one.seen:
                rows: list[EventRow] = []
                _append_rows(rows, one)
                yield one, rows


def _append_rows(rows: list[EventRow], picture: Picture) -> None:
    """Append the row of each detection of a picture."""
    append = rows.append
    camera_id, frame_id = picture.camera_id, picture.frame_id
    if NUL in camera_id:
        camera_id = camera_id.replace(NUL, REPLACEMENT)
    ts = (picture.time_us - POSTGRES_EPOCH_US,)
    for part in picture.seen:
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
