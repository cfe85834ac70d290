"""All cameras of one partition: records in; finished rows, dead letters and state rows out.

The state is a pure function of the partition's records up to `PartitionState.applied`: no wall
clock, no order other than the log's, nothing that depends on how records came in runs. That is why
any worker may take over from the rows that another has written (see docs/decisions).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec import Struct
from msgspec import field as struct_field

from models.dead_letters import dead_letter_of
from models.detections import (
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
from models.quiet_cameras import QuietCamera
from models.records import UNREADABLE, UNREADABLE_REASON, why_unreadable
from models.thresholds import Thresholds, decode_control
from models.timestamps import rfc3339
from models.window_rows import WindowRow
from trafficapp.alerts.silence import Silence, SilenceRule, came_back, fell_silent, was_forgotten
from trafficapp.congestion import with_change
from trafficapp.state_rows import (
    OFFSET_BYTES,
    PARTITION_KEY_PREFIX,
    UNTOLD,
    SourceLog,
    continued,
    partition_key,
    state_row,
)
from trafficapp.topics import EVENTS_RAW
from trafficapp.windows.cameras import Cameras, Known, Remembering, decode_camera_row
from trafficapp.windows.clock import elapsed_us
from trafficapp.windows.outcome import Outcome
from trafficapp.windows.windower import CameraState, Windower

logger = logging.getLogger(__name__)

#: About how many microseconds of work a step may be.
_STEP_WORK = 20_000
#: What it costs to look at a message patiently, to refuse it, and to finish a row, likewise.
_PATIENCE_WORK = _REFUSAL_WORK = _ROW_WORK = 10

#: Faults of ours that are told with all that is known, in the life of a partition; dead letters tell all of them.
_TOLD_FAULTS = 5


class Record(Protocol):
    """What is read of a Kafka record; ``timestamp`` is milliseconds since the epoch."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class PartitionState(Struct, array_like=True):
    """What is known of a partition beside its cameras.

    Attributes:
        applied: offset of the last record applied; -1 before the first.
        clock_us: the partition clock, see `trafficapp.windows.clock`.
        tick_us: record time of the last tick, 0 before the first.
        rejected: detections that were refused before they reached a camera, by reason.
        thresholds: changes of the boundaries of the levels that windows may still take, oldest first.
        log_id, partitions: which log it is of, see `SourceLog`.
    """

    applied: int = -1
    clock_us: int = 0
    tick_us: int = 0
    rejected: dict[str, int] = struct_field(default_factory=dict)
    # new fields go to the end: rows that were written without them must stay readable
    thresholds: list[Thresholds] = struct_field(default_factory=list)
    log_id: str = ""
    partitions: int = 0


@dataclass(frozen=True, slots=True)
class PartitionRules:
    """The rules for all cameras of a partition.

    Attributes:
        windower_for: the rules for a camera, by camera_id.
        decoder: reads the messages.
        future_us: how far an event may be ahead of its record's timestamp.
        silence: when an alert is raised for a silent camera; None for never.
        quiet_us: after how long, by the partition's clock, it is told that a camera finishes no more windows;
            None for never.
        remembering: which cameras are known.
    """

    windower_for: Callable[[str], Windower]
    decoder: DetectionDecoder
    future_us: int
    silence: SilenceRule | None = None
    quiet_us: int | None = None
    remembering: Remembering = field(default_factory=Remembering)


_decode_partition = msgspec.msgpack.Decoder(PartitionState).decode


def decode_partition_row(row: bytes) -> PartitionState:
    """The partition state in a state row."""
    return _decode_partition(row[OFFSET_BYTES:])


def decode_row(key: bytes, row: bytes) -> object:
    """What a state row says; raises one of `models.records.MALFORMED` on one that is none."""
    return decode_partition_row(row) if key.startswith(PARTITION_KEY_PREFIX) else (key.decode(), decode_camera_row(row))


