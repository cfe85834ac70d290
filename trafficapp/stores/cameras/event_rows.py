"""From records of ``traffic.events.raw`` to rows of ``traffic_events``.

What is accepted is decided where the windows have it from, in `trafficapp.windows.acceptance`: the form of the message,
its key, and how far its time is ahead of its record. Late and repeated detections stay.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from trafficapp.stores.postgres import binary_copy
from trafficapp.stores.postgres.rows import NUL, REPLACEMENT, storable
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


@dataclass(slots=True)
class EventBatch:
    """The rows of a run.

    Attributes:
        count: how many they are.
        copied: as COPY takes them, in its binary format; None when a value does not fit its column.
        tuples: the rows themselves, for who must look at them one by one, and where there is nothing else.
    """

    count: int
    copied: Sequence[bytes] | None
    tuples: Callable[[], list[EventRow]]


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

    def batch(self, records: Sequence[Record]) -> tuple[EventBatch, int]:
        """The same as COPY takes it, without a tuple for each row."""
        copied: list[bytes] = [binary_copy.HEADER]
        count = rejected = 0
        try:
            for one in self._reader.read(records):
                if type(one) is Picture:
                    if one.left_out:
                        rejected += sum(part.events for part in one.left_out)
                    count += len(one.seen)
                    _append_copied(copied, one)
                elif type(one) is Refused:
                    rejected += sum(part.events for part in one.parts)
        except (struct.error, UnicodeError):
            # Postgres says which it is
            rows, rejected = self.rows(records)
            return EventBatch(len(rows), None, lambda: rows), rejected
        copied.append(binary_copy.END)
        return EventBatch(count, copied, lambda: self.rows(records)[0]), rejected

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


#: Fields of a row from the confidence on, each with its length before it.
_NUMBERS = struct.Struct(">" + "id" * 7).pack
_ALL = struct.Struct(">" + "id" * 7 + "ih" + "id").pack
_NUMBER_OF_FIELDS = struct.pack(">h", len(COLUMNS))
_NULL = struct.pack(">i", binary_copy.NULL)
_int16, _int64, _float64 = (struct.Struct(f">i{kind}").pack for kind in "hqd")


def _append_copied(copied: list[bytes], picture: Picture) -> None:
    """Append the row of each detection of a picture in the format of `trafficapp.stores.postgres.binary_copy`.

    It is `_append_rows` written out, which makes the same rows; a test holds both together.
    """
    extend = copied.extend
    begin = b"".join((_NUMBER_OF_FIELDS, _text(picture.camera_id), _int64(8, picture.time_us - POSTGRES_EPOCH_US)))
    frame_id = _int64(8, picture.frame_id)
    vehicle_class, kind = None, b""
    for part in picture.seen:
        if part.vehicle_class != vehicle_class:
            vehicle_class = part.vehicle_class
            kind = _text(vehicle_class) + frame_id
        box, centroid = part.bbox, part.centroid
        x, y, w, h = box.x, box.y, box.w, box.h
        if centroid is None:
            centroid_x, centroid_y = x + w / 2, y + h / 2
        else:
            centroid_x, centroid_y = centroid.x, centroid.y
        lane_id, speed = part.lane_id, part.speed_estimate
        if lane_id is not None and speed is not None:
            rest = _ALL(
                8, part.confidence, 8, x, 8, y, 8, w, 8, h, 8, centroid_x, 8, centroid_y, 2, lane_id, 8, speed
            )  # fmt: skip
        else:
            numbers = _NUMBERS(8, part.confidence, 8, x, 8, y, 8, w, 8, h, 8, centroid_x, 8, centroid_y)
            lane = _NULL if lane_id is None else _int16(2, lane_id)
            rest = b"".join((numbers, lane, _NULL if speed is None else _float64(8, speed)))
        extend((begin, _text(part.vehicle_id), kind, rest))


@lru_cache(maxsize=65_536)
def _text(value: str) -> bytes:
    """The field of a text that comes again; a vehicle is seen in many pictures."""
    return binary_copy.text(storable(value))
