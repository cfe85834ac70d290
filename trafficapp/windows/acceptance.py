"""What is accepted as an event, from records to pictures: messages are read and checked as far as that needs no state.

This is decided here alone, for the windows, for the history of detections and for producers that ask before they send.
What depends on what a camera said before (late, repeated, one too many) is the windows' own.

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
from models.control_records import is_signed
from models.records import UNREADABLE, UNREADABLE_REASON, why_unreadable
from models.timestamps import rfc3339
from trafficapp.engine.faults import refused_by_fault
from trafficapp.privacy.pseudonyms import Pseudonyms
from trafficapp.topics import EVENTS_RAW

#: A time that no picture has.
_NO_TIME = float("nan")

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


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The rules by which a message is accepted, whatever came before it.

    Attributes:
        decoder: reads the messages.
        future_us: how far an event may be ahead of its record's timestamp.
        control_keys: one of them signs records of ours; without any, all that say so are ours.
        pseudonyms: what hashes ids of vehicles; None where they stay as they are.
        untracked_ids: ids that name no vehicle, of any camera; they stay.
    """

    decoder: DetectionDecoder
    future_us: int
    control_keys: tuple[bytes, ...] = ()
    pseudonyms: Pseudonyms | None = None
    untracked_ids: frozenset[str] = frozenset()

    def reader(self) -> PictureReader:
        """A reader of records by these rules."""
        return PictureReader(self)