class PartitionWindows:
    """The windows of all cameras of one partition.

    Args:
        partition: its number.
        rules: for its cameras.
        rows: state rows to go on from, by key.
        log: which log the records are of.

    Raises:
        OtherLog: the rows were made of another one.
    """

    def __init__(
        self, partition: int, rules: PartitionRules, rows: Mapping[bytes, bytes], log: SourceLog = UNTOLD
    ) -> None:
        self.partition = partition
        self._rules = rules
        self._key = partition_key(partition)
        self._frames_first = False
        self._outcome = Outcome()
        self._told_full: set[bytes] = set()
        self._told_faults = 0
        self.state = decode_partition_row(rows[self._key]) if self._key in rows else PartitionState()
        self.state.log_id, self.state.partitions = continued(SourceLog(self.state.log_id, self.state.partitions), log)
        of_cameras = {key: row for key, row in rows.items() if key != self._key}
        self.cameras = Cameras(of_cameras, self.applied, rules.windower_for, rules.remembering)
        # a row that was written late, behind the tombstone of its camera, brings nobody back
        self.cameras.forget(self.state.clock_us, self.applied + 1)

    @property
    def applied(self) -> int:
        """Offset of the last record applied; -1 before the first."""
        return self.state.applied

    def apply(self, records: Iterable[Record]) -> Outcome:
        """Apply consecutive records; those that are applied already change nothing."""
        whole = Outcome()
        for outcome in self.steps(records):
            whole.add(outcome)
        return whole

    def steps(self, records: Iterable[Record]) -> Iterator[Outcome]:
        """Apply consecutive records, in steps of some milliseconds at most.

        All steps must be taken: in between, the state may be that of half a record. Where one ends changes nothing
        but in which outcome something is.
        """
        outcome = self._outcome = Outcome()
        state, known_cameras = self.state, self.cameras.known
        touched: dict[bytes, Known] = {}
        counted = work = 0
        step_work = _STEP_WORK
        timestamp: Timestamp | None = None
        time_us = record_us = latest_us = clock_us = 0
        stamp_ms: int | None = None
        unset = msgspec.UNSET
        decoder = self._rules.decoder
        most_bytes = MAX_MESSAGE_BYTES
        classes, max_speed_kmh, decode = decoder.vehicle_classes, decoder.max_speed_kmh, decoder.decode_detection
        for record in records:
            offset = record.offset
            if offset <= state.applied:
                continue
            if work > step_work:
                outcome.counted = counted
                yield outcome
                outcome = self._outcome = Outcome()
                counted = work = 0
            state.applied = offset
            headers = record.headers
            if headers and headers[0][0] is UNREADABLE:
                self._refuse(record, [Rejected(UNREADABLE_REASON, why_unreadable(record) or "")])
                continue
            if headers and headers[0][0] == TICK_HEADER:
                self.cameras.wake(touched)
                touched.clear()
                for _ in self._act_on(record):
                    outcome.counted = counted
                    yield outcome
                    outcome = self._outcome = Outcome()
                    counted = work = 0
                stamp_ms = None
                continue
            message: Detection | Frame
            left_out: Sequence[Rejected] = ()
            try:
                try:
                    value = record.value
                    if len(value) > most_bytes:  # type: ignore[arg-type]
                        raise msgspec.ValidationError("the message needs a closer look")
                    if self._frames_first:
                        message = decoder.decode_faultless_frame(value)
                    else:
                        message = decode(value)  # type: ignore[arg-type]
                        speed_kmh = message.speed_estimate
                        if (
                            message.vehicle_class not in classes
                            or message.detections is not unset
                            or (speed_kmh is not None and speed_kmh > max_speed_kmh)
                        ):
                            raise msgspec.ValidationError("the message needs a closer look")
                except UNDECODABLE:
                    work += _PATIENCE_WORK
                    message, left_out = decoder.decode_otherwise(record.value, self._frames_first)
                    work += len(left_out)
                    self._frames_first = type(message) is Frame
                key = record.key
                known = known_cameras.get(key)  # type: ignore[arg-type]
                if known is None or known[0] != message.camera_id:
                    known = None
                    check_key(key, message)
                # vehicles of one picture have the same time, and come one after the other
                if message.timestamp != timestamp:
                    time_us = time_us_of(message)
                    timestamp = message.timestamp
                if record.timestamp != stamp_ms:
                    stamp_ms = record.timestamp
                    record_us = stamp_ms * 1000
                    latest_us = record_us + self._rules.future_us
                    clock_us = state.clock_us + elapsed_us(state.tick_us, record_us)
                if time_us > latest_us:
                    raise self._future(message, record_us)
                if known is None:
                    known = self._meet(record, message)
                camera_id, windower, camera = known
                if offset <= camera.offset:
                    # the row is ahead of the partition's: this record is in it already
                    continue
                camera.offset = offset
                camera.clock_us = clock_us
                if not camera.newest_us:
                    camera.heard_us = record_us
                touched[key] = known  # type: ignore[index]
                picture: Sequence[FrameDetection]
                if type(message) is Detection:
                    size, picture = 1, (message,)
                else:
                    picture = message.detections  # type: ignore[assignment]
                    size = len(picture)
                    work += size
                not_counted = windower.add(camera, time_us, message.frame_id, picture)
                late = full = 0
                if not_counted is None:
                    counted += size
                    if camera.newest_us < camera.final_us and not left_out:
                        continue
                else:
                    repeated, late, full = not_counted
                    counted += size - repeated - late - full
                    outcome.repeated += repeated
                if late or full or left_out:
                    work += _REFUSAL_WORK
                    self._refuse(record, [*left_out, *self._beyond(camera_id, time_us, late, full)])
                if camera.newest_us >= camera.final_us:
                    final = windower.close_final(camera, camera_id, state.clock_us, state.thresholds)
                    for _ in self._finish(final, camera):
                        outcome.counted = counted
                        yield outcome
                        outcome = self._outcome = Outcome()
                        counted = work = 0
            except Rejected as error:
                work += _REFUSAL_WORK + len(error.parts)
                self._refuse(record, [*left_out, *error.parts])
            except Exception as error:
                work += _REFUSAL_WORK
                self._refuse(record, [*left_out, self._failed(record, error)])
        self.cameras.wake(touched)
        outcome.counted = counted
        yield outcome

    def changed_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """State rows that changed since the last call: cameras, the partition's row, then forgotten cameras."""
        yield from self.cameras.changed_rows()
        yield self._key, state_row(self.state.applied, self.state)
        yield from self.cameras.forgotten_rows(self.state.applied)

    def all_rows(self) -> Iterator[tuple[bytes, bytes]]:
        """All state rows, in the same order."""
        for key in self.cameras.states:
            self.cameras.changed(key)
        return self.changed_rows()

    # ------------------------------------------------------------------ messages

    def _future(self, message: Detection | Frame, record_us: int) -> Rejected:
        return Rejected(
            "future",
            f"event time {message.timestamp} is more than {self._rules.future_us / 1e6:g} s"
            f" ahead of the record's {rfc3339(record_us)}",
            events_in(message),
        )

    def _meet(self, record: Record, message: Detection | Frame) -> Known:
        """Meet a camera for the first time in this process, or one that was silent.

        Raises:
            Rejected: it is one too many.
        """
        key = message.camera_id.encode()
        try:
            known = self.cameras.meet(key, message.camera_id, record.offset)
        except Rejected as error:
            raise Rejected(error.reason, error.detail, events_in(message)) from None
        camera = known[2]
        if camera.silence is not None and record.offset > camera.offset:
            self._outcome.alerts.append(came_back(message.camera_id, camera.silence, record.timestamp * 1000))
            camera.silence = None
            self.cameras.known[key] = known
        return known

    def _beyond(self, camera_id: str, time_us: int, late: int, full: int) -> Iterator[Rejected]:
        """What came too late, or cannot be held; both are counted in the camera's own row, by `Windower.add`."""
        if late:
            yield Rejected("late", f"the window of {rfc3339(time_us)} of {camera_id} is final", late)
        if full:
            detail = f"{camera_id} holds all it may in its open windows; does its clock move?"
            if camera_id.encode() not in self._told_full:
                self._told_full.add(camera_id.encode())
                logger.warning("%s; detections are refused until some are final", detail)
            yield Rejected("camera_full", detail, full)

    def _failed(self, record: Record, error: Exception) -> Rejected:
        """A fault of ours, which must not cost the records behind this one."""
        self._told_faults += 1
        if self._told_faults <= _TOLD_FAULTS:
            logger.error("partition %d, offset %d cannot be applied", self.partition, record.offset, exc_info=error)
        return Rejected("failed", f"applying the message raised {error!r}")

    def _refuse(self, record: Record, refused: Sequence[Rejected]) -> None:
        outcome, rejected = self._outcome, self.state.rejected
        for part in refused:
            outcome.reject(part.reason, part.events)
            if part.reason not in ("late", "camera_full"):
                rejected[part.reason] = rejected.get(part.reason, 0) + part.events
        outcome.dead_letters.append(dead_letter_of(EVENTS_RAW, self.partition, record, *refused))

    # ------------------------------------------------------------------ closing

    def _finish(self, windows: Iterator[list[WindowRow]], camera: CameraState) -> Iterator[None]:
        """Take finished windows in; yields when a step is full."""
        told_us = camera.quiet_told_us if camera.quiet_told_us == camera.closed_until_us else 0
        for rows in windows:
            outcome = self._outcome
            if told_us:
                outcome.after_quiet[len(outcome.rows)] = told_us
                told_us = 0
            outcome.rows += rows
            if len(outcome.rows) * _ROW_WORK > _STEP_WORK:
                yield

    def _act_on(self, record: Record) -> Iterator[None]:
        """Act on a record of ours; yields when a step is full."""
        if record.value:
            self._control(record)
        else:
            yield from self._tick(record)

    def _tick(self, record: Record) -> Iterator[None]:
        """Move the partition clock; finish windows of cameras that are silent, tell of those that stay so.

        A camera whose row is ahead of the partition's was heard later by this clock, so it is not silent here.
        """
        state, cameras = self.state, self.cameras
        before_us, tick_us = state.clock_us, record.timestamp * 1000
        state.clock_us += elapsed_us(state.tick_us, tick_us)
        state.tick_us = tick_us
        asleep = []
        for key in cameras.awake:
            camera_id, windower, camera = cameras.get(key)
            if camera.windows:
                open_before = len(camera.windows)
                yield from self._finish(
                    windower.close_idle(camera, camera_id, state.clock_us, state.thresholds), camera
                )
                if len(camera.windows) < open_before:
                    self._changed(key, camera, record)
            self._miss(key, camera, record)
            self._tell_quiet(key, camera, record)
            if self._means_nothing(camera):
                asleep.append(key)
        for key in asleep:
            del cameras.awake[key]
        if cameras.is_time_to_look(before_us, state.clock_us):
            self._forget(record)

    def _changed(self, key: bytes, camera: CameraState, record: Record) -> None:
        camera.offset = record.offset
        self.cameras.changed(key)

    def _means_nothing(self, camera: CameraState) -> bool:
        """Whether ticks mean nothing for a camera until its next record."""
        rule = self._rules.silence
        may_be_missed = rule is not None and camera.silence is None and camera.finished >= rule.min_windows
        return not (camera.windows or may_be_missed or self._may_be_quiet(camera))

    def _may_be_quiet(self, camera: CameraState) -> bool:
        return (
            self._rules.quiet_us is not None
            and camera.finished_clock_us >= 0
            and camera.quiet_told_us != camera.closed_until_us
        )

    def _tell_quiet(self, key: bytes, camera: CameraState, record: Record) -> None:
        """Tell once that a camera finishes no more windows."""
        quiet_us = self._rules.quiet_us
        if quiet_us is None or not self._may_be_quiet(camera):
            return
        if self.state.clock_us - camera.finished_clock_us >= quiet_us:
            camera.quiet_told_us = camera.closed_until_us
            self._changed(key, camera, record)
            self._outcome.quiet.append(QuietCamera(key.decode(), camera.closed_until_us))

    def _miss(self, key: bytes, camera: CameraState, record: Record) -> None:
        """Raise an alert for a silent camera, unless there is one or it was hardly ever there."""
        rule, state = self._rules.silence, self.state
        if rule is None or camera.silence is not None or camera.finished < rule.min_windows:
            return
        silent_us = state.clock_us - camera.clock_us
        if silent_us >= rule.limit_us:
            camera.silence = Silence(state.tick_us, camera.newest_us, silent_us, rule.limit_us)
            self._changed(key, camera, record)
            self.cameras.known.pop(key, None)
            self._outcome.alerts.append(fell_silent(key.decode(), camera.silence))

    def _forget(self, record: Record) -> None:
        """Forget cameras that were silent for long; an alert about it ends."""
        for key, camera in self.cameras.forget(self.state.clock_us, record.offset):
            if camera.silence is not None:
                self._outcome.alerts.append(was_forgotten(key.decode(), camera.silence, record.timestamp * 1000))

    def _control(self, record: Record) -> None:
        """Take over new boundaries of the levels; whatever else is said here is ignored."""
        try:
            thresholds = decode_control(record.value or b"").thresholds
        except UNDECODABLE as error:
            logger.warning("partition %d, offset %d is no control record: %s", self.partition, record.offset, error)
            return
        if thresholds is None or not thresholds.valid:
            logger.warning("partition %d, offset %d sets no valid thresholds", self.partition, record.offset)
            return
        self.state.thresholds = with_change(self.state.thresholds, thresholds)
