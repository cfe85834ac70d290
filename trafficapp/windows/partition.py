"""All cameras of one partition: records in, finished rows, dead letters and state rows out.

The state is a pure function of the partition's records up to `PartitionState.applied`: no wall
clock, no order other than the log's, nothing that depends on how records came in runs. That is why
any worker may take over from the rows that another has written (see docs/decisions).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Protocol, TypeAlias

import msgspec
from msgspec import Struct, field

from models.alerts import AlertEvent
from models.dead_letters import DeadLetter, dead_letter_of
from models.detections import (
    TICK_HEADER,
    UNDECODABLE,
    Detection,
    DetectionDecoder,
    Frame,
    Rejected,
    Timestamp,
    check_key,
    event_time_us,
    events_in,
)
from models.quiet_cameras import QuietCamera
from models.thresholds import Thresholds, decode_control
from models.timestamps import rfc3339
from models.window_rows import WindowRow
from trafficapp.alerts.silence import Silence, SilenceRule, came_back, fell_silent
from trafficapp.congestion import with_change
from trafficapp.state_rows import OFFSET_BYTES, partition_key, state_row
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.clock import advanced
from trafficapp.windows.windower import COUNTED, LATE, REPEATED, CameraState, Windower

logger = logging.getLogger(__name__)

#: A camera this process has met: its id, its rules and its state.
_Known: TypeAlias = tuple[str, Windower, CameraState]


class Record(Protocol):
    """What is read of a Kafka record; ``timestamp`` is milliseconds since the epoch."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class PartitionState(Struct, array_like=True):
    """What is known of a partition beside its cameras.

    Attributes:
        applied: offset of the last record applied; -1 before the first.
        clock_us: the partition clock, see `trafficapp.windows.clock`.
        tick_us: record time of the newest tick, 0 before the first.
        rejected: detections that were refused before they reached a camera, by reason.
        thresholds: changes of the boundaries of the levels that windows may still take, oldest first.
    """

    applied: int = -1
    clock_us: int = 0
    tick_us: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    # new fields go to the end: rows that were written without them must stay readable
    thresholds: list[Thresholds] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What a run of records led to.

    Attributes:
        rows: finished windows, in order.
        dead_letters: refused messages, in order.
        alerts: cameras that fell silent or came back, in order.
        quiet: cameras that finish no more windows, in order.
        counted, repeated: detections counted, and seen before.
        rejected: detections refused, by reason.
    """

    rows: list[WindowRow] = dataclass_field(default_factory=list)
    dead_letters: list[DeadLetter] = dataclass_field(default_factory=list)
    alerts: list[AlertEvent] = dataclass_field(default_factory=list)
    quiet: list[QuietCamera] = dataclass_field(default_factory=list)
    counted: int = 0
    repeated: int = 0
    rejected: dict[str, int] = dataclass_field(default_factory=dict)


_decode_camera = msgspec.msgpack.Decoder(CameraState).decode
_decode_partition = msgspec.msgpack.Decoder(PartitionState).decode


def decode_camera_row(row: bytes) -> CameraState:
    """The camera state in a state row."""
    return _decode_camera(row[OFFSET_BYTES:])


def decode_partition_row(row: bytes) -> PartitionState:
    """The partition state in a state row."""
    return _decode_partition(row[OFFSET_BYTES:])


class PartitionWindows:
    """The windows of all cameras of one partition.

    Args:
        partition: its number.
        windower_for: the rules for a camera, by camera_id.
        decoder: reads the messages.
        future_us: how far an event may be ahead of its record's timestamp.
        rows: state rows to go on from, by key.
        topic: the source topic, for dead letters.
        silence: when an alert is raised for a silent camera; None for never.
        quiet_us: after how long, by the partition's clock, it is told that a camera finishes no more windows;
            None for never.
    """

    def __init__(
        self,
        partition: int,
        windower_for: Callable[[str], Windower],
        decoder: DetectionDecoder,
        future_us: int,
        rows: Mapping[bytes, bytes],
        topic: str = EVENTS_RAW,
        silence: SilenceRule | None = None,
        quiet_us: int | None = None,
    ) -> None:
        self._topic = topic
        self._silence = silence
        self._quiet_us = quiet_us
        self.partition = partition
        self._windower_for = windower_for
        self._decoder = decoder
        self._future_us = future_us
        self._key = partition_key(partition)
        self._frames_first = False
        self._dirty: set[bytes] = set()
        self._known: dict[bytes, _Known] = {}
        self.state = decode_partition_row(rows[self._key]) if self._key in rows else PartitionState()
        self.cameras = {key: decode_camera_row(row) for key, row in rows.items() if key != self._key}

    @property
    def applied(self) -> int:
        """Offset of the last record applied; -1 before the first."""
        return self.state.applied

    def apply(self, records: Iterable[Record]) -> Outcome:
        """Apply consecutive records; those that are applied already change nothing."""
        outcome = Outcome()
        state, known_cameras = self.state, self._known
        touched: dict[bytes, _Known] = {}
        counted = 0
        timestamp: Timestamp | None = None
        time_us = 0
        unset = msgspec.UNSET
        classes, max_speed_kmh = self._decoder.vehicle_classes, self._decoder.max_speed_kmh
        decode = self._decoder.decode_detection
        future_us = self._future_us
        for record in records:
            offset = record.offset
            if offset <= state.applied:
                continue
            state.applied = offset
            headers = record.headers
            if headers and headers[0][0] == TICK_HEADER:
                if record.value:
                    self._control(record, touched, outcome)
                else:
                    self._tick(record, outcome)
                continue
            message: Detection | Frame
            try:
                if self._frames_first:
                    message = self._decoder.decode_faultless_frame(record.value)
                else:
                    message = decode(record.value)  # type: ignore[arg-type]
                    speed_kmh = message.speed_estimate
                    if (
                        message.vehicle_class not in classes
                        or message.detections is not unset
                        or (speed_kmh is not None and speed_kmh > max_speed_kmh)
                    ):
                        raise msgspec.ValidationError("the message needs a closer look")
            except UNDECODABLE:
                try:
                    message = self._decode_otherwise(record, outcome)
                except Rejected as error:
                    self._reject(record, error, error.events, outcome)
                    continue
            key = record.key
            known = known_cameras.get(key)  # type: ignore[arg-type]
            if known is None or known[0] != message.camera_id:
                known = self._introduce(record, message, outcome)
                if known is None:
                    continue
            camera_id, windower, camera = known
            try:
                # vehicles of one picture have the same time, and come one after the other
                if message.timestamp != timestamp:
                    time_us = event_time_us(message.timestamp)
                    timestamp = message.timestamp
            except (ValueError, OverflowError) as error:
                self._reject(record, Rejected("invalid_timestamp", str(error)), events_in(message), outcome)
                continue
            if time_us > record.timestamp * 1000 + future_us:
                self._reject_future(record, message, outcome)
                continue
            if offset <= camera.offset:
                # the row is ahead of the partition's: this record is in it already
                continue
            camera.offset = offset
            camera.clock_us = state.clock_us
            touched[key] = known  # type: ignore[index]
            if type(message) is Detection:
                verdict = windower.add(camera, time_us, message.frame_id, message)
                if verdict == COUNTED:
                    counted += 1
                elif verdict == REPEATED:
                    outcome.repeated += 1
                elif verdict == LATE:
                    self._late(record, camera_id, time_us, 1, outcome)
                else:
                    self._full(record, camera_id, time_us, 1, outcome)
            else:
                late = full = 0
                assert type(message) is Frame  # noqa: S101 - for the type checker
                for part in message.detections:
                    verdict = windower.add(camera, time_us, message.frame_id, part)
                    if verdict == COUNTED:
                        counted += 1
                    elif verdict == REPEATED:
                        outcome.repeated += 1
                    elif verdict == LATE:
                        late += 1
                    else:
                        full += 1
                if full:
                    self._full(record, camera_id, time_us, full, outcome)
                if late:
                    self._late(record, camera_id, time_us, late, outcome)
                elif time_us > camera.newest_us:
                    # an empty street moves the time, too
                    camera.newest_us = time_us
        outcome.counted = counted
        for camera_id, windower, camera in touched.values():
            outcome.rows += windower.close_final(camera, camera_id, state.thresholds)
        self._dirty.update(touched)
        return outcome

    def changed_rows(self) -> list[tuple[bytes, bytes]]:
        """State rows that changed since the last call: cameras first, the partition's row last."""
        rows = [(key, self._camera_row(key)) for key in sorted(self._dirty)]
        self._dirty.clear()
        rows.append((self._key, state_row(self.state.applied, self.state)))
        return rows

    def all_rows(self) -> list[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        self._dirty.update(self.cameras)
        return self.changed_rows()

    def _camera_row(self, key: bytes) -> bytes:
        camera = self.cameras[key]
        return state_row(camera.offset, camera)

    def _introduce(self, record: Record, message: Detection | Frame, outcome: Outcome) -> _Known | None:
        """Meet a camera for the first time in this process, or refuse a message under a foreign key."""
        try:
            check_key(record.key, message)
        except Rejected as error:
            self._reject(record, error, error.events, outcome)
            return None
        key = message.camera_id.encode()
        camera = self.cameras.get(key)
        if camera is not None and camera.silence is not None and self._counts(record, message, camera):
            outcome.alerts.append(came_back(message.camera_id, camera.silence, record.timestamp * 1000))
            camera.silence = None
        return self._meet(key, message.camera_id)

    def _counts(self, record: Record, message: Detection | Frame, camera: CameraState) -> bool:
        """Whether a record reaches its camera, as `apply` decides it."""
        try:
            time_us = event_time_us(message.timestamp)
        except (ValueError, OverflowError):
            return False
        return record.offset > camera.offset and time_us <= record.timestamp * 1000 + self._future_us

    def _meet(self, key: bytes, camera_id: str) -> _Known:
        camera = self.cameras.setdefault(key, CameraState())
        known = (camera_id, self._windower_for(camera_id), camera)
        if camera.silence is None:
            # a silent camera is met at each record until one has ended the silence: `apply` need not look
            self._known[key] = known
        return known

    def _decode_otherwise(self, record: Record, outcome: Outcome) -> Detection | Frame:
        """Decode a message that is not what was expected; its faulty parts go to dead letters.

        Raises:
            Rejected: nothing of the message can be accepted.
        """
        message, left_out = self._decoder.decode_otherwise(record.value, self._frames_first)
        self._frames_first = isinstance(message, Frame)
        if left_out:
            details = "; ".join(error.detail for error in left_out)
            self._reject(record, Rejected(left_out[0].reason, details), len(left_out), outcome)
        return message

    def _tick(self, record: Record, outcome: Outcome) -> None:
        """Move the partition clock; close the windows of cameras that fell silent, tell of those that stay so."""
        state, changes = self.state, self.state.thresholds
        silence, quiet_us = self._silence, self._quiet_us
        tick_us = record.timestamp * 1000
        state.clock_us = advanced(state.clock_us, state.tick_us, tick_us)
        state.tick_us = max(state.tick_us, tick_us)
        for key, camera in self.cameras.items():
            if record.offset <= camera.offset:
                continue
            if camera.windows:
                camera_id, windower, _ = self._known.get(key) or self._meet(key, key.decode())
                # of a camera touched earlier in this run; had the run ended there, they were closed by now
                outcome.rows += windower.close_final(camera, camera_id, changes)
                rows = windower.close_idle(camera, camera_id, state.clock_us, changes)
                if rows:
                    camera.offset = record.offset
                    outcome.rows += rows
                    self._dirty.add(key)
            if silence is not None and state.clock_us - camera.clock_us >= silence.limit_us:
                self._miss(key, camera, record, silence, outcome)
            if quiet_us is not None and state.clock_us - camera.finished_clock_us >= quiet_us:
                self._tell_quiet(key, camera, record, outcome)

    def _tell_quiet(self, key: bytes, camera: CameraState, record: Record, outcome: Outcome) -> None:
        """Tell once that a camera finishes no more windows."""
        if camera.finished_clock_us < 0 or camera.quiet_told_us == camera.closed_until_us:
            return
        camera.quiet_told_us = camera.closed_until_us
        camera.offset = record.offset
        self._dirty.add(key)
        outcome.quiet.append(QuietCamera(key.decode(), camera.closed_until_us))

    def _miss(self, key: bytes, camera: CameraState, record: Record, rule: SilenceRule, outcome: Outcome) -> None:
        """Raise an alert for a silent camera, unless there is one or it was hardly ever there."""
        if camera.silence is not None or camera.finished < rule.min_windows:
            return
        state = self.state
        camera.silence = Silence(state.tick_us, camera.newest_us, state.clock_us - camera.clock_us, rule.limit_us)
        camera.offset = record.offset
        self._dirty.add(key)
        self._known.pop(key, None)
        outcome.alerts.append(fell_silent(key.decode(), camera.silence))

    def _control(self, record: Record, touched: Mapping[bytes, _Known], outcome: Outcome) -> None:
        """Take over new boundaries of the levels; whatever else is said here is ignored."""
        try:
            thresholds = decode_control(record.value or b"").thresholds
        except UNDECODABLE as error:
            logger.warning("partition %d, offset %d is no control record: %s", self.partition, record.offset, error)
            return
        if thresholds is None or not thresholds.valid:
            logger.warning("partition %d, offset %d sets no valid thresholds", self.partition, record.offset)
            return
        for camera_id, windower, camera in touched.values():
            # what is final by now keeps the boundaries that held, whether this run ends here or further on
            outcome.rows += windower.close_final(camera, camera_id, self.state.thresholds)
        self.state.thresholds = with_change(self.state.thresholds, thresholds)

    def _reject(self, record: Record, error: Rejected, events: int, outcome: Outcome) -> None:
        rejected = self.state.rejected
        rejected[error.reason] = rejected.get(error.reason, 0) + events
        self._dead_letter(record, error.reason, error.detail, events, outcome)

    def _reject_future(self, record: Record, message: Detection | Frame, outcome: Outcome) -> None:
        detail = (
            f"event time {message.timestamp} is more than {self._future_us / 1e6:g} s"
            f" ahead of the record's {rfc3339(record.timestamp * 1000)}"
        )
        self._reject(record, Rejected("future", detail), events_in(message), outcome)

    def _late(self, record: Record, camera_id: str, time_us: int, events: int, outcome: Outcome) -> None:
        """A camera's late detections are counted in its own row, by `Windower.add`."""
        detail = f"the window of {rfc3339(time_us)} of {camera_id} is final"
        self._dead_letter(record, "late", detail, events, outcome)

    def _full(self, record: Record, camera_id: str, time_us: int, events: int, outcome: Outcome) -> None:
        """Detections beyond what a window may hold are counted in the camera's row, by `Windower.add`."""
        detail = f"the window of {rfc3339(time_us)} of {camera_id} holds all it may; does the camera's clock move?"
        self._dead_letter(record, "window_full", detail, events, outcome)

    def _dead_letter(self, record: Record, reason: str, detail: str, events: int, outcome: Outcome) -> None:
        outcome.rejected[reason] = outcome.rejected.get(reason, 0) + events
        error = Rejected(reason, detail, events)
        outcome.dead_letters.append(dead_letter_of(self._topic, self.partition, record, error))
