"""From records to pictures: messages are read and checked as far as that needs no state.

Many cameras send a message for each vehicle. Those of one picture stand one after the other, so they are put together
here: what is asked of a picture is then asked once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec
from msgspec import Struct

from models.cameras.detections import (
    MAX_MESSAGE_BYTES,
    TICK_HEADER,
    UNDECODABLE,
    Detection,
    DetectionDecoder,
    Frame,
    FrameDetection,
    Rejected,
    Timestamp,
    check_key,
    events_in,
    time_us_of,
)
from models.records import UNREADABLE, UNREADABLE_REASON, why_unreadable
from models.timestamps import rfc3339
from trafficapp.engine.faults import refused_by_fault

#: So many names are remembered.
_MOST_CAMERAS = 100_000


class Record(Protocol):
    """What is read of a Kafka record; ``timestamp`` is milliseconds since the epoch."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Names and values, in order."""
        ...


class Picture(Struct, gc=False):
    """What a camera saw at one time: a frame, or detections in messages of their own.

    Attributes:
        camera_id: the camera, which is `key` in UTF-8.
        time_us: when, microseconds since the epoch.
        frame_id: the camera's number of the picture.
        record_us: the broker's time of all its records.
        records: one of a frame, one for each detection else.
        seen: the detections that can be true.
        left_out: detections of a frame that cannot.
    """

    camera_id: str
    key: bytes
    time_us: int
    frame_id: int
    record_us: int
    records: list[Record]
    seen: Sequence[FrameDetection]
    left_out: Sequence[Rejected] = ()

    @property
    def events_a_record(self) -> int:
        """How many detections go with each of its records; an empty frame counts as one."""
        return 1 if len(self.records) > 1 else len(self.seen) or 1

    def behind(self, offset: int) -> Picture | None:
        """What of it stands behind an offset; None when nothing does."""
        if self.records[-1].offset <= offset:
            return None
        first = next(number for number, record in enumerate(self.records) if record.offset > offset)
        return msgspec.structs.replace(self, records=self.records[first:], seen=self.seen[first:]) if first else self


@dataclass(slots=True)
class Refused:
    """A record of which nothing can be accepted, and why."""

    record: Record
    parts: Sequence[Rejected]


class PictureReader:
    """Reads the records of a partition.

    Args:
        decoder: reads the messages.
        future_us: how far an event may be ahead of its record's timestamp.

    Attributes:
        patient_reads: how many messages had to be looked at closely, which takes ten times as long.
    """

    def __init__(self, decoder: DetectionDecoder, future_us: int) -> None:
        self._decoder = decoder
        self._future_us = future_us
        self._frames_first = False
        self.patient_reads = 0
        #: Names that were found to be those of their keys; the newest time that was read.
        self._cameras: dict[bytes | None, str] = {}
        self._timestamp: Timestamp | None = None
        self._time_us = 0

    def read(self, records: Iterable[Record]) -> Iterator[Picture | Refused | Record]:
        """Pictures, records of ours (ticks and controls) as they are, and what is refused, in the order of the log."""
        picture: Picture | None = None
        # of detections that a next one may belong to; no camera has an empty name
        camera_id, key, stamp_ms, frame_id = "", b"", 0, 0
        timestamp: Timestamp = 0
        together: list[Record] = []
        seen: list[FrameDetection] = []
        unset, most_bytes, decoder = msgspec.UNSET, MAX_MESSAGE_BYTES, self._decoder
        decode_detection, decode_frame = decoder.decode_detection, decoder.decode_frame
        for record in records:
            one: Picture | Refused | Record
            left_out: Sequence[Rejected] = ()
            headers = record.headers
            try:
                if headers and headers[0][0] is UNREADABLE:
                    raise Rejected(UNREADABLE_REASON, why_unreadable(record) or "")
                if headers and headers[0][0] == TICK_HEADER:
                    one, camera_id = record, ""
                else:
                    message: Detection | Frame
                    try:
                        value = record.value
                        if len(value) > most_bytes:  # type: ignore[arg-type]
                            raise msgspec.ValidationError("the message needs a closer look")
                        if self._frames_first:
                            message = decode_frame(value)  # type: ignore[arg-type]
                        else:
                            message = decode_detection(value)  # type: ignore[arg-type]
                            if message.detections is not unset:
                                raise msgspec.ValidationError("the message needs a closer look")
                            if (
                                message.camera_id == camera_id
                                and message.timestamp == timestamp
                                and message.frame_id == frame_id
                                and record.key == key
                                and record.timestamp == stamp_ms
                            ):
                                together.append(record)
                                seen.append(message)
                                continue
                    except UNDECODABLE:
                        self.patient_reads += 1
                        message, left_out = decoder.decode_otherwise(record.value, self._frames_first)
                        self._frames_first = isinstance(message, Frame)
                    one = self._picture(record, message, left_out)
                    camera_id = ""
                    if isinstance(message, Detection):
                        camera_id, key, timestamp = message.camera_id, one.key, message.timestamp
                        stamp_ms, frame_id = record.timestamp, message.frame_id
                        together, seen = one.records, one.seen  # type: ignore[assignment]
            except Rejected as error:
                one, camera_id = Refused(record, [*left_out, *error.parts]), ""
            except Exception as error:
                fault = refused_by_fault(error, f"reading the message at offset {record.offset}")
                one, camera_id = Refused(record, [*left_out, fault]), ""
            if picture is not None:
                yield picture
                picture = None
            if type(one) is Picture:
                picture = one
            else:
                yield one
        if picture is not None:
            yield picture

    def _picture(self, record: Record, message: Detection | Frame, left_out: Sequence[Rejected]) -> Picture:
        """What one message shows.

        Raises:
            Rejected: it stands under a wrong key, or its time cannot be.
        """
        key, camera_id = record.key, message.camera_id
        if self._cameras.get(key) != camera_id:
            check_key(key, message)
            if len(self._cameras) >= _MOST_CAMERAS:
                self._cameras.clear()
            self._cameras[key] = camera_id
        if message.timestamp != self._timestamp:
            self._time_us, self._timestamp = time_us_of(message), message.timestamp
        time_us, record_us = self._time_us, record.timestamp * 1000
        if time_us > record_us + self._future_us:
            raise Rejected(
                "future",
                f"event time {message.timestamp} is more than {self._future_us / 1e6:g} s"
                f" ahead of the record's {rfc3339(record_us)}",
                events_in(message),
            )
        seen = [message] if isinstance(message, Detection) else message.detections
        return Picture(camera_id, key or b"", time_us, message.frame_id, record_us, [record], seen, left_out)