class PictureReader:
    """Reads records. What it remembers from run to run only saves time, so several threads may read at once.

    Args:
        acceptance: what is accepted.

    Attributes:
        patient_reads: how many messages had to be looked at closely, which takes ten times as long.
    """

    def __init__(self, acceptance: Acceptance) -> None:
        self._decoder = acceptance.decoder
        self._future_us = acceptance.future_us
        self._control_keys = acceptance.control_keys
        self._pseudonyms, self._untracked_ids = acceptance.pseudonyms, acceptance.untracked_ids
        self._frames_first = False
        self.patient_reads = 0
        #: Names that were found to be those of their keys; the newest time that was read, as it was said and as it is.
        self._cameras: dict[bytes | None, str] = {}
        self._newest_time: tuple[Timestamp | None, int] = None, 0

    def read(self, records: Iterable[Record]) -> Iterator[Picture | Refused | Record]:
        """Pictures, records of ours (ticks and controls) as they are, and what is refused, in the order of the log."""
        return self._read_all(records) if self._pseudonyms is None else self._hashed(self._read_all(records))

    def _hashed(self, found: Iterable[Picture | Refused | Record]) -> Iterator[Picture | Refused | Record]:
        """The same, with ids of vehicles that say nothing."""
        assert self._pseudonyms is not None  # noqa: S101 - whoever calls has looked
        hashed, untracked_ids = self._pseudonyms.of, self._untracked_ids
        for one in found:
            if type(one) is Picture:
                time_us = one.time_us
                for detection in one.seen:
                    if (vehicle_id := detection.vehicle_id) not in untracked_ids:
                        detection.vehicle_id = hashed(vehicle_id, time_us)
            yield one

    def _read_all(self, records: Iterable[Record]) -> Iterator[Picture | Refused | Record]:
        picture: Picture | None = None
        # what the picture is of while it is of single detections: the next one may belong to it
        camera_id, key, frame_id = "", b"", 0
        timestamp: Timestamp = _NO_TIME
        stamp_ms, together, seen = 0, list[Record](), list[FrameDetection]()
        decode_detection, unset = self._decoder.decode_detection, msgspec.UNSET
        for record in records:
            detection: Detection | None = None
            headers = record.headers
            if not self._frames_first and not (headers and _is_no_message(headers)):
                # written out for most of the messages there are: calls cost a tenth of the throughput
                try:
                    value = record.value
                    if len(value) <= MAX_MESSAGE_BYTES:  # type: ignore[arg-type]
                        detection = decode_detection(value)  # type: ignore[arg-type]
                        if detection.detections is not unset:
                            detection = None
                        elif (
                            detection.timestamp == timestamp
                            and detection.frame_id == frame_id
                            and detection.camera_id == camera_id
                            and record.key == key
                            and record.timestamp == stamp_ms
                        ):
                            together.append(record)
                            seen.append(detection)
                            continue
                except Exception:  # noqa: S110 - whatever it is, it is met again below, and told there
                    pass
            one = self._read(record, detection)
            if picture is not None:
                yield picture
            picture, timestamp = None, _NO_TIME
            if type(one) is not Picture:
                yield one
                continue
            picture = one
            if detection is not None:
                camera_id, key, frame_id = one.camera_id, one.key, one.frame_id
                timestamp, stamp_ms = detection.timestamp, record.timestamp
                together, seen = one.records, one.seen  # type: ignore[assignment]
        if picture is not None:
            yield picture

    def _read(self, record: Record, detection: Detection | None) -> Picture | Refused | Record:
        """What one record is.

        Args:
            record: the record.
            detection: its message if it is a faultless one; None when it needs a closer look.
        """
        message: Detection | Frame | None = detection
        left_out: Sequence[Rejected] = ()
        try:
            if message is None:
                if record.headers and _is_ours(record):
                    if self._control_keys and not is_signed(
                        self._control_keys, EVENTS_RAW, record.value, record.headers[0][1]
                    ):
                        raise Rejected("unsigned", "it says that it is a worker's own, and no key of ours signed it")
                    return record
                message, left_out = self._decode(record.value)
            return self._picture(record, message, left_out)
        except Rejected as error:
            return Refused(record, [*left_out, *error.parts])
        except Exception as error:
            fault = refused_by_fault(error, f"reading the message at offset {record.offset}")
            return Refused(record, [*left_out, fault])

    def _decode(self, value: bytes | None) -> tuple[Detection | Frame, Sequence[Rejected]]:
        """The message, which is no faultless detection unless frames are expected; and what is left out of a frame.

        What the message before was, a detection or a frame, is tried first, since a topic mostly has one of the two.
        That changes nothing but how long it takes.

        Raises:
            Rejected: nothing of it can be accepted.
        """
        if self._frames_first and value is not None and len(value) <= MAX_MESSAGE_BYTES:
            try:
                return self._decoder.decode_frame(value), ()
            except UNDECODABLE:
                pass
        self.patient_reads += 1
        message, left_out = self._decoder.decode_otherwise(value, self._frames_first)
        self._frames_first = isinstance(message, Frame)
        return message, left_out

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
        timestamp, time_us = self._newest_time
        if message.timestamp != timestamp:
            time_us = time_us_of(message)
            self._newest_time = message.timestamp, time_us
        record_us = record.timestamp * 1000
        if time_us > record_us + self._future_us:
            raise Rejected(
                "future",
                f"event time {message.timestamp} is more than {self._future_us / 1e6:g} s"
                f" ahead of the record's {rfc3339(record_us)}",
                events_in(message),
            )
        seen = [message] if isinstance(message, Detection) else message.detections
        return Picture(camera_id, key or b"", time_us, message.frame_id, record_us, [record], seen, left_out)


def _is_no_message(headers: Sequence[tuple[str, bytes | None]]) -> bool:
    """Whether a record with such headers is one of ours, or one that Kafka's client could not read."""
    return headers[0][0] is UNREADABLE or headers[0][0] == TICK_HEADER


def _is_ours(record: Record) -> bool:
    """Whether a record with headers is a tick or a control.

    Raises:
        Rejected: it is one that Kafka's client could not read.
    """
    name = record.headers[0][0]
    if name is UNREADABLE:
        raise Rejected(UNREADABLE_REASON, why_unreadable(record) or "")
    return name == TICK_HEADER
